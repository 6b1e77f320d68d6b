/** What a trustee's page holds: the files of the ceremony, who the trustee is, and the key. Nothing of it is kept. */
import { toHex, utf8 } from "../lib/bytes.ts";
import { sha256 } from "../lib/hash.ts";
import { type Bulletin, type HeldRecord, STEPS, fileName, readBulletin } from "../secret/ceremony/bulletin.ts";
import { nameOf } from "../secret/ceremony/draft.ts";
import { TrusteeSeed } from "../secret/ceremony/key_generation.ts";
import { readRecoveryCode, recoveryGroups } from "../secret/ceremony/recovery_code.ts";
import { nextRecord, placeOf, rehearse } from "../secret/ceremony/trustee.ts";
import type { Entropy } from "../secret/group.ts";
import { Drafts, type NamedBytes, isDraft } from "./drafts.ts";

export type { NamedBytes };

/** Why a typed card is not taken. */
export type WrongCard =
  | { kind: "length"; length: number }
  | { kind: "group"; group: number; text: string }
  /** It is a card, but not that of this trustee in this ceremony. */
  | { kind: "other" };

/** What is next for a trustee who was named. */
export type Turn =
  | "ended"
  /** Neither a key nor a certificate of this trustee is here. */
  | "begin"
  /** The key was made just now: its cards come first. */
  | "cards"
  /** The key is not here, it is on cards, and there is something to do with it. */
  | "card"
  /** There are records to hand in. */
  | "hand-in"
  | "wait"
  | "complete";

/** As many files are held: a ceremony of 16 trustees has 64. */
const MOST_FILES = 1000;

export class Desk {
  bulletin: Bulletin | null = null;
  place: number | null = null;
  /** Records that were made here and are to be handed in; they stay until they are among the files that are opened. */
  made: HeldRecord[] = [];
  private readonly saved = new Set<HeldRecord>();
  /** Places of trustees who have cards of a key whose certificate was forgotten: a second key would end the ceremony. */
  private readonly haveCards = new Set<number>();
  private seed: TrusteeSeed | null = null;
  /** Whether the seed came from a card that was typed here. */
  private isTyped = false;
  private isNew = false;
  private readonly drafts = new Drafts();
  private readonly files = new Map<string, NamedBytes>();

  constructor(private readonly entropy: Entropy) {}

  // -- files ---------------------------------------------------------------------------------------

  /**
   * Takes files of the ceremony, in any order. Records among them that were made here are handed in. `bad-draft` and
   * the like where the only draft is none; `other-election` where nothing says which of two drafts is the ceremony's.
   */
  take(files: readonly NamedBytes[]): void {
    for (const { name, raw } of files) {
      if (isDraft(name, raw)) this.drafts.take(name, raw);
      else this.takeRecord(name, raw);
    }
    // Behind the choice of a name nothing becomes another ceremony.
    if (this.place === null) this.drafts.settle([...this.files.values()]);
    this.read();
  }

  /** Whether files are here, and the draft is not among them. */
  get lacksDraft(): boolean {
    return this.drafts.own === null && this.files.size > 0;
  }

  private takeRecord(name: string, raw: Uint8Array): void {
    const hash = toHex(sha256(raw));
    this.made = this.made.filter((record) => hashOf(record) !== hash);
    if (this.files.size < MOST_FILES) this.files.set(hash, { name, raw });
  }

  private read(): void {
    if (this.drafts.own === null) return;
    this.bulletin = readBulletin(
      this.drafts.own,
      [...this.files.values()].map(({ name, raw }) => [name, raw] as const),
    );
    this.bulletin.refused.push(...this.drafts.refused);
    // A key that was made just now, of a trustee who had one: it would end the ceremony.
    if (this.isNew && this.place !== null && this.bulletin.keysOf(this.place) !== undefined) this.forget();
  }

  // -- the key ---------------------------------------------------------------------------------------

  /** The name of the trustee; empty before it was chosen. */
  get name(): string {
    return this.bulletin === null || this.place === null ? "" : nameOf(this.bulletin.draft, this.place);
  }

  choose(place: number): void {
    if (place !== this.place) this.forget();
    this.place = place;
  }

  makeKey(): void {
    this.seed = TrusteeSeed.draw(this.entropy);
    this.isNew = true;
    this.isTyped = false;
  }

