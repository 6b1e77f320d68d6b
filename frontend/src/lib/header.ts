/** Headers of blocks: the work, the difficulty and the time of each. */
import { concat, equalBytes, hex, littleEndian } from "./bytes.ts";
import type { Election } from "./definition.ts";
import { demand } from "./fault.ts";
import { doubleHash } from "./hash.ts";
import * as limits from "./limits.ts";

/** The number that compact bits stand for; null if they stand for none. */
export function targetOf(bits: number): bigint | null {
  const [size, mantissa] = [bits >>> 24, BigInt(bits & 0x7fffff)];
  const target = size > 3 ? mantissa << BigInt(8 * (size - 3)) : mantissa >> BigInt(8 * (3 - size));
  return (bits & 0x800000) !== 0 || target === 0n || target >= 1n << 256n ? null : target;
}

/** The bits that stand for the largest number they can that is not above the target. */
export function compactBits(target: bigint): number {
  let digits = target.toString(16);
  if (digits.length % 2 === 1) digits = `0${digits}`;
  if (Number.parseInt(digits.slice(0, 2), 16) > 0x7f) digits = `00${digits}`; // the top bit is a sign
  return (digits.length / 2) * 2 ** 24 + Number.parseInt(digits.slice(0, 6).padEnd(6, "0"), 16);
}

/** The difficulty of the next block, out of the two gaps before it: docs/protocol.md, "Difficulty". */
export function nextBits(bits: number, floor: number, interval: number, gap: number, before: number): number {
  const long = limits.LONG_GAP * interval;
  const counted = gap <= long ? gap : before > long ? long : interval;
  const [span, easiest] = [BigInt(limits.RETARGET_SPAN * interval), targetOf(floor)!];
  const target = (targetOf(bits)! * (span + BigInt(counted) - BigInt(interval))) / span;
  if (target >= easiest) return floor;
  const hardest = easiest / BigInt(limits.MAX_RISE);
  return compactBits([target, hardest, 1n].reduce((most, one) => (one > most ? one : most)));
}

const DIGITS = new RegExp(`^[0-9a-f]{${2 * limits.HEADER_BYTES}}$`);

/** `bad-header` unless the digits are those of a header. */
export function checkDigits(digits: string): void {
  demand(DIGITS.test(digits), "bad-header", "a header is 160 lower-case hexadecimal digits");
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24);
}

const numberAt = (raw: Uint8Array, at: number): number => Number(littleEndian(raw.subarray(at, at + 4)));

export interface HeaderFields {
  root: Uint8Array;
  time: number;
}

/** The chain of headers of one election, from its genesis on. */
export class HeaderChain {
  height = 0;
  work = 0n;
  tip: Uint8Array;
  readonly genesis: Uint8Array;
  private readonly floor: number;
  private bits: number;
  private times: number[];
  /** The median times of the last three blocks, the newest last. */
  private medians: number[];

  constructor(
    private readonly election: Election,
    private readonly now: number,
  ) {
    const { chain, created } = election.definition;
    this.floor = this.bits = chain.bits;
    this.times = [created];
    this.medians = [created];
    this.genesis = concat(
      u32(limits.BLOCK_VERSION),
      new Uint8Array(32),
      election.networkId,
      u32(created),
      u32(chain.bits),
      u32(0),
    );
    this.tip = doubleHash(this.genesis);
  }

  /** Takes the next header; returns its Merkle root and its time. */
  add(digits: string): HeaderFields {
    checkDigits(digits);
    const raw = hex(digits);
    const [root, time, bits] = [raw.slice(36, 68), numberAt(raw, 68), numberAt(raw, 72)];
    const block = doubleHash(raw);
    demand(equalBytes(raw.subarray(4, 36), this.tip), "broken-chain", "it does not name the block before it");
    demand(numberAt(raw, 0) === limits.BLOCK_VERSION, "bad-version", `version ${numberAt(raw, 0)}`);
    demand(bits === this.wantedBits(), "bad-bits", `bits ${bits.toString(16)}`);
    demand(littleEndian(block) <= targetOf(bits)!, "bad-work", "its hash is above the target");
    this.checkTime(time);
    this.tip = block;
    this.bits = bits;
    this.height++;
    this.work += (1n << 256n) / (targetOf(bits)! + 1n);
    this.times = [...this.times.slice(1 - limits.MEDIAN_SPAN), time];
    const sorted = [...this.times].sort((left, right) => left - right);
    this.medians = [...this.medians.slice(-2), sorted[Math.floor(sorted.length / 2)]!];
    return { root, time };
  }

  private checkTime(time: number): void {
    if (this.election.named) {
      demand(time >= this.times.at(-1)!, "bad-time", "it is before the block before it");
      return;
    }
    demand(time >= this.medians.at(-1)!, "bad-time", "it is before the median of its ancestors");
    demand(time <= this.now + limits.MAX_CLOCK_AHEAD, "bad-time", "it is in the future");
  }

  private wantedBits(): number {
    if (this.election.named || this.height < limits.MEDIAN_SPAN) return this.floor;
    const [before, last, newest] = this.medians as [number, number, number];
    return nextBits(this.bits, this.floor, this.election.definition.chain.block_seconds, newest - last, last - before);
  }
}
