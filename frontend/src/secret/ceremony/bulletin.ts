/** The bulletin of a ceremony: the records of all trustees, each checked, in any order, from any source. */
import { compareText, toHex, utf8 } from "../../lib/bytes.ts";
import { Fault, demand } from "../../lib/fault.ts";
import { sha256 } from "../../lib/hash.ts";
import { hash, integer, oneOf } from "../../lib/shape.ts";
import { documentText } from "../documents.ts";
import { type Element, IDENTITY } from "../group.ts";
import { type Form, type Of, decode, encode, plain, proof, struct, words } from "./codec.ts";
import { type Draft, nameOf } from "./draft.ts";
import {
  type PolynomialMessage,
  type VerificationOutput,
  checkPolynomials,
  finishThreshold,
  polynomialMessage,
  verificationOutput,
} from "./key_generation.ts";
import { partialDecryption } from "./partial_decryption.ts";
import { type Rehearsal, checkRehearsal, rehearsalOf } from "./rehearsal.ts";
import {
  type CertificateKeys,
  type Coefficients,
  type SignedMessage,
  type ThresholdParameters,
  checkCoefficients,
  checkVerificationKey,
  isContext,
  isSigned,
  keysIn,
  signedMessage,
  trusteesText,
} from "./trustees.ts";

export const STEPS = ["certificate", "coefficients", "key", "rehearsal"] as const;
export type Step = (typeof STEPS)[number];
/** Bytes of a record. */
const MAX_RECORD = 64 * 1024;
const SPOKEN_DIGITS = 40;

const recordForm = struct({
  draft: plain(hash),
  place: plain(integer(1)),
  step: plain(oneOf(...STEPS)),
  seen: plain(hash),
  content: words,
  signature: proof,
});
/** What one trustee publishes in one step. `seen`: the hash of all records before, as this trustee saw them. */
export type CeremonyRecord = Of<typeof recordForm>;

/** A record with its exact text. */
export interface HeldRecord extends CeremonyRecord {
  readonly text: string;
}

/** Two records of one step that one trustee signed: proof that it told others different things. */
export interface Equivocation {
  readonly place: number;
  readonly step: Step;
  readonly records: readonly [HeldRecord, HeldRecord];
}

/** A file that counts for nothing, and why. */
export interface Refused {
  readonly source: string;
  readonly fault: Fault;
}

/** What a trustee signs of a record. */
export function signedText(one: Pick<CeremonyRecord, "draft" | "place" | "step" | "seen" | "content">): string {
  const digest = toHex(sha256(utf8(one.content)));
  return `votenet/ceremony/1|${one.draft}|${one.place}|${one.step}|${one.seen}|${digest}`;
}

export const heldRecord = (record: CeremonyRecord): HeldRecord => ({ ...record, text: encode(recordForm, record) });

/** The name of a record's file. */
export const fileName = ({ place, step, text }: HeldRecord): string =>
  `${place}-${step}-${toHex(sha256(utf8(text))).slice(0, 8)}.json`;

/** The record in these bytes; nothing is checked. */
export function readRecord(raw: Uint8Array): HeldRecord {
  demand(raw.length <= MAX_RECORD, "bad-trustee-record", `a record has more than ${MAX_RECORD} bytes`);
  const text = documentText(raw, "the record");
  return { ...decode(recordForm, text, "the record"), text };
}

/** All records of a ceremony that hold, and what is wrong with the others. */
export class Bulletin {
  readonly equivocations: Equivocation[] = [];
  readonly refused: Refused[] = [];
  private readonly records = new Map<string, HeldRecord>();
  private readonly found = new Map<string, unknown>();

  constructor(readonly draft: Draft) {}

  // -- what stands ---------------------------------------------------------------------------------

  get places(): number[] {
    return this.draft.trustees.map((_, at) => at + 1);
  }

  record(step: Step, place: number): HeldRecord | undefined {
    return this.records.get(`${step} ${place}`);
  }

