/** Archives: a whole election, checked block by block and counted again. */
import type { Ballot } from "../secret/ballot.ts";
import { type Amendment, InForce } from "./amendment.ts";
import { type BlockLine, Body, blockLine, checkMiner } from "./block.ts";
import { equalBytes, hex, toHex } from "./bytes.ts";
import { Closing } from "./closing.ts";
import { type Contest, type Definition, Election, definition } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { Reading, checkFormat, lines, whole } from "./file.ts";
import { HeaderChain } from "./header.ts";
import { type Json, type JsonObject, isObject, parseRecord } from "./json.ts";
import { ARCHIVE_FORMAT, FORMAT_VERSION } from "./limits.ts";
import { Log, leafHash } from "./merkle.ts";
import { type ContestCount, countContest } from "./methods/count.ts";
import { type Counted, Tally } from "./methods/tally.ts";
import { readCertificate } from "./note.ts";
import { rollSteps } from "./roll.ts";
import { checkable } from "./secret_rules.ts";
import { type Decryption, SecretCount, provenBallot, secretOf } from "./secret_votes.ts";
import { type Of, bad, hash, integer, list, object, text } from "./shape.ts";
import { type Between, paused, pausedIn } from "./steps.ts";
import { type Vote, checkVote, checkVoteSignature } from "./vote.ts";

const head = object({ format: text(), network_id: hash, version: integer() });
const definitionLine = object({ definition });
const members = { certificate: text(), height: integer(), tip: hash, votes: integer() };
const plainTotals = object(members);
const totalsWithShares = object({ ...members, shares: list(text()) });
type Totals = Of<typeof plainTotals> & { shares?: string[] };

const totals = (value: JsonObject): Totals => ("shares" in value ? totalsWithShares(value) : plainTotals(value));

function line(value: Json): BlockLine | Totals {
  if (!isObject(value)) bad("a line is an object");
  return "tip" in value && !("header" in value) ? totals(value) : blockLine(value);
}

/** A file, by its bytes and its name. */
export interface NamedFile {
  blob: Blob;
  name: string;
}

/** What a file is compared with, and by which clock (Unix seconds) it is checked. */
export interface Context {
  now: number;
  /** The network id that it must be of. */
  network?: string | null;
  /** The bytes of the roll file. */
  roll?: Uint8Array | null;
  /** Ids of votes (hex) that an archive is searched for. */
  sought?: readonly string[];
  /** Called after every few milliseconds, with the votes so far and the share of the file that is done. */
  step?: Between;
}

/** What a reader of an archive keeps while the blocks go by. */
export class Books {
  readonly headers: HeaderChain;
  readonly log = new Log();
  readonly closing: Closing;
  /** The id of the vote of each voter. */
  readonly voters = new Map<string, string>();
  /** The ids of all votes in blocks. */
  readonly voteIds = new Set<string>();
  private readonly tallies: Tally[];
  /** Of secret ballots. */
  readonly secret: SecretCount | null;

  constructor(
    readonly election: Election,
    public force: InForce,
    private readonly context: Context,
    private readonly reading: Reading,
  ) {
    this.headers = new HeaderChain(election, context.now);
    this.log.add(leafHash(this.headers.genesis));
    this.closing = new Closing(election);
    this.tallies = election.definition.contests.map(() => new Tally());
    const secret = secretOf(election);
    this.secret = secret === null ? null : new SecretCount(election.definition, secret);
  }

  /** Checks the next block, in the order of the steps of docs/audit.md, and counts its votes. */
  async takeBlock(one: BlockLine): Promise<void> {
    const { election, headers, force } = this;
    const { root, time } = headers.add(one.header);
    checkMiner(one.miner, headers.tip, headers.height, election);
    const body = new Body(one);
    body.check(root, time, election);
    const isOnChain = (id: string) => this.voteIds.has(id);
    this.closing.add(body, one.closing, headers.height, force, isOnChain, (voter) => this.voters.has(voter));
    const next = this.judged(body, time);
    for (const vote of body.votes) checkVote(vote, election, force);
    for (const vote of body.notCounted) checkVote(vote, election, force, false);
    for (const { voter_id } of body.votes) {
      demand(!this.voters.has(voter_id), "voter-twice", `${voter_id} has voted before`);
    }
    const ballots = await this.proven([...body.votes, ...body.notCounted]);
    this.count(body, ballots);
    this.force = next;
    for (const id of body.ids) this.log.add(id);
    this.log.add(leafHash(hex(one.header)));
  }

