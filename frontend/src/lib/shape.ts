/** Shapes of records: each check returns its value typed, or throws `bad-record`. */
import { Fault } from "./fault.ts";
import { type Json, isObject } from "./json.ts";
import { MAX_SAFE_INTEGER } from "./limits.ts";
import { codePoints } from "./text.ts";

export type Check<T> = (value: Json) => T;
export type Of<C> = C extends Check<infer T> ? T : never;

export function bad(what: string): never {
  throw new Fault("bad-record", what);
}

/** An object with exactly these members. */
export function object<S extends Record<string, Check<unknown>>>(shape: S): Check<{ [N in keyof S]: Of<S[N]> }> {
  const names = Object.keys(shape);
  return (value) => {
    if (!isObject(value)) bad("not an object");
    if (Object.keys(value).length !== names.length || !names.every((name) => name in value)) {
      bad(`its members are ${Object.keys(value).sort().join(", ").slice(0, 200)}`);
    }
    for (const name of names) named(name, () => shape[name]!(value[name]!));
    return value as { [N in keyof S]: Of<S[N]> };
  };
}

/** What `check` returns; a fault in it names the member. */
function named<T>(name: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof Fault ? new Fault(error.code, `${name}: ${error.where}`) : error;
  }
}

export function list<T>(each: Check<T>, least = 0, most = Number.POSITIVE_INFINITY): Check<T[]> {
  return (value) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) bad("not a list of this length");
    for (const one of value) each(one);
    return value as T[];
  };
}

export function integer(least = 0, most = MAX_SAFE_INTEGER): Check<number> {
  return (value) =>
    typeof value === "number" && least <= value && value <= most ? value : bad("not a number of this range");
}

/** A text of so many code points. */
export function text(least = 0, most = Number.POSITIVE_INFINITY): Check<string> {
  return (value) => {
    if (typeof value !== "string") return bad("not a text");
    const length = most === Number.POSITIVE_INFINITY ? value.length : codePoints(value);
    return least <= length && length <= most ? value : bad("a text of another length");
  };
}

export function pattern(expression: RegExp): Check<string> {
  return (value) => (typeof value === "string" && expression.test(value) ? value : bad("not of this form"));
}

export function oneOf<const T extends readonly string[]>(...names: T): Check<T[number]> {
  return (value) => (typeof value === "string" && names.includes(value) ? value : bad(`none of ${names.join(", ")}`));
}

export const flag: Check<boolean> = (value) => (typeof value === "boolean" ? value : bad("not true or false"));

export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value) => (value === null ? null : check(value));
}

export const hash = pattern(/^[0-9a-f]{64}$/);
export const hashOrNone = pattern(/^([0-9a-f]{64})?$/);
export const nodeSignature = pattern(/^[0-9a-f]{128}$/);