  /** The records of a step, in order of place. */
  ofStep(step: Step): HeldRecord[] {
    return this.places.flatMap((place) => this.record(step, place) ?? []);
  }

  /** Whether every trustee has done this step. */
  isWhole(step: Step): boolean {
    return this.ofStep(step).length === this.draft.trustees.length;
  }

  /** Who is waited for; null when the ceremony is complete. It says nothing of one that has ended. */
  waiting(): { step: Step; places: number[] } | null {
    const step = STEPS.find((one) => !this.isWhole(one));
    if (step === undefined) return null;
    return { step, places: this.places.filter((place) => this.record(step, place) === undefined) };
  }

  /** `two-records` when the ceremony has ended without a key. */
  checkGoing(): void {
    for (const { place, step } of this.equivocations) {
      const name = nameOf(this.draft, place);
      throw new Fault("two-records", `${name} handed in two different records of the step ${step}`);
    }
  }

  /** What a record of this step must have seen: the hash of the records before, by step and place. */
  seenBefore(step: Step): string {
    const earlier = STEPS.slice(0, STEPS.indexOf(step)).flatMap((one) => this.ofStep(one));
    const hashes = earlier.map(({ text }) => sha256(utf8(text)));
    return toHex(sha256(utf8("votenet/ceremony-records/1\n"), ...hashes));
  }

  /** The hash of all records before the rehearsal as people read it out: eight numbers of five digits. */
  spoken(): string {
    const number = BigInt(`0x${this.seenBefore("rehearsal")}`) % 10n ** BigInt(SPOKEN_DIGITS);
    return `${number}`.padStart(SPOKEN_DIGITS, "0").replace(/.{5}(?=.)/g, "$& ");
  }

  // -- what the steps come to: `ceremony-incomplete` before they are whole -------------------------

  get certificates(): SignedMessage[] {
    return this.contents("certificate", signedMessage);
  }

  get polynomials(): PolynomialMessage[] {
    return this.contents("coefficients", polynomialMessage);
  }

  get outputs(): VerificationOutput[] {
    return this.contents("key", verificationOutput);
  }

  /** Keys in the certificate of a trustee, once it is there. */
  keysOf(place: number): CertificateKeys | undefined {
    const record = this.record("certificate", place);
    return record && this.once(`keys ${place}`, () => keysIn(certificateOf(record)));
  }

  get coefficients(): Coefficients[] {
    return this.once("coefficients", () => checkPolynomials(this.certificates, this.polynomials));
  }

  get parameters(): ThresholdParameters {
    return this.once("parameters", () => finishThreshold(this.certificates, this.polynomials, this.outputs));
  }

  /** Belenios' `trustees`, whose hash the definition of the election has. */
  get trustees(): string {
    return trusteesText(this.parameters);
  }

  /** The election's public key. */
  get key(): Element {
    return this.coefficients.reduce((sum, one) => sum.plus(one.coefexps[0]!), IDENTITY);
  }

  /** The verification keys, by place. */
  get keys(): Element[] {
    return this.parameters.verification_keys.map((one) => one.public_key);
  }

  get rehearsal(): Rehearsal {
    return this.once("rehearsal", () => rehearsalOf(this.draft, this.key));
  }

  private contents<T>(step: Step, form: Form<T>): T[] {
    return this.once(`records ${step}`, () => {
      demand(this.isWhole(step), "ceremony-incomplete", `not every trustee has done the step ${step}`);
      return this.ofStep(step).map(({ content }) => decode(form, content, "the record"));
    });
  }

  /** What was computed once. Steps are taken in their order, so it does not change. */
  private once<T>(name: string, compute: () => T): T {
    if (!this.found.has(name)) this.found.set(name, compute());
    return this.found.get(name) as T;
  }

  // -- taking records ------------------------------------------------------------------------------