  /** The groups of the code for the two cards; null where there is no key. */
  get cardGroups(): string[] | null {
    return this.seed && recoveryGroups(this.seed);
  }

  /** Whether the cards are printed or written down: the last group was read from one of them. */
  confirmCards(typed: string): boolean {
    const wanted = this.cardGroups?.at(-1) ?? "";
    const isRead = wanted !== "" && plainOf(typed) === wanted;
    if (isRead) this.isNew = false;
    return isRead;
  }

  /** Takes the key from a typed card; says what is wrong with it. */
  typeCard(typed: string): WrongCard | null {
    const read = readRecoveryCode(typed);
    if (!read.ok && read.group === 0) return { kind: "length", length: read.length };
    if (!read.ok) return { kind: "group", group: read.group, text: groupIn(typed, read.group) };
    const found = placeOf(this.bulletin!, read.seed);
    const isMade = this.bulletin!.keysOf(this.place!) !== undefined;
    if (found === null ? isMade : found !== this.place) return { kind: "other" };
    this.seed = read.seed;
    this.isTyped = true;
    this.isNew = false;
    return null;
  }

  /** The seed, for what is done with it at once; null where there is no key. */
  get key(): TrusteeSeed | null {
    return this.isNew ? null : this.seed;
  }

  /** Forgets the key, and the records that nobody has: the page must not count them as handed in. */
  forget(): void {
    this.seed = null;
    this.isTyped = false;
    this.isNew = false;
    const lost = this.made.filter((record) => !this.saved.has(record));
    for (const record of lost) {
      this.files.delete(hashOf(record));
      if (record.step === "certificate") this.haveCards.add(record.place);
    }
    this.made = [];
    if (lost.length > 0) this.read();
  }

  /** The trustee has saved this record: it is not lost with the key. */
  noteSaved(record: HeldRecord): void {
    this.saved.add(record);
  }

  // -- steps -------------------------------------------------------------------------------------------

  /** Makes one record that is due, if there is one. `wrong-card`, `bad-share` and all that another trustee did wrong. */
  step(): boolean {
    const record = this.dueRecord();
    if (record === null) return false;
    this.files.set(hashOf(record), { name: fileName(record), raw: utf8(record.text) });
    this.made.push(record);
    this.read();
    return this.made.length < STEPS.length;
  }

  private dueRecord(): HeldRecord | null {
    const { bulletin, place, key: seed } = this;
    if (bulletin === null || place === null || seed === null || bulletin.equivocations.length > 0) return null;
    const waiting = bulletin.waiting();
    if (waiting === null || !waiting.places.includes(place)) return null;
    if (waiting.step === "rehearsal") return this.isTyped ? rehearse(bulletin, seed) : null;
    return nextRecord(bulletin, seed, place);
  }

  /** Whether every trustee has done everything. */
  get isComplete(): boolean {
    return this.bulletin !== null && this.bulletin.waiting() === null && this.bulletin.equivocations.length === 0;
  }

  /** What is next; null before a trustee is named. */
  get turn(): Turn | null {
    const { bulletin, place } = this;
    if (bulletin === null || place === null) return null;
    if (bulletin.equivocations.length > 0) return "ended";
    if (this.isNew) return "cards";
    const waiting = bulletin.waiting();
    const isDue = waiting?.places.includes(place) ?? false;
    if (this.seed === null && bulletin.keysOf(place) === undefined) return this.haveCards.has(place) ? "card" : "begin";
    if (isDue && (this.seed === null || waiting?.step === "rehearsal")) return "card";
    if (this.made.length > 0) return "hand-in";
    return waiting === null ? "complete" : "wait";
  }
}

/** Under which a record is among the files. */
const hashOf = ({ text }: HeldRecord): string => toHex(sha256(utf8(text)));

/** Typed characters as they stand on a card. */
const plainOf = (typed: string): string =>
  typed
    .replace(/[\s\p{Pd}]/gu, "")
    .toUpperCase()
    .replace(/[IL]/g, "1")
    .replace(/O/g, "0");

const LENGTHS = [5, 5, 5, 5, 6, 6];

/** What was typed for a group, from 1 on. */
function groupIn(typed: string, group: number): string {
  const start = LENGTHS.slice(0, group - 1).reduce((sum, one) => sum + one, 0);
  return plainOf(typed).slice(start, start + LENGTHS[group - 1]!);
}
