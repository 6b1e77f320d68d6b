/** Unpacks .xz files (The .xz File Format, version 1.2.0) with the LZMA2 filter. No browser does. */
import { equalBytes } from "./bytes.ts";
import { sha256 as digest } from "@noble/hashes/sha2.js";
import { Fault } from "./fault.ts";
import { DamagedData, Lzma, Window } from "./lzma.ts";

const MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];
const MAX_CHUNK = 2 * 1024 * 1024;
const MAX_DICTIONARY = 64 * 1024 * 1024;
const LZMA2 = 0x21;

/** The bytes of a packed file. `truncated` if they end too early, `unreadable` if they are damaged. */
export async function* unpackXz(packed: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = new Source(packed);
  try {
    do yield* stream(source);
    while (await isNextStream(source));
  } catch (error) {
    if (error instanceof DamagedData) throw new Fault("unreadable", error.message);
    throw error;
  }
}

/** Bytes that come in pieces, taken as many as are needed. */
class Source {
  /** How many bytes have been taken. */
  taken = 0;
  private held = new Uint8Array();
  private at = 0;

  constructor(private readonly pieces: AsyncIterator<Uint8Array>) {}

  /** The next bytes without taking them; fewer where the file ends. */
  async peek(count: number): Promise<Uint8Array> {
    while (this.held.length - this.at < count) {
      const { done, value } = await this.pieces.next();
      if (done === true) break;
      const rest = this.held.subarray(this.at);
      const joined = new Uint8Array(rest.length + value.length);
      joined.set(rest);
      joined.set(value, rest.length);
      [this.held, this.at] = [joined, 0];
    }
    return this.held.subarray(this.at, this.at + count);
  }

  async take(count: number): Promise<Uint8Array> {
    const found = await this.peek(count);
    if (found.length < count) throw new Fault("truncated", "the compressed file ends too early");
    this.at += count;
    this.taken += count;
    return found;
  }

  async byte(): Promise<number> {
    return (await this.take(1))[0]!;
  }
}

/** Whether another stream follows at once; anything else behind a stream is not read. */
async function isNextStream(source: Source): Promise<boolean> {
  const head = await source.peek(MAGIC.length);
  return head.length === MAGIC.length && MAGIC.every((byte, at) => head[at] === byte);
}

/** What the index says of a block again: its bytes without padding, and unpacked. */
interface BlockSizes {
  packed: number;
  unpacked: number;
}

async function* stream(source: Source): AsyncGenerator<Uint8Array> {
  const head = await source.take(12);
  const flags = head.slice(6, 8);
  need(MAGIC.every((byte, at) => head[at] === byte) && flags[0] === 0, "it is not an .xz file");
  need(crc32(flags) === u32(head, 8), "the head is damaged");
  const check = CHECKS[flags[1]!];
  if (check === undefined) throw new DamagedData("an unknown kind of check");
  const blocks: BlockSizes[] = [];
  for (let size = await source.byte(); size > 0; size = await source.byte()) {
    blocks.push(yield* block(source, size, check));
  }
  const indexBytes = await checkIndex(source, blocks);
  const foot = await source.take(12);
  need(crc32(foot.subarray(4, 10)) === u32(foot, 0), "the end is damaged");
  need(4 * (u32(foot, 4) + 1) === indexBytes, "the end is that of another index");
  need(equalBytes(foot.subarray(8, 10), flags) && foot[10] === 0x59 && foot[11] === 0x5a, "the end is damaged");
}

/** Checks the index, whose first byte has been taken; returns its size. */
async function checkIndex(source: Source, blocks: readonly BlockSizes[]): Promise<number> {
  const written = [0, ...numberBytes(blocks.length)];
  for (const { packed, unpacked } of blocks) written.push(...numberBytes(packed), ...numberBytes(unpacked));
  while (written.length % 4 !== 0) written.push(0);
  const index = Uint8Array.from(written);
  const same = equalBytes(await source.take(index.length - 1), index.subarray(1));
  need(same && u32(await source.take(4), 0) === crc32(index), "the index is that of other blocks");
  return index.length + 4;
}

/** A number as it is written: 7 bits a byte, the lowest first. */
function numberBytes(number: number): number[] {
  const [rest, low] = [Math.floor(number / 128), number % 128];
  return rest === 0 ? [low] : [low | 0x80, ...numberBytes(rest)];
}

async function* block(source: Source, size: number, check: () => BlockCheck): AsyncGenerator<Uint8Array, BlockSizes> {
  const start = source.taken - 1;
  const window = new Window(dictionaryOf(size, await source.take(4 * size + 3)), MAX_CHUNK);
  const whole = check();
  let unpacked = 0;
  for await (const piece of chunks(source, window)) {
    whole.add(piece);
    unpacked += piece.length;
    yield piece;
  }
  const packed = source.taken - start + whole.bytes;
  while ((source.taken - start) % 4 !== 0) need((await source.byte()) === 0, "padding");
  need(equalBytes(await source.take(whole.bytes), whole.value()), "the check of a block fails");
  return { packed, unpacked };
}