  /** Takes the records of one step; those of the steps before were taken. */
  takeStep(step: Step, found: readonly (readonly [source: string, record: HeldRecord])[]): void {
    const sorted = [...found].sort(
      ([, one], [, other]) => one.place - other.place || compareText(one.text, other.text),
    );
    for (const [source, record] of sorted) {
      try {
        this.check(record);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        this.refused.push({ source, fault: error });
        continue;
      }
      const first = this.record(step, record.place);
      if (first === undefined) this.records.set(`${step} ${record.place}`, record);
      else if (first.text !== record.text) {
        this.equivocations.push({ place: record.place, step, records: [first, record] });
      }
    }
  }

  /** Whether the trustee at this place made this record for this step of this draft. */
  private check(record: HeldRecord): void {
    const { draft } = this;
    const { place, step } = record;
    const size = draft.trustees.length;
    demand(record.draft === draft.digest, "wrong-draft", "a record belongs to another election or an older draft");
    demand(place <= size, "bad-trustee-record", `a record is of trustee ${place}, and there are ${size}`);
    const name = nameOf(draft, place);
    const before = STEPS[STEPS.indexOf(step) - 1];
    const isDue = before === undefined || this.isWhole(before);
    demand(isDue, "too-early", `${name} is ahead: the step ${before} is not complete here`);
    const keys = step === "certificate" ? this.newKeys(record) : this.keysOf(place)!;
    const isOwn = isSigned(keys.verification, signedText(record), record.signature);
    demand(isOwn, "bad-trustee-record", `${name} did not sign a record of the step ${step}`);
    const sawThese = record.seen === this.seenBefore(step);
    demand(sawThese, "bad-trustee-record", `before the step ${step} ${name} saw other records than are here`);
    this.checkContent(record, keys, name);
  }

  private newKeys(record: HeldRecord): CertificateKeys {
    const keys = keysIn(certificateOf(record));
    for (let place = 1; place < record.place; place++) {
      const isSame = this.keysOf(place)?.verification.equals(keys.verification) ?? false;
      const names = `${nameOf(this.draft, place)} and ${nameOf(this.draft, record.place)}`;
      demand(!isSame, "bad-trustee-record", `${names} have the same key`);
    }
    return keys;
  }

  private checkContent({ step, place, content }: HeldRecord, keys: CertificateKeys, name: string): void {
    const { threshold, trustees } = this.draft;
    const size = trustees.length;
    if (step === "certificate") {
      const { message, signature } = decode(signedMessage, content, "the certificate");
      const isHere = isContext(keys, size, threshold, place);
      demand(isHere, "bad-trustee-record", `the key of ${name} is for another place`);
      const isOwn = isSigned(keys.verification, message, signature);
      demand(isOwn, "bad-trustee-certificate", "a certificate is not signed by its own key");
    } else if (step === "coefficients") {
      const { coefexps, signature, secrets } = decode(polynomialMessage, content, "the record");
      checkCoefficients(this.certificates, keys, coefexps, signature);
      demand(secrets.length === size, "bad-trustee-record", `${name} left out the share of a trustee`);
    } else if (step === "key") {
      const output = decode(verificationOutput, content, "the record");
      checkVerificationKey(keys, this.coefficients, output.public_key);
    } else {
      const decryption = decode(partialDecryption, content, "the record");
      checkRehearsal(this.rehearsal, this.keys[place - 1]!, decryption);
    }
  }
}

const certificateOf = ({ content }: CeremonyRecord) => decode(signedMessage, content, "the certificate");

/** The bulletin that these files make, by name of file; the order does not matter. It names what does not hold. */
export function readBulletin(draft: Draft, files: Iterable<readonly [source: string, raw: Uint8Array]>): Bulletin {
  const bulletin = new Bulletin(draft);
  const records: [string, HeldRecord][] = [];
  for (const [source, raw] of files) {
    try {
      records.push([source, readRecord(raw)]);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      bulletin.refused.push({ source, fault: error });
    }
  }
  for (const step of STEPS) {
    bulletin.takeStep(
      step,
      records.filter(([, one]) => one.step === step),
    );
    if (bulletin.equivocations.length > 0) break;
  }
  return bulletin;
}