  /** Checks signatures, and the proofs of secret ballots; returns these ballots, in the order of the votes. */
  private async proven(votes: readonly Vote[]): Promise<Ballot[]> {
    const ballots: Ballot[] = [];
    for (const [index, vote] of votes.entries()) {
      const pause = () => this.pause(this.voters.size + index + 1, (index + 1) / votes.length);
      checkVoteSignature(vote);
      if (this.secret !== null) ballots.push(await paused(provenBallot(vote, this.secret.election), pause));
      await pause();
    }
    return ballots;
  }

  private pause(votes: number, part: number): Promise<void> | undefined {
    return this.context.step?.(votes, this.reading.done(part));
  }

  /** What is in force behind the amendments of a block. */
  private judged(body: Body, time: number): InForce {
    if (body.amendments.length === 0) return this.force;
    const here = new Set(body.votes.map((vote) => vote.voter_id));
    return this.force.amended(body.amendments, {
      time,
      hasVoted: (voter) => here.has(voter) || this.voters.has(voter),
    });
  }

  private count(body: Body, ballots: readonly Ballot[]): void {
    body.votes.forEach((vote, at) => {
      const id = toHex(body.ids[at]!);
      this.voters.set(vote.voter_id, id);
      this.voteIds.add(id);
      const weight = this.force.weightOf(vote.voter_id);
      this.secret?.add(ballots[at]!, weight);
      vote.choices.forEach((choices, contest) => this.tallies[contest]!.add(choices, weight));
    });
  }

  /** Takes the shares of trustees, if the file has some. */
  async takeShares(shares: readonly string[] | undefined, signers: readonly number[]): Promise<void> {
    if (shares === undefined) return;
    if (this.secret === null) bad("shares of trustees, and public ballots");
    const isFinal = this.closing.over && !this.force.cancelled && signers.length > 0;
    demand(isFinal, "not-final", "trustees decrypt nothing before the result is final");
    await paused(this.secret.open(shares), () => this.context.step?.(this.voters.size, null));
  }

  /** Whether what was voted is not known: the ballots are secret, and too few trustees have decrypted. */
  get sealed(): boolean {
    return this.secret !== null && this.secret.opened === null;
  }

  /** The count of each contest; nothing is counted where the election was cancelled. */
  counted(): ContestCount[] {
    const { election, force } = this;
    const tallies = this.secret?.opened ?? this.tallies;
    return election.definition.contests.map((contest, index) =>
      force.cancelled
        ? { counted: notHeld(), rounds: [], matrix: [] }
        : countContest(contest, tallies[index]!, election.networkHex, force.rollWeight()),
    );
  }

  totals(): { height: number; tip: string; votes: number } {
    return { height: this.headers.height, tip: toHex(this.headers.tip), votes: this.voters.size };
  }

  /** The named nodes that signed the log as it is now; none without a certificate. */
  signers(certificate: string): number[] {
    if (certificate === "") return [];
    demand(this.election.named, "bad-note", "a certificate, though no nodes are named");
    const { size, root, signers } = readCertificate(certificate, this.election);
    const same = size === BigInt(this.log.size) && equalBytes(root, this.log.root());
    demand(same, "bad-checkpoint", "the certificate is of another log than these blocks");
    return signers;
  }
}

function notHeld(): Counted {
  return {
    ...{ counts: [], votes: 0, blank: 0, weight: 0, state: "cancelled" },
    ...{ winners: [], tied: [], quota: "", conditions: [] },
  };
}

/** How sure a result is. */
export type Finality =
  /** No nodes are named: anybody may rewrite it. */
  | "never"
  /** Named nodes have not signed it. */
  | "unsigned"
  /** The votes so far are signed, and more may come. */
  | "so-far"
  /** Votes of the closing are to come. */
  | "closing"
  | "cancelled"
  | "final";

export interface ContestReport extends ContestCount {
  contest: Contest;
}

export interface ArchiveReport {
  kind: "archive";
  definition: Definition;
  networkId: string;
  height: number;
  tip: string;
  votes: number;
  work: bigint;
  contests: ContestReport[];
  closes: number | null;
  amendments: Amendment[];
  finality: Finality;
  /** Names of the nodes that signed, and how many there are. */
  signedBy: string[];
  roll: "open" | "checked" | "not-checked";
  /** Votes that the closing counts and that are in no block yet. */
  toCome: number;
  /** Whether counts may be shown: false until voting is over, where the organisers ask for that, and of sealed votes. */
  shown: boolean;
  /** Who has decrypted the count; null where ballots are public. */
  decryption: Decryption | null;
  /** The ids of the votes in `Context.sought` that it counts. */
  found: string[];
}

