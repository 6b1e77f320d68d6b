/** The encrypted ballots of votes, and what becomes of them once voting is over. */
import { type Ballot, ballotSteps } from "../secret/ballot.ts";
import { type CheckedShare, checkShare } from "../secret/decryption_share.ts";
import { type SecretElection, readElection } from "../secret/election.ts";
import { Element } from "../secret/group.ts";
import { type EncryptedSums, type Factors, SecretTally } from "../secret/tally.ts";
import { type Definition, type Election, isSecret } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { Tally } from "./methods/tally.ts";
import type { Steps } from "./steps.ts";
import type { Vote } from "./vote.ts";

/** What Belenios knows of an election with secret ballots; null where they are public. */
export const secretOf = ({ definition }: Election): SecretElection | null =>
  isSecret(definition) ? readElection(definition.belenios) : null;

/** The ballot of a vote that keeps the rules of votes, once all its proofs hold. */
export function* provenBallot(one: Vote, secret: SecretElection): Steps<Ballot> {
  try {
    // Whose credential it is, the rules of votes say.
    return yield* ballotSteps(secret, one.ballot!, () => true);
  } catch (error) {
    throw error instanceof Fault ? new Fault(error.code, `the ballot of ${one.voter_id}: ${error.where}`) : error;
  }
}

/** Checks the proofs of a vote's ballot, where it has one. */
export function* checkProofs(one: Vote, election: Election): Steps<void> {
  const secret = secretOf(election);
  if (secret !== null) yield* provenBallot(one, secret);
}

/** Whose shares of the decryption a file has. */
export interface Decryption {
  /** The trustees' names. */
  by: string[];
  /** How many shares open the count. */
  needed: number;
  /** Whether it is opened. */
  isOpen: boolean;
}

/** The count of an election with secret ballots. */
export class SecretCount {
  private readonly tally: SecretTally;
  private readonly factors = new Map<number, Factors>();
  /** Of each contest, once enough trustees have decrypted. */
  opened: Tally[] | null = null;

  constructor(
    private readonly definition: Definition,
    readonly election: SecretElection,
  ) {
    this.tally = new SecretTally(election);
  }

  add(ballot: Ballot, weight: number): void {
    this.tally.add(ballot, weight);
  }

  /** What trustees decrypt, of so many votes. */
  get encrypted(): { sums: EncryptedSums; votes: number } {
    return { sums: this.tally.sums, votes: this.tally.votes };
  }

  private get trustees(): NonNullable<Definition["trustees"]> {
    return this.definition.trustees!;
  }

  get decryption(): Decryption {
    const by = [...this.factors.keys()].map((place) => this.trustees.keys[place - 1]!.name);
    return { by, needed: this.trustees.threshold, isOpen: this.opened !== null };
  }

  /**
   * Takes the shares of a file, in the order of their trustees, and opens the count where they are enough. One more
   * than there are trustees cannot be in order: none is checked behind it.
   */
  *open(shares: readonly string[]): Steps<void> {
    const keys = this.trustees.keys.map((each) => Element.parse(each.key));
    const checked: CheckedShare[] = [];
    for (const share of shares.slice(0, keys.length + 1))
      checked.push(yield* checkShare(this.election, this.tally.sums, keys, share));
    const ascend = checked.every(({ place }, at) => at === 0 || checked[at - 1]!.place < place);
    demand(checked.length > 0 && ascend, "bad-order", "the shares are not in the order of their trustees, each once");
    for (const { place, factors } of checked) this.factors.set(place, factors);
    const { threshold } = this.trustees;
    if (checked.length < threshold) return;
    const numbers = yield* this.tally.opened(this.factors, threshold);
    this.opened = this.definition.contests.map((contest, index) => {
      const names = contest.candidates.map((each) => each.name);
      return this.tallyOf(names, contest.blank, numbers[index]!);
    });
  }

  private tallyOf(names: readonly string[], hasBlank: boolean, numbers: readonly number[]): Tally {
    const { votes, weight } = this.tally;
    const counts = names.map((name, at): [string, number] => [name, numbers[at + (hasBlank ? 1 : 0)]!]);
    return Tally.ofCounts(counts, { votes, weight, blank: hasBlank ? numbers[0]! : 0 });
  }
}
