/** Amendments, and the roll, the weights and the closing time in force behind them. */
import { hex } from "./bytes.ts";
import { type Election, MAX_TOTAL_WEIGHT, isSecret } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { isObject } from "./json.ts";
import { keyCanSign, signatureHolds } from "./keys.ts";
import * as limits from "./limits.ts";
import type { Roll } from "./roll.ts";
import { type Check, type Of, hash, integer, list, nodeSignature, nullable, object, oneOf, text } from "./shape.ts";
import { isLine } from "./text.ts";

const members = {
  action: oneOf("add-voter", "replace-key", "extend", "close", "cancel"),
  closes: nullable(integer()),
  key: nullable(hash),
  kind: oneOf("amendment"),
  network_id: hash,
  number: integer(1, limits.MAX_AMENDMENTS),
  reason: text(0, limits.MAX_STATEMENT),
  signature: nodeSignature,
  voter_id: nullable(text(1, limits.MAX_VOTER_ID)),
  weight: nullable(integer(1, limits.MAX_WEIGHT)),
};
const plain = object(members);
const withCredential = object({ ...members, credential: hash });

export type Amendment = Of<typeof plain> & {
  /** The public credential of the voter, as Belenios writes it: of changes of the roll in secret elections alone. */
  credential?: string;
};

/** The shape of an amendment. */
export const amendment: Check<Amendment> = (value) =>
  isObject(value) && "credential" in value ? withCredential(value) : plain(value);
export const amendments = list(amendment, 0, limits.MAX_AMENDMENTS);

const MEMBERS: Record<Amendment["action"], string> = {
  "add-voter": "key voter_id weight",
  "replace-key": "key voter_id",
  extend: "closes",
  close: "closes",
  cancel: "",
};

/** What is known where there is a chain: the time of the block, and who voted up to it, with this block. */
export interface Place {
  time: number;
  hasVoted(voter: string): boolean;
}

interface RollFacts {
  keys: ReadonlySet<string>;
  credentials: ReadonlySet<string>;
  weight: number | null;
}

/** The keys and credentials on the roll of the definition, and its weight: null where it is not known. */
function rollFacts(election: Election, roll: Roll | null): RollFacts {
  const { weighted, roll_size } = election.definition;
  if (roll === null) return { keys: new Set(), credentials: new Set(), weight: weighted ? null : roll_size };
  const entries = [...roll.values()];
  const weight = entries.reduce((sum, entry) => sum + entry.weight, 0);
  const credentials = new Set(entries.map((entry) => entry.credential));
  return { keys: new Set(entries.map((entry) => entry.key)), credentials, weight };
}

/** The election in force. It is not changed; `amended` returns the next one. */
export class InForce {
  readonly records: Amendment[] = [];
  /** The keys that amendments gave, by voter id. */
  readonly keys = new Map<string, string>();
  /** The credentials that amendments gave, by voter id: in secret elections alone. */
  readonly credentials = new Map<string, string>();
  /** The weights of the voters whom amendments added. */
  readonly added = new Map<string, number>();
  /** Every key and every credential that an amendment ever gave. */
  private readonly given = new Set<string>();
  private readonly givenCredentials = new Set<string>();
  closes: number | null;
  cancelled = false;

  constructor(
    readonly election: Election,
    readonly roll: Roll | null = null,
    private readonly first = rollFacts(election, roll),
  ) {
    this.closes = election.definition.closes;
  }

  /** The key in force of a voter; undefined where it is not known here. */
  keyOf(voter: string): string | undefined {
    return this.keys.get(voter) ?? this.roll?.get(voter)?.key;
  }

  /** The public credential in force of a voter; undefined where it is not known here, or ballots are public. */
  credentialOf(voter: string): string | undefined {
    return this.credentials.get(voter) ?? (this.roll?.get(voter)?.credential || undefined);
  }

  weightOf(voter: string): number {
    if (!this.election.definition.weighted) return 1;
    return this.added.get(voter) ?? this.roll!.get(voter)!.weight;
  }

  /** The weight of all voters on the roll in force; null without a roll, or where it is not known. */
  rollWeight(): number | null {
    return this.first.weight === null ? null : this.first.weight + this.addedWeight();
  }

  private addedWeight(): number {
    return [...this.added.values()].reduce((sum, weight) => sum + weight, 0);
  }

  /** What is in force behind more amendments, judged in the order of their numbers. */
  amended(records: readonly Amendment[], place: Place | null): InForce {
    const next = this.copy();
    for (const record of [...records].sort((left, right) => left.number - right.number)) {
      const wrong = wrongInItself(record, this.election) || next.wrongHere(record, place);
      if (wrong !== "") throw new Fault("bad-amendment", `amendment ${record.number}: ${wrong}`);
      next.take(record);
    }
    return next;
  }

