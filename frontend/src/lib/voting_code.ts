/** The code on a voter's card, and the key that follows from it; codes of other kinds are written in the same way. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 as digest } from "@noble/hashes/sha2.js";
import { utf8 } from "./bytes.ts";
import { sha256 } from "./hash.ts";

export const CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** How a kind of code is written. */
export interface CodeForm {
  /** So that a code of one kind is wrong as one of another kind. */
  readonly domain: string;
  /** Characters of each group, its check character among them. */
  readonly lengths: readonly number[];
}
const VOTING_CODE: CodeForm = { domain: "votenet/code/1\n", lengths: [5, 5, 5, 5, 6] };
const KEY_INFO = "votenet/voter-key/1";

export type ReadCode =
  /** `code`: 26 characters without hyphens. */
  | { ok: true; code: string }
  /** `group`: the first wrong one, from 1 on; 0 where the length is wrong. */
  | { ok: false; group: number; length: number };

/** A typed or pasted code: blanks and hyphens are dropped, case is free, I and L are 1, O is 0. */
export function readCode(typed: string, form = VOTING_CODE): ReadCode {
  const code = typed
    .replace(/[\s\p{Pd}]/gu, "")
    .toUpperCase()
    .replace(/[IL]/g, "1")
    .replace(/O/g, "0");
  const length = Array.from(code).length;
  if (length !== form.lengths.reduce((sum, one) => sum + one)) return { ok: false, group: 0, length };
  const wrong = groupsOf(code, form).findIndex(
    (group, index) => group.at(-1) !== checkCharacter(index + 1, group.slice(0, -1), form),
  );
  return wrong < 0 ? { ok: true, code } : { ok: false, group: wrong + 1, length };
}

/** The groups of a code without hyphens. */
export function groupsOf(code: string, form = VOTING_CODE): string[] {
  let at = 0;
  return form.lengths.map((length) => code.slice(at, (at += length)));
}

/** The last character of a group, from 1 on; empty where the group has a character that no code has. */
export function checkCharacter(group: number, payload: string, form = VOTING_CODE): string {
  if (![...payload].every((character) => CODE_ALPHABET.includes(character))) return "";
  return CODE_ALPHABET[sha256(utf8(form.domain + group + payload))[0]! % 32]!;
}

/** The code of these payload characters (21 of a voting code), with its check characters, without hyphens. */
export function codeOf(payload: string, form = VOTING_CODE): string {
  let at = 0;
  return form.lengths
    .map((length, index) => {
      const part = payload.slice(at, (at += length - 1));
      return part + checkCharacter(index + 1, part, form);
    })
    .join("");
}

/** The Ed25519 seed of a voter: HKDF-SHA-256 over the code, with the election's `uuid` as salt. */
export function seedOfCode(code: string, uuid: string): Uint8Array {
  return hkdf(digest, utf8(code), utf8(uuid), utf8(KEY_INFO), 32);
}
