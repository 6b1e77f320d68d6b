/** The code on a trustee's recovery card: the seed as people can type it. */
import { type CodeForm, CODE_ALPHABET, codeOf, groupsOf, readCode } from "../../lib/voting_code.ts";
import { BASE58 } from "../credential.ts";
import { TrusteeSeed } from "./key_generation.ts";

const RECOVERY_CODE: CodeForm = { domain: "votenet/recovery/1\n", lengths: [5, 5, 5, 5, 6, 6] };
const PAYLOAD = 26;
const SEED_CHARACTERS = 22;
const BASE = BigInt(BASE58.length);

export type ReadRecoveryCode =
  | { ok: true; seed: TrusteeSeed }
  /** `group`: the first wrong one, 1 to 6; 0 where the length is wrong. */
  | { ok: false; group: number; length: number };

/** The groups of the code of a seed. */
export function recoveryGroups({ text }: TrusteeSeed): string[] {
  let number = [...text].reduce((sum, one) => sum * BASE + BigInt(BASE58.indexOf(one.charCodeAt(0))), 0n);
  let payload = "";
  for (let at = 0; at < PAYLOAD; at++, number >>= 5n) payload = CODE_ALPHABET[Number(number & 31n)] + payload;
  return groupsOf(codeOf(payload, RECOVERY_CODE), RECOVERY_CODE);
}

/** The seed in a typed code. Blanks, hyphens and case are free; I and L are 1, O is 0. */
export function readRecoveryCode(typed: string): ReadRecoveryCode {
  const read = readCode(typed, RECOVERY_CODE);
  if (!read.ok) return read;
  let number = 0n;
  for (const group of groupsOf(read.code, RECOVERY_CODE))
    for (const one of group.slice(0, -1)) number = (number << 5n) | BigInt(CODE_ALPHABET.indexOf(one));
  let seed = "";
  for (let at = 0; at < SEED_CHARACTERS; at++, number /= BASE) {
    seed = String.fromCharCode(BASE58[Number(number % BASE)]!) + seed;
  }
  if (number > 0n) return { ok: false, group: 1, length: read.code.length };
  return { ok: true, seed: new TrusteeSeed(seed) };
}
