/**
 * The group of Belenios' elections, Ed25519: its elements and scalars, and how they are written.
 *
 * The one module here that knows how elements are held. @noble/curves computes, in every browser.
 */
import { normalizeZ } from "@noble/curves/abstract/curve.js";
import { ed25519 } from "@noble/curves/ed25519.js";
import { bigEndian, hex, toHex, utf8 } from "../lib/bytes.ts";
import { Fault, demand } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";

const Point = ed25519.Point;
type NoblePoint = InstanceType<typeof Point>;

/** The specification's q. */
export const GROUP_ORDER: bigint = Point.Fn.ORDER;
/** Bits of the windows of a table. A key's table takes about 1,400 additions: as much as five powers without one. */
const WINDOW = 6;
const HEX = /^[0-9a-f]{64}$/;
const NUMBER = /^(0|[1-9][0-9]{0,75})$/;
const SCALAR_ENTROPY = 64;

/** Returns as many random bytes as are asked for, in an array that the caller may overwrite. */
export type Entropy = (count: number) => Uint8Array;

/** A member of the group. */
export class Element {
  private text: string | undefined;

  constructor(readonly point: NoblePoint) {}

  /** From 64 hexadecimal digits, the most significant first. `bad-point` outside the group, and for its identity. */
  static parse(text: string): Element {
    demand(HEX.test(text), "bad-point", `${text.slice(0, 80)} is not a point in 64 hexadecimal digits`);
    let found: Element;
    try {
      found = new Element(Point.fromBytes(hex(text).reverse(), false));
    } catch {
      throw new Fault("bad-point", `${text} is not on the curve, or is spelled in another way`);
    }
    const isMember = !found.point.is0() && found.point.isTorsionFree();
    demand(isMember, "bad-point", `${text} is not a member of the group, or is its identity`);
    found.text = text;
    return found;
  }

  get written(): string {
    this.text ??= toHex(this.point.toBytes().reverse());
    return this.text;
  }

  equals(other: Element): boolean {
    return this.point.equals(other.point);
  }

  plus(other: Element): Element {
    return new Element(this.point.add(other.point));
  }

  minus(other: Element): Element {
    return new Element(this.point.subtract(other.point));
  }

  /** Its power with a secret number, in as many steps for each number but zero. */
  times(factor: bigint): Element {
    const scalar = modulo(factor);
    return scalar === 0n || this.point.is0() ? IDENTITY : new Element(this.point.multiply(scalar));
  }

  /** The same faster, for numbers that are no secret. */
  timesPublic(factor: bigint): Element {
    return new Element(this.point.multiplyUnsafe(modulo(factor)));
  }

  /** Makes it ready for many powers: the first one computes a table. */
  withTable(): this {
    this.point.precompute(WINDOW);
    return this;
  }
}

/** A coordinate of each, which no other member of the group has. For many together it takes one inversion. */
export const affineX = (elements: readonly Element[]): bigint[] =>
  normalizeZ(
    Point,
    elements.map((one) => one.point),
  ).map((point) => point.X);

export const IDENTITY: Element = new Element(Point.ZERO);
/** The specification's generator g. */
export const BASE: Element = new Element(Point.BASE);

export function modulo(number: bigint): bigint {
  const rest = number % GROUP_ORDER;
  return rest < 0n ? rest + GROUP_ORDER : rest;
}

/** One divided by a number, modulo the order. */
export const inverse = (number: bigint): bigint => Point.Fn.inv(modulo(number));

/** A number below the order, in base 10. `bad-scalar` for any other text. */
export function parseScalar(text: string): bigint {
  const isScalar = NUMBER.test(text) && BigInt(text) < GROUP_ORDER;
  demand(isScalar, "bad-scalar", `${text.slice(0, 80)} is not a number below the order of the group`);
  return BigInt(text);
}

/** A member of the group, or its identity: a sum may be that. `bad-point` */
export const parseSum = (text: string): Element => (text === IDENTITY.written ? IDENTITY : Element.parse(text));

/** SHA-256 of a text as a big-endian number modulo the order. */
export const hashToScalar = (text: string): bigint => modulo(bigEndian(sha256(utf8(text))));

/** The challenge over a prefix, which ends in a vertical bar, and elements separated by commas. */
export function challengeFor(prefix: string, commitments: readonly Element[]): bigint {
  return hashToScalar(prefix + commitments.map((one) => one.written).join(","));
}

/** A uniform number modulo the order, from 512 bits, which are overwritten. */
export function drawScalar(entropy: Entropy): bigint {
  const raw = entropy(SCALAR_ENTROPY);
  const words = new DataView(raw.buffer, raw.byteOffset, SCALAR_ENTROPY);
  let number = 0n;
  for (let at = 0; at < SCALAR_ENTROPY; at += 8) number = (number << 64n) | words.getBigUint64(at);
  raw.fill(0);
  return number % GROUP_ORDER;
}
