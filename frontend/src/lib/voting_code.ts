/** The code on a voter's card, and the key that follows from it. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 as digest } from "@noble/hashes/sha2.js";
import { utf8 } from "./bytes.ts";
import { sha256 } from "./hash.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP_LENGTHS = [5, 5, 5, 5, 6];
const LENGTH = 26;
const DOMAIN_CODE = "votenet/code/1\n";
const KEY_INFO = "votenet/voter-key/1";

export type ReadCode =
  /** `code`: 26 characters without hyphens. */
  | { ok: true; code: string }
  /** `group`: the first wrong one, 1 to 5; 0 where the length is wrong. */
  | { ok: false; group: number; length: number };

/** A typed or pasted code: blanks and hyphens are dropped, case is free, I and L are 1, O is 0. */
export function readCode(typed: string): ReadCode {
  const code = typed
    .replace(/[\s\p{Pd}]/gu, "")
    .toUpperCase()
    .replace(/[IL]/g, "1")
    .replace(/O/g, "0");
  const length = Array.from(code).length;
  if (length !== LENGTH) return { ok: false, group: 0, length };
  const wrong = groupsOf(code).findIndex(
    (group, index) => group.at(-1) !== checkCharacter(index + 1, group.slice(0, -1)),
  );
  return wrong < 0 ? { ok: true, code } : { ok: false, group: wrong + 1, length };
}

/** The groups of a code without hyphens. */
export function groupsOf(code: string): string[] {
  let at = 0;
  return GROUP_LENGTHS.map((length) => code.slice(at, (at += length)));
}

/** The last character of group 1 to 5; empty where the group has a character that no code has. */
export function checkCharacter(group: number, payload: string): string {
  if (![...payload].every((character) => ALPHABET.includes(character))) return "";
  return ALPHABET[sha256(utf8(DOMAIN_CODE + group + payload))[0]! % 32]!;
}

/** The code of 21 payload characters, with its five check characters, without hyphens. */
export function codeOf(payload: string): string {
  let at = 0;
  return GROUP_LENGTHS.map((length, index) => {
    const part = payload.slice(at, (at += length - 1));
    return part + checkCharacter(index + 1, part);
  }).join("");
}

/** The Ed25519 seed of a voter: HKDF-SHA-256 over the code, with the election's `uuid` as salt. */
export function seedOfCode(code: string, uuid: string): Uint8Array {
  return hkdf(digest, utf8(code), utf8(uuid), utf8(KEY_INFO), 32);
}