/** The size of the dictionary out of the head of a block, which has one filter, LZMA2. */
function dictionaryOf(size: number, rest: Uint8Array): number {
  const head = new Uint8Array([size, ...rest]);
  const end = head.length - 4;
  need(crc32(head.subarray(0, end)) === u32(head, end), "the head of a block is damaged");
  const flags = head[1]!;
  need((flags & 0x3f) === 0, "a filter that this page does not know");
  let at = 2;
  for (const bit of [0x40, 0x80]) {
    if ((flags & bit) === 0) continue;
    while (head[at]! >= 0x80) at++;
    at++;
  }
  need(head[at] === LZMA2 && head[at + 1] === 1, "a filter that this page does not know");
  const bits = head[at + 2]!;
  need(bits <= 40, "a dictionary of no size");
  const dictionary = bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11);
  need(dictionary <= MAX_DICTIONARY, "a dictionary that is too large for this page");
  return dictionary;
}

/** The unpacked chunks of LZMA2. */
async function* chunks(source: Source, window: Window): AsyncGenerator<Uint8Array> {
  const lzma = new Lzma(window);
  let done = 0; // since the dictionary was forgotten
  let [isFresh, isConfigured, isReset] = [true, false, false];
  for (;;) {
    const control = await source.byte();
    if (control === 0) return;
    window.makeRoom();
    const start = window.position;
    const reset = control >> 5 === 0 ? 0 : (control >> 5) & 3;
    if (control === 1 || control >= 0xe0) {
      window.forget();
      [isFresh, done] = [false, 0];
    }
    need(!isFresh, "the first chunk keeps a dictionary");
    if (control < 0x80) {
      need(control <= 2, "an unknown kind of chunk");
      for (const byte of await source.take(u16(await source.take(2)) + 1)) window.put(byte);
    } else {
      const sizes = (await source.take(4)).slice();
      const [unpacked, packed] = [((control & 0x1f) << 16) + u16(sizes) + 1, u16(sizes.subarray(2)) + 1];
      if (reset >= 2) {
        lzma.configure(await source.byte());
        isConfigured = true;
      }
      if (reset >= 1) {
        lzma.reset();
        isReset = true;
      }
      need(isConfigured && isReset && packed >= 5, "a chunk without its properties");
      lzma.decode(await source.take(packed), unpacked, done);
    }
    done += window.position - start;
    yield window.bytes.slice(start, window.position);
  }
}

function need(condition: boolean, what: string): asserts condition {
  if (!condition) throw new DamagedData(what);
}

const u16 = (raw: Uint8Array): number => (raw[0]! << 8) | raw[1]!;
const u32 = (raw: Uint8Array, at: number): number => new DataView(raw.buffer, raw.byteOffset).getUint32(at, true);

// -- checks of blocks --------------------------------------------------------------------------------

interface BlockCheck {
  readonly bytes: number;
  add(piece: Uint8Array): void;
  value(): Uint8Array;
}

const CRC32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let found = byte;
  for (let bit = 0; bit < 8; bit++) found = found & 1 ? (found >>> 1) ^ 0xedb88320 : found >>> 1;
  return found;
});

function crc32(raw: Uint8Array, before = 0): number {
  let found = ~before;
  for (const byte of raw) found = CRC32[(found ^ byte) & 255]! ^ (found >>> 8);
  return ~found >>> 0;
}

/** The table of CRC-64 (ECMA-182): the high and the low halves. */
const [HIGH, LOW] = crc64Table();

function crc64Table(): [Uint32Array, Uint32Array] {
  const [high, low] = [new Uint32Array(256), new Uint32Array(256)];
  for (let byte = 0; byte < 256; byte++) {
    let found = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) found = (found >> 1n) ^ (found & 1n ? 0xc96c5795d7870f42n : 0n);
    high[byte] = Number(found >> 32n);
    low[byte] = Number(found & 0xffffffffn);
  }
  return [high, low];
}

class Crc32Check implements BlockCheck {
  readonly bytes = 4;
  private found = 0;
  add(piece: Uint8Array): void {
    this.found = crc32(piece, this.found);
  }
  value(): Uint8Array {
    const made = new DataView(new ArrayBuffer(4));
    made.setUint32(0, this.found, true);
    return new Uint8Array(made.buffer);
  }
}

class Crc64Check implements BlockCheck {
  readonly bytes = 8;
  private high = -1;
  private low = -1;
  add(piece: Uint8Array): void {
    let { high, low } = this;
    for (const byte of piece) {
      const place = (low ^ byte) & 255;
      low = ((low >>> 8) | (high << 24)) ^ LOW[place]!;
      high = (high >>> 8) ^ HIGH[place]!;
    }
    [this.high, this.low] = [high, low];
  }
  value(): Uint8Array {
    const made = new DataView(new ArrayBuffer(8));
    made.setUint32(0, ~this.low >>> 0, true);
    made.setUint32(4, ~this.high >>> 0, true);
    return new Uint8Array(made.buffer);
  }
}

class Sha256Check implements BlockCheck {
  readonly bytes = 32;
  private readonly hash = digest.create();
  add(piece: Uint8Array): void {
    this.hash.update(piece);
  }
  value(): Uint8Array {
    return this.hash.digest();
  }
}

class NoCheck implements BlockCheck {
  readonly bytes = 0;
  add(): void {}
  value(): Uint8Array {
    return new Uint8Array();
  }
}

/** By the number of a check in the head of a stream. */
const CHECKS: Partial<Record<number, () => BlockCheck>> = {
  0: () => new NoCheck(),
  1: () => new Crc32Check(),
  4: () => new Crc64Check(),
  10: () => new Sha256Check(),
};
