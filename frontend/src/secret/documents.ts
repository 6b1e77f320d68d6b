/** Belenios' documents in JSON: compact, members in the order of its specification. */
import { toBase64, utf8 } from "../lib/bytes.ts";
import { Fault } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";
import { decodeText, isObject, parseJson } from "../lib/json.ts";
import { type Check, type Of, nullable, object } from "../lib/shape.ts";

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

/** An object with all members of `needed`, and any of `optional`. */
export function objectWith<N extends Checks, O extends Checks>(
  needed: N,
  optional: O,
): Check<{ [Name in keyof N]: Of<N[Name]> } & { [Name in keyof O]?: Of<O[Name]> | null }> {
  return (value) => {
    const there = Object.entries(optional).filter(([name]) => isObject(value) && name in value);
    const checks = Object.fromEntries(there.map(([name, check]) => [name, nullable(check)]));
    return object({ ...needed, ...checks })(value) as never;
  };
}

/** SHA-256 in Base64 without padding: of an election, of a ballot. */
export const fingerprint = (text: string): string => toBase64(sha256(utf8(text))).replace(/=+$/, "");
