/** Files as they are read: plain, gzip or xz, in lines or whole. */
import { joined } from "./bytes.ts";
import { Fault, demand } from "./fault.ts";
import { MAX_ARCHIVE_LINE, MAX_RECEIPT } from "./limits.ts";
import { unpackXz } from "./xz.ts";

const NEWLINE = 10;
const GZIP = [0x1f, 0x8b];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0];

/** How far a file has been read: its bytes, those that were unpacked, and those of the lines so far. */
export class Reading {
  private read = 0;
  private unpacked = 0;
  private before = 0;
  private line = 0;

  constructor(private readonly size: number) {}

  /** The share of the file that is done, 0 to 1, with a part (0 to 1) of the newest line. */
  done(part: number): number {
    const whole = this.read === 0 ? 0 : (this.size * this.unpacked) / this.read;
    return whole === 0 ? 0 : Math.min(1, (this.before + part * this.line) / whole);
  }

  takeLine(bytes: number): void {
    this.before += this.line;
    this.line = bytes;
  }

  takePiece(bytes: number): void {
    this.unpacked += bytes;
  }

  /** The bytes of a stream, counted on their way. */
  counted(stream: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const count = (chunk: Uint8Array<ArrayBuffer>, next: TransformStreamDefaultController) => {
      this.read += chunk.length;
      next.enqueue(chunk);
    };
    return stream.pipeThrough(new TransformStream({ transform: count }));
  }
}

/** The bytes of a file in pieces, uncompressed: by its first bytes, or as its name says. */
export async function* pieces(file: Blob, name = "", reading = new Reading(file.size)): AsyncGenerator<Uint8Array> {
  const head = new Uint8Array(await file.slice(0, XZ.length).arrayBuffer());
  const starts = (magic: number[]) => magic.every((byte, at) => head[at] === byte);
  const stream = reading.counted(file.stream());
  if (starts(XZ) || name.endsWith(".xz")) yield* unpackXz(piecesOf(stream));
  else if (starts(GZIP) || name.endsWith(".gz")) yield* unpackGzip(stream, file);
  else yield* piecesOf(stream);
}

/** The bytes of a packed file of one member (RFC 1952). `several-parts` if more follows: browsers unpack no other. */
async function* unpackGzip(packed: ReadableStream<Uint8Array<ArrayBuffer>>, file: Blob): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const piece of piecesOf(packed.pipeThrough(new DecompressionStream("gzip")))) {
    length += piece.length;
    yield piece;
  }
  // The last four bytes of a file are the length of its last member.
  const end = new DataView(await file.slice(-4).arrayBuffer());
  demand(end.getUint32(0, true) === length % 2 ** 32, "several-parts", `the first ${length} bytes are not all`);
}

async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await read(reader);
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

async function read(reader: Reader): Promise<Awaited<ReturnType<Reader["read"]>>> {
  try {
    return await reader.read();
  } catch (error) {
    const why = error instanceof Error ? `${error.message} ${causeOf(error)}` : String(error);
    // Browsers tell a cut stream from a damaged one, and from one with more behind it, in words alone.
    if (/junk|after the end|extra bytes/i.test(why)) throw new Fault("several-parts", why.trim().slice(0, 200));
    if (/truncat|unexpected end|premature|without reaching|incomplete|Z_BUF_ERROR/i.test(why)) {
      throw new Fault("truncated", "the compressed file ends too early");
    }
    throw new Fault("unreadable", why.trim().slice(0, 200));
  }
}

const causeOf = (error: Error & { code?: unknown }): string =>
  `${String(error.code ?? "")} ${error.cause instanceof Error ? causeOf(error.cause) + error.cause.message : ""}`;

/** The lines of a file, each with its newline; the last one may lack it. */
export async function* lines(file: Blob, name = "", reading = new Reading(file.size)): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let length = 0;
  const fits = () => demand(length <= MAX_ARCHIVE_LINE, "line-too-long", "a line is longer than any block can be");
  for await (const piece of pieces(file, name, reading)) {
    reading.takePiece(piece.length);
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      length += end + 1 - start;
      fits();
      reading.takeLine(length);
      yield joined([...held, piece.subarray(start, end + 1)]);
      held = [];
      length = 0;
      start = end + 1;
    }
    held.push(piece.slice(start));
    length += piece.length - start;
    fits();
  }
  if (length > 0) yield joined(held);
}

/** A line without its newline. `truncated` if it has none. */
export function whole(line: Uint8Array | undefined): Uint8Array {
  if (line?.at(-1) !== NEWLINE) throw new Fault("truncated", "the file ends too early");
  return line.subarray(0, -1);
}

/** All bytes of a file. */
export async function wholeFile(file: Blob, name = ""): Promise<Uint8Array> {
  const held: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces(file, name)) {
    held.push(piece);
    length += piece.length;
    demand(length <= MAX_RECEIPT, "line-too-long", `such a file has at most ${MAX_RECEIPT} bytes`);
  }
  return joined(held);
}

/** The one record of a file, without its newline. */
export async function oneRecord(file: Blob, name = ""): Promise<Uint8Array> {
  return whole(await wholeFile(file, name));
}

/** `wrong-format` or `wrong-version` unless a file is of this kind. */
export function checkFormat(head: { format: string; version: number }, format: string, version: number): void {
  demand(head.format === format, "wrong-format", head.format.slice(0, 200));
  demand(head.version === version, "wrong-version", String(head.version));
}