  private copy(): InForce {
    const next = new InForce(this.election, this.roll, this.first);
    next.records.push(...this.records);
    for (const [voter, key] of this.keys) next.keys.set(voter, key);
    for (const [voter, weight] of this.added) next.added.set(voter, weight);
    for (const key of this.given) next.given.add(key);
    for (const credential of this.givenCredentials) next.givenCredentials.add(credential);
    for (const [voter, credential] of this.credentials) next.credentials.set(voter, credential);
    next.closes = this.closes;
    next.cancelled = this.cancelled;
    return next;
  }

  /** Why an amendment does not fit what is in force; empty if it does. */
  private wrongHere(record: Amendment, place: Place | null): string {
    if (record.number !== this.records.length + 1) return `the next one has number ${this.records.length + 1}`;
    if (this.cancelled) return "the election was cancelled";
    return this.wrongHours(record, place) || this.wrongVoter(record, place);
  }

  private wrongHours({ action, closes }: Amendment, place: Place | null): string {
    if (closes === null) return "";
    const { opens } = this.election.definition;
    if (action === "extend" && (this.closes === null || closes <= this.closes)) return "it does not close later";
    if (action === "close" && this.closes !== null && closes >= this.closes) return "it does not close earlier";
    if (opens !== null && closes <= opens) return "it closes before the opening";
    const first = Math.min(closes, this.closes ?? closes);
    const late = place !== null && place.time + limits.NOTICE_SECONDS > first;
    return late ? `its block is less than ${limits.NOTICE_SECONDS} seconds before a closing` : "";
  }

  private wrongVoter({ action, credential, key, voter_id: voter, weight }: Amendment, place: Place | null): string {
    if (voter === null || key === null) return "";
    if (this.given.has(key) || this.first.keys.has(key)) return "its key is, or was, that of a voter";
    const { givenCredentials, first } = this;
    const isTaken = credential !== undefined && (givenCredentials.has(credential) || first.credentials.has(credential));
    if (isTaken) return "its credential is, or was, that of a voter";
    const known = this.keyOf(voter) !== undefined;
    if (action === "add-voter") {
      if (known) return `${voter} is on the roll`;
      const total = (this.first.weight ?? 0) + this.addedWeight() + (weight ?? 0);
      const most = isSecret(this.election.definition) ? MAX_TOTAL_WEIGHT : limits.MAX_SAFE_INTEGER;
      return total > most ? "the weights are too large together" : "";
    }
    if (!known && this.roll !== null) return `${voter} is not on the roll`;
    return place?.hasVoted(voter) === true ? `${voter} has voted` : "";
  }

  private take(record: Amendment): void {
    this.records.push(record);
    this.cancelled = record.action === "cancel";
    this.closes = record.closes ?? this.closes;
    if (record.voter_id !== null && record.key !== null) {
      this.keys.set(record.voter_id, record.key);
      this.given.add(record.key);
      if (record.credential !== undefined) {
        this.credentials.set(record.voter_id, record.credential);
        this.givenCredentials.add(record.credential);
      }
      if (record.weight !== null) this.added.set(record.voter_id, record.weight);
    }
  }
}

/** Why a record is no amendment by the authority of this election; empty if it is one. */
function wrongInItself(record: Amendment, election: Election): string {
  const { authority_key: authority, registration, weighted } = election.definition;
  if (!election.named || authority === null) return "this election has none: no named nodes, or no authority";
  if (record.network_id !== election.networkHex) return "it is of another network";
  const has = (["closes", "key", "voter_id", "weight"] as const).filter((name) => record[name] !== null);
  if (has.join(" ") !== MEMBERS[record.action]) return "it has other members than its action asks for";
  if (!isLine(record.reason) || !isLine(record.voter_id ?? "")) return "a character of its texts is not allowed";
  if (record.key !== null && registration !== "roll") return "this election has no roll";
  if (record.key !== null && !keyCanSign(hex(record.key))) return "its key is none";
  if (record.weight !== null && record.weight !== 1 && !weighted) return "this election has no weights";
  const wanted = isSecret(election.definition) && record.key !== null;
  const { credential } = record;
  if ((credential !== undefined) !== wanted) return `it has ${wanted ? "no credential" : "a credential"}`;
  // Belenios writes a point as a number: its last byte comes first.
  if (credential !== undefined && !keyCanSign(hex(credential).reverse())) return "its credential is none";
  const { kind: _, signature, ...signed } = record;
  const holds = signatureHolds(hex(authority), prefixed(limits.DOMAIN_AMENDMENT, signed), hex(signature));
  return holds ? "" : "the authority did not sign it";
}

/** What is in force behind the amendments that a receipt or a result carries, judged without a chain. */
export function takeAmendments(records: readonly Amendment[], force: InForce): InForce {
  const numbered = records.every((record, index) => record.number === index + 1);
  demand(numbered, "bad-amendment", "the amendments are not numbered 1, 2, 3 and so on");
  const next = force.amended(records, null);
  demand(!next.cancelled, "cancelled", "the election was cancelled");
  return next;
}
