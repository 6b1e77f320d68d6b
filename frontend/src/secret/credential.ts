/** A voter's credential: 22 base58 characters that follow from the code on the card, and their exponent. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 as digest } from "@noble/hashes/sha2.js";
import { bigEndian, concat, utf8 } from "../lib/bytes.ts";
import { demand } from "../lib/fault.ts";
import { BASE, type Element, modulo } from "./group.ts";

export const BASE58 = utf8("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz");
/** Where the hyphens stand in XXXXX-XXXXXX-XXXXX-XXXXXX, and how long that is. */
const HYPHENS = [5, 12, 18];
const LENGTH = 25;
const HYPHEN = 0x2d;
const INFO = utf8("votenet/credential/1");
const DERIVED_BYTES = 255;
/** Bytes from here on are left out, so that all characters are equally likely. */
const FAIR = 4 * 58;

/**
 * The credential (XXXXX-XXXXXX-XXXXX-XXXXXX in ASCII) of the voter with this code (26 characters in ASCII).
 *
 * Secrets are arrays here, because a text cannot be overwritten. The caller overwrites both.
 */
export function credentialOfCode(code: Uint8Array, uuid: string): Uint8Array {
  const random = hkdf(digest, code, utf8(uuid), INFO, DERIVED_BYTES);
  const found = new Uint8Array(LENGTH);
  let at = 0;
  for (const byte of random) {
    if (HYPHENS.includes(at)) found[at++] = HYPHEN;
    if (at === LENGTH) break;
    if (byte < FAIR) found[at++] = BASE58[byte % BASE58.length]!;
  }
  random.fill(0);
  return found;
}

/** The specification's secret(c). `bad-credential` */
export function secretExponent(credential: Uint8Array, uuid: string): bigint {
  const isWritten =
    credential.length === LENGTH &&
    credential.every((byte, at) => (HYPHENS.includes(at) ? byte === HYPHEN : BASE58.includes(byte)));
  demand(isWritten, "bad-credential", "a credential is written XXXXX-XXXXXX-XXXXX-XXXXXX in base58");
  const texts = [0, 1].map((half) => concat(utf8(`derive_credential|${uuid}|${half}|`), credential));
  const whole = concat(...texts.map((text) => digest(text)));
  const exponent = modulo(bigEndian(whole));
  for (const text of [...texts, whole]) text.fill(0);
  return exponent;
}

/** The specification's public(c), of its exponent. */
export const publicCredential = (exponent: bigint): Element => BASE.times(exponent);
