/** Bytes as text and back: hexadecimal, base64, UTF-8. */

const ENCODER = new TextEncoder();

export const utf8 = (text: string): Uint8Array => ENCODER.encode(text);

export const concat = (...parts: Uint8Array[]): Uint8Array => joined(parts);

/** The same for a list, which may have more parts than a function has arguments. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

export function toHex(raw: Uint8Array): string {
  let text = "";
  for (const byte of raw) text += HEX[byte];
  return text;
}

/** The bytes of hexadecimal text, or null if it is none. Capitals are read, too. */
export function fromHex(text: string): Uint8Array | null {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return null;
  const raw = new Uint8Array(text.length / 2);
  for (let at = 0; at < raw.length; at++) raw[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return raw;
}

/** The bytes of hexadecimal text that has been checked before. */
export function hex(text: string): Uint8Array {
  const raw = fromHex(text);
  if (raw === null) throw new TypeError("not hexadecimal");
  return raw;
}

export function toBase64(raw: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < raw.length; at += 0x8000) binary += String.fromCharCode(...raw.subarray(at, at + 0x8000));
  return btoa(binary);
}

/** The bytes of canonical base64 (padded, unused bits zero), or null for any other spelling. */
export function fromBase64(text: string): Uint8Array | null {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    return null;
  }
  if (btoa(binary) !== text) return null;
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Negative, zero or positive, as `left` is before, equal to or behind `right`. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at++) {
    const difference = left[at]! - right[at]!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

export const equalBytes = (left: Uint8Array, right: Uint8Array): boolean => compareBytes(left, right) === 0;

/** Compares texts as their UTF-8 bytes, which is the order of code points. */
export const compareText = (left: string, right: string): number => compareBytes(utf8(left), utf8(right));

/** Bytes, most significant first, as a number without limit. */
export const bigEndian = (raw: Uint8Array): bigint => BigInt(`0x${toHex(raw) || "0"}`);

export const littleEndian = (raw: Uint8Array): bigint => bigEndian(raw.slice().reverse());
