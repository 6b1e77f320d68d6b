/**
 * Canonical JSON (RFC 8785) with integers only, and a strict reader of it.
 *
 * `JSON.parse` hides members that stand twice and rounds large numbers, so records are read here.
 */
import { Fault } from "./fault.ts";

/** A number that no record may have: a fraction, or one beyond 2^53 - 1. */
export class OddNumber {
  constructor(readonly text: string) {}
}

export type Json = null | boolean | number | string | OddNumber | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof OddNumber);

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The canonical text of a value. Its numbers are integers. */
export function canonicalText(value: unknown): string {
  if (value instanceof OddNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (isObject(value)) {
    const names = Object.keys(value).sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name])}`).join(",")}}`;
  }
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new TypeError("not a safe integer");
  return JSON.stringify(value);
}

/** The canonical bytes of a value, in UTF-8. */
export function canonical(value: unknown): Uint8Array {
  const text = canonicalText(value);
  if (LONE_SURROGATE.test(text)) throw new TypeError("half a surrogate pair is not UTF-8");
  return new TextEncoder().encode(text);
}

/** Bytes as text. `not-json` if they are not UTF-8. */
export function decodeText(raw: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    throw new Fault("not-json", "it is not UTF-8");
  }
}

/** One record: JSON, no member twice, of the shape that `check` asks for, in its canonical spelling. */
export function parseRecord<T>(raw: Uint8Array, check: (value: Json) => T): T {
  const text = decodeText(raw);
  const value = parseJson(text);
  const checked = check(value);
  if (canonicalText(value) !== text) throw new Fault("not-canonical", "the record is spelled in another way");
  return checked;
}

/** Any JSON text as a value. `not-json`, or `duplicate-key` for a member that stands twice. */
export function parseJson(text: string): Json {
  return new Reader(text).whole();
}

// Beyond these the other verifiers call a text no JSON, too.
const MAX_DEPTH = 985;
const MAX_DIGITS = 4300;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Record<string, string> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Reader {
  private at = 0;
  private depth = 0;
  private lone = false;

  constructor(private readonly text: string) {}

  whole(): Json {
    const value = this.value();
    this.space();
    if (this.at !== this.text.length) this.fail("something follows the value");
    if (this.lone) this.fail("half a surrogate pair is not UTF-8");
    return value;
  }

  private value(): Json {
    this.space();
    switch (this.text[this.at]) {
      case "{":
        return this.nested(() => this.object());
      case "[":
        return this.nested(() => this.list());
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private nested<T>(read: () => T): T {
    if (++this.depth > MAX_DEPTH) this.fail("it is nested too deeply");
    this.at++;
    const value = read();
    this.depth--;
    return value;
  }

  private object(): JsonObject {
    const found: JsonObject = Object.create(null) as JsonObject;
    let twice = false;
    this.space();
    if (this.taken("}")) return found;
    do {
      this.space();
      if (this.text[this.at] !== '"') this.fail("a member has no name");
      const name = this.string();
      this.space();
      this.need(":");
      const value = this.value();
      if (name in found) twice = true;
      found[name] = value;
      this.space();
    } while (this.taken(","));
    this.need("}");
    if (twice) throw new Fault("duplicate-key", "a member stands twice");
    return found;
  }

  private list(): Json[] {
    const found: Json[] = [];
    this.space();
    if (this.taken("]")) return found;
    do {
      found.push(this.value());
      this.space();
    } while (this.taken(","));
    this.need("]");
    return found;
  }

  private string(): string {
    this.at++;
    let found = "";
    for (;;) {
      found += this.match(PLAIN);
      const next = this.text[this.at++];
      if (next === '"') break;
      if (next !== "\\") this.fail("a string does not end, or holds a control character");
      found += this.escaped();
    }
    if (LONE_SURROGATE.test(found)) this.lone = true;
    return found;
  }

  private escaped(): string {
    const letter = this.text[this.at++] ?? "";
    if (letter !== "u") return ESCAPES[letter] ?? this.fail("an unknown escape");
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.fail("an escape without four digits");
    this.at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  private number(): number | OddNumber {
    const found = this.match(NUMBER);
    if (found === "") this.fail("no value");
    if (/[.eE]/.test(found)) return new OddNumber(found);
    if (found.length > MAX_DIGITS) this.fail("a number with too many digits");
    const number = Number(found);
    return Number.isSafeInteger(number) ? number : new OddNumber(found);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("an unknown word");
    this.at += word.length;
    return value;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private space(): void {
    this.match(SPACE);
  }

  private taken(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private need(character: string): void {
    if (!this.taken(character)) this.fail(`${character} is missing`);
  }

  private fail(why: string): never {
    throw new Fault("not-json", `${why}, at character ${this.at}`);
  }
}
