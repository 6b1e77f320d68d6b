/** Which of the files that a trustee opens is the draft of the ceremony; the others count for nothing. */
import { toHex } from "../lib/bytes.ts";
import { Fault } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";
import { type Refused, readRecord } from "../secret/ceremony/bulletin.ts";
import { type Draft, readDraft } from "../secret/ceremony/draft.ts";

export interface NamedBytes {
  readonly name: string;
  readonly raw: Uint8Array;
}

const DRAFT = "draft.json";
/** As many drafts are held, and as many files that are none: the folders of many elections have fewer. */
const MOST_DRAFTS = 100;

/** Whether a file looks like a draft; it need not be one. */
export function isDraft(name: string, raw: Uint8Array): boolean {
  const start = new TextDecoder().decode(raw.subarray(0, 10));
  return name === DRAFT || start === '{"closes":';
}

export class Drafts {
  /** The draft of the ceremony; null before it is known. */
  own: Draft | null = null;
  /** Drafts by the hash of their bytes. */
  private readonly read = new Map<string, { name: string; draft: Draft }>();
  /** What cannot be read, by name. */
  private readonly unread = new Map<string, Fault>();

  take(name: string, raw: Uint8Array): void {
    try {
      this.add(name, toHex(sha256(raw)), readDraft(raw));
      this.unread.delete(name); // a damaged one that was sent again
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      if (this.unread.size < MOST_DRAFTS) this.unread.set(name, error);
    }
  }

  private add(name: string, hash: string, draft: Draft): void {
    const isNew = !this.read.has(hash);
    if (isNew ? this.read.size < MOST_DRAFTS : name === DRAFT) this.read.set(hash, { name, draft });
  }

  /**
   * Finds the draft of the ceremony: the one that is called draft.json, else the one that was found before, else the
   * one that these records are of. `other-election` where that leaves two, and the fault of a file where it leaves none
   */
  settle(records: readonly NamedBytes[]): void {
    const all = [...this.read.values()];
    const named = all.filter(({ name }) => name === DRAFT);
    if (named.length === 1) this.own = named[0]!.draft;
    if (this.own !== null) return;
    const found = all.length > 1 ? ofRecords(all, records) : all;
    if (found.length > 1) {
      const names = found.map(({ name }) => name).join(", ");
      throw new Fault("other-election", `these drafts are of different elections, or one is older: ${names}`);
    }
    this.own = found[0]?.draft ?? null;
    const broken = this.own === null ? [...this.unread][0] : undefined;
    if (broken !== undefined) throw new Fault(broken[1].code, `${broken[0]}: ${broken[1].where}`);
  }

  /** The files that look like the draft of the ceremony, and are not. */
  get refused(): Refused[] {
    const others = [...this.read.values()].filter(({ draft }) => draft.digest !== this.own?.digest);
    const fault = new Fault("wrong-draft", "the draft is of another election, or an older one of this election");
    const unread = [...this.unread].map(([source, fault]) => ({ source, fault }));
    return [...unread, ...others.map(({ name }) => ({ source: name, fault }))];
  }
}

/** The one draft that records are of; all where none or several are. */
function ofRecords<T extends { draft: Draft }>(all: T[], records: readonly NamedBytes[]): T[] {
  const digests = new Set(records.map(({ raw }) => digestOf(raw)));
  const found = all.filter(({ draft }) => digests.has(draft.digest));
  return found.length === 1 ? found : all;
}

function digestOf(raw: Uint8Array): string | null {
  try {
    return readRecord(raw).draft;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return null;
  }
}
