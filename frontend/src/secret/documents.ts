/** Belenios' documents in JSON: compact, members in the order of its specification. */
import { toBase64, utf8 } from "../lib/bytes.ts";
import { Fault } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";
import { decodeText, isObject, parseJson } from "../lib/json.ts";
import { type Check, type Of, bad, nullable } from "../lib/shape.ts";

/** Codes of the reader of records under which documents of secret elections are refused. */
const CODES: Record<string, string> = {
  "not-json": "bad-document",
  "bad-record": "bad-document",
  // It would be written once.
  "duplicate-key": "not-canonical",
};

type Checks = Record<string, Check<unknown>>;

/** A document of the shape that `check` asks for. `bad-document`, or the code that `check` gives. */
export function readDocument<T>(text: string, what: string, check: Check<T>): T {
  try {
    return check(parseJson(text));
  } catch (error) {
    throw error instanceof Fault ? new Fault(CODES[error.code] ?? error.code, `${what}: ${error.where}`) : error;
  }
}

/** Bytes as text. `bad-document` if they are not UTF-8. */
export function documentText(raw: Uint8Array, what: string): string {
  try {
    return decodeText(raw);
  } catch {
    throw new Fault("bad-document", `${what} is not UTF-8`);
  }
}

/**
 * An object with all members of `needed`, and any of `optional`, each as its check returns it.
 *
 * They are read in the order of the document: of two faults the first one is told, as elsewhere.
 */
export function objectWith<N extends Checks, O extends Checks>(
  needed: N,
  optional: O = {} as O,
): Check<{ [Name in keyof N]: Of<N[Name]> } & { [Name in keyof O]?: Of<O[Name]> | null }> {
  return (value) => {
    if (!isObject(value)) bad("not an object");
    const found: Record<string, unknown> = {};
    for (const [name, inner] of Object.entries(value)) {
      if (Object.hasOwn(needed, name)) found[name] = needed[name]!(inner);
      else if (Object.hasOwn(optional, name)) found[name] = nullable(optional[name]!)(inner);
      else bad(`it has a member ${name.slice(0, 80)}`);
    }
    const missing = Object.keys(needed).find((name) => !Object.hasOwn(found, name));
    if (missing !== undefined) bad(`${missing} is missing`);
    return found as never;
  };
}

/** A list of what `each` returns. */
export function listOf<T>(each: Check<T>): Check<T[]> {
  return (value) => (Array.isArray(value) ? value.map(each) : bad("not a list"));
}

/** SHA-256 in Base64 without padding: of an election, of a ballot. */
export const fingerprint = (text: string): string => toBase64(sha256(utf8(text))).replace(/=+$/, "");
