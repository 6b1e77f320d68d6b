/** Which kind each file is that a trustee opens. */
import { Fault } from "../lib/fault.ts";
import { wholeFile } from "../lib/file.ts";
import { MAX_ARCHIVE_LINE } from "../lib/limits.ts";
import type { NamedBytes } from "./desk.ts";

/** Bytes of a file of a ceremony. One that is longer counts for nothing, and so much of it shows that. */
const MOST_BYTES = 64 * 1024 + 1;

export interface Taken {
  ceremony: NamedBytes[];
  archive: File | null;
  roll: Uint8Array | null;
  genesis: Uint8Array | null;
}

/** Reads the files of a ceremony, the genesis file and the roll; an archive is read when it is checked. */
export async function taken(files: readonly File[]): Promise<Taken> {
  const found: Taken = { ceremony: [], archive: null, roll: null, genesis: null };
  for (const file of files) {
    if (/\.html?$/i.test(file.name)) continue;
    const raw = await readable(file);
    const start = new TextDecoder().decode(raw);
    if (isArchive(file.name, start)) found.archive = file;
    else if (/"kind"\s*:\s*"votenet-roll/.test(start)) found.roll = await wholeFile(file, file.name);
    else if (isGenesis(start)) found.genesis = new Uint8Array(await file.slice(0, MAX_ARCHIVE_LINE).arrayBuffer());
    else found.ceremony.push({ name: file.name, raw });
  }
  return found;
}

/** The first bytes of a file. `unreadable` where the browser cannot read it: it was moved, or is a folder. */
async function readable(file: File): Promise<Uint8Array> {
  try {
    return new Uint8Array(await file.slice(0, MOST_BYTES).arrayBuffer());
  } catch {
    throw new Fault("unreadable", file.name);
  }
}

const isArchive = (name: string, start: string): boolean =>
  start.startsWith('{"format":"votenet-archive"') || /\.jsonl(\.gz|\.xz)?$/i.test(name);

/** The definition of an election names its authority; no record of a ceremony does. */
const isGenesis = (start: string): boolean => /^\s*\{/.test(start) && start.includes('"authority_key"');