/** An archive that holds, with the named nodes that signed its log. */
export async function readArchive(file: NamedFile, context: Context): Promise<{ books: Books; signers: number[] }> {
  const reading = new Reading(file.blob.size);
  const records = lines(file.blob, file.name, reading);
  const next = async (): Promise<Uint8Array> => whole((await records.next()).value ?? undefined);
  try {
    const first = parseRecord(await next(), head);
    checkFormat(first, ARCHIVE_FORMAT, FORMAT_VERSION);
    const books = await booksOf(
      parseRecord(await next(), definitionLine).definition,
      first.network_id,
      context,
      reading,
    );
    const last = await takeBlocks(books, next);
    const { height, tip, votes } = books.totals();
    const same = last.height === height && last.tip === tip && last.votes === votes;
    demand(same, "wrong-totals", `the blocks come to height ${height}, ${votes} votes, tip ${tip}`);
    const signers = books.signers(last.certificate);
    await books.takeShares(last.shares, signers);
    demand((await records.next()).done === true, "trailing-data", "something follows the totals");
    return { books, signers };
  } finally {
    await records.return(undefined);
  }
}

async function booksOf(made: Definition, networkId: string, context: Context, reading: Reading): Promise<Books> {
  const election = checkable(made);
  const own = election.networkHex === networkId && (context.network ?? networkId) === networkId;
  demand(own, "network-mismatch", `the definition is that of ${election.networkHex}`);
  const roll = context.roll == null ? null : await pausedIn(context, rollSteps(context.roll, made));
  demand(roll !== null || !made.weighted, "roll-missing", "its votes have weights: give the roll of the election");
  return new Books(election, new InForce(election, roll), context, reading);
}

/** Takes all blocks; returns the last line. A fault names its line. */
async function takeBlocks(books: Books, next: () => Promise<Uint8Array>): Promise<Totals> {
  for (let number = 3; ; number++) {
    try {
      const record = parseRecord(await next(), line);
      if ("tip" in record) return record;
      await books.takeBlock(record);
    } catch (error) {
      throw error instanceof Fault ? new Fault(error.code, `line ${number}: ${error.where}`) : error;
    }
  }
}

/** Everything that an archive claims. */
export async function checkArchive(file: NamedFile, context: Context): Promise<ArchiveReport> {
  const { books, signers } = await readArchive(file, context);
  const { election, force, closing } = books;
  const made = election.definition;
  const counts = books.sealed ? [] : books.counted();
  return {
    kind: "archive",
    definition: made,
    networkId: election.networkHex,
    ...books.totals(),
    work: books.headers.work,
    contests: counts.map((each, index) => ({ contest: made.contests[index]!, ...each })),
    closes: force.closes,
    amendments: force.records,
    finality: finalityOf(books, signers),
    signedBy: election.names(signers),
    roll: made.registration === "open" ? "open" : force.roll === null ? "not-checked" : "checked",
    toCome: (closing.late?.length ?? 0) - closing.taken,
    shown: isShown(books, context.now),
    decryption: books.secret?.decryption ?? null,
    found: (context.sought ?? []).filter((id) => books.voteIds.has(id)),
  };
}

/** Whether the organisers want counts to be shown by now. */
function isShown({ election, force, closing, secret, sealed }: Books, now: number): boolean {
  if (secret !== null) return force.cancelled || !sealed;
  if (force.cancelled || election.definition.results === "live" || force.closes === null) return true;
  return election.named ? closing.over : now >= force.closes;
}

function finalityOf(books: Books, signers: readonly number[]): Finality {
  if (!books.election.named) return "never";
  if (signers.length === 0) return "unsigned";
  if (books.force.cancelled) return "cancelled";
  if (books.closing.over) return "final";
  return books.closing.late === null ? "so-far" : "closing";
}

/** The books of an archive that named nodes signed after the last vote. */
export async function finalBooks(file: NamedFile, election: Election, context: Context): Promise<Books> {
  const { books, signers } = await readArchive(file, { ...context, network: election.networkHex });
  demand(signers.length === 0 || !books.force.cancelled, "cancelled", "the election was cancelled");
  const final = signers.length > 0 && books.closing.over;
  demand(final, "not-final", "the archive does not hold a final result");
  return books;
}
