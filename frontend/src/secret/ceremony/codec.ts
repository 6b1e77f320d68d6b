/** How documents of a ceremony are read and written: each form says both, so that what is read can be compared. */
import { demand, Fault } from "../../lib/fault.ts";
import type { Json } from "../../lib/json.ts";
import { isObject } from "../../lib/json.ts";
import { type Check, bad, text as textCheck } from "../../lib/shape.ts";
import { readDocument } from "../documents.ts";
import { Element, IDENTITY, parseScalar } from "../group.ts";
import type { Proof } from "../proofs.ts";

export interface Form<T> {
  read(value: Json): T;
  /** What `JSON.stringify` writes. */
  write(value: T): unknown;
  /** What a member is that is left out; without it no member may be. */
  readonly absent?: { readonly value: T };
}

export type Of<F> = F extends Form<infer T> ? T : never;
type Members = Record<string, Form<any>>;

/** A value that is what it looks like. */
export const plain = <T>(check: Check<T>): Form<T> => ({ read: check, write: (value) => value });

export const words: Form<string> = plain(textCheck());

export const scalar: Form<bigint> = {
  read: (value) => parseScalar(words.read(value)),
  write: (value) => `${value}`,
};

/** A member of the group but its identity. */
export const point: Form<Element> = {
  read: (value) => Element.parse(words.read(value)),
  write: (value) => value.written,
};

/** A member of the group, also its identity: what a sum of nothing comes to. */
export const sumPoint: Form<Element> = {
  read: (value) => (value === IDENTITY.written ? IDENTITY : point.read(value)),
  write: point.write,
};

export const listOf = <T>(each: Form<T>): Form<readonly T[]> => ({
  read: (value) => (Array.isArray(value) ? value.map((one) => each.read(one)) : bad("not a list")),
  write: (value) => value.map((one) => each.write(one)),
});

/** A member that may be left out, and then is this value. */
export const orAbsent = <T>(form: Form<T>, value: T): Form<T> => ({ ...form, absent: { value } });

/** The same for one that then is null. */
export const orNull = <T>({ read, write }: Form<T>): Form<T | null> => ({
  // It is written without it: so a null that is there is another spelling.
  read: (value) => (value === null ? null : read(value)),
  write: (value) => (value === null ? null : write(value)),
  absent: { value: null },
});

/** An object with these members, in this order. */
export function struct<S extends Members>(members: S): Form<{ readonly [N in keyof S]: Of<S[N]> }> {
  const forms = Object.entries(members);
  return {
    read(value) {
      if (!isObject(value)) return bad("not an object");
      const strange = Object.keys(value).find((name) => !Object.hasOwn(members, name));
      if (strange !== undefined) bad(`it has a member ${strange.slice(0, 80)}`);
      return Object.fromEntries(forms.map(([name, form]) => [name, member(name, form, value[name])])) as never;
    },
    write(value) {
      const written = forms.filter(([name, { absent }]) => absent === undefined || value[name] !== absent.value);
      return Object.fromEntries(written.map(([name, form]) => [name, form.write(value[name])]));
    },
  };
}

function member<T>(name: string, form: Form<T>, value: Json | undefined): T {
  if (value === undefined) return form.absent === undefined ? bad(`${name} is missing`) : form.absent.value;
  try {
    return form.read(value);
  } catch (error) {
    throw error instanceof Fault ? new Fault(error.code, `${name}: ${error.where}`) : error;
  }
}

export const proof: Form<Proof> = struct({ challenge: scalar, response: scalar });

/** The text of a document. */
export const encode = <T>(form: Form<T>, value: T): string => JSON.stringify(form.write(value));

/** A document that is written as `encode` writes it. `bad-document`, `bad-point`, `bad-scalar`, `not-canonical` */
export function decode<T>(form: Form<T>, text: string, what: string): T {
  const value = readDocument(text, what, (json) => form.read(json));
  const order = `${what} is not compact JSON in the order of the specification`;
  demand(encode(form, value) === text, "not-canonical", order);
  return value;
}
