/** Ed25519 (RFC 8032): deterministic signing, and checking with the answers of libsodium. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { sha512 } from "@noble/hashes/sha2.js";
import { concat, equalBytes, littleEndian } from "./bytes.ts";

const Point = ed25519.Point;
const ORDER = Point.Fn.ORDER;

export const publicKey = (seed: Uint8Array): Uint8Array => ed25519.getPublicKey(seed);

/** The one signature of a message by a 32-byte seed. */
export const sign = (seed: Uint8Array, message: Uint8Array): Uint8Array => ed25519.sign(message, seed);

/** The point of 32 bytes in its canonical spelling; null for no point, and for one of small order. */
function decodedPoint(raw: Uint8Array): InstanceType<typeof Point> | null {
  try {
    const point = Point.fromBytes(raw, false);
    return point.isSmallOrder() ? null : point;
  } catch {
    return null;
  }
}

/**
 * Whether a signature holds, as libsodium answers: S below the order, key canonical, neither key nor R of small
 * order, no cofactor. (`ed25519.verify` multiplies by the cofactor, and so takes some that libsodium refuses.)
 */
export function signatureHolds(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  const [nonce, scalar] = [signature.subarray(0, 32), littleEndian(signature.subarray(32))];
  if (scalar >= ORDER) return false;
  const point = decodedPoint(key);
  if (point === null) return false;
  const digest = littleEndian(sha512(concat(nonce, key, message))) % ORDER;
  const found = Point.BASE.multiplyUnsafe(scalar).subtract(point.multiplyUnsafe(digest));
  return equalBytes(found.toBytes(), nonce) && !found.isSmallOrder();
}

/** Whether 32 bytes are the canonical spelling of a point of prime order: a key that can sign. */
export function keyCanSign(key: Uint8Array): boolean {
  return decodedPoint(key)?.isTorsionFree() ?? false;
}
