/** The single transferable vote of Scottish councils; the numbers of its rules stand in brackets. */
import { type Ballots, type Decision, type Lots, type Round, byLot } from "./tally.ts";

/** A vote in its smallest parts: values have five decimal places. */
const UNIT = 100_000n;

interface Parcel {
  choices: readonly string[];
  weight: bigint;
  /** Of each ballot, in units. */
  value: bigint;
}

export function decideStv(ballots: readonly Ballots[], names: readonly string[], seats: number, lots: Lots): Decision {
  return new StvCount(ballots, names, seats, lots).run();
}

class StvCount {
  private readonly held = new Map<string, Parcel[]>();
  private readonly votes = new Map<string, bigint>();
  /** The votes of each candidate in every stage so far. */
  private readonly past = new Map<string, bigint[]>();
  private readonly quota: bigint;
  private continuing: string[];
  private readonly elected: string[] = [];
  private surpluses: string[] = [];
  /** Those who had the same votes as the last one excluded, in every stage. */
  private level: string[] = [];
  private readonly rounds: Round[] = [];

  constructor(
    ballots: readonly Ballots[],
    private readonly names: readonly string[],
    private readonly seats: number,
    private readonly lots: Lots,
  ) {
    this.continuing = [...names];
    for (const name of names) {
      this.held.set(name, []);
      this.votes.set(name, 0n);
      this.past.set(name, []);
    }
    for (const { choices, weight } of ballots) this.give({ choices, weight, value: UNIT }); // (45)
    const total = ballots.reduce((sum, each) => sum + each.weight, 0n);
    this.quota = total / BigInt(seats + 1) + 1n; // (46)
  }

  run(): Decision {
    for (;;) {
      for (const [name, votes] of this.votes) this.past.get(name)!.push(votes);
      const before = this.elected.length;
      this.elect();
      const round = this.round(this.elected.slice(before));
      if (this.elected.length >= this.seats) break;
      round.handedOn.push(this.surpluses.length > 0 ? this.transferSurplus() : this.exclude());
    }
    return { winners: this.elected, tied: this.tied(), quota: String(this.quota), rounds: this.rounds };
  }

  /** Elects who has the quota (47), and all that continue if they are no more than the seats left (52). */
  private elect(): void {
    const quota = this.quota * UNIT;
    const reached = this.continuing.filter((name) => this.votes.get(name)! >= quota).sort(this.strongestFirst);
    this.surpluses.push(...reached.filter((name) => this.votes.get(name)! > quota));
    this.elected.push(...reached);
    this.continuing = this.continuing.filter((name) => !reached.includes(name));
    if (this.continuing.length + this.elected.length > this.seats) return;
    this.elected.push(...[...this.continuing].sort(this.strongestFirst));
  }

  /** Hands on the largest surplus (48, 49); returns whose. */
  private transferSurplus(): string {
    const [largest, ...rest] = [...this.surpluses].sort(this.strongestFirst) as [string, ...string[]];
    this.surpluses = rest;
    const [whole, quota] = [this.votes.get(largest)!, this.quota * UNIT];
    this.votes.set(largest, quota);
    this.handOn(largest, whole - quota, whole);
    return largest;
  }

  /** Excludes the candidate with the fewest votes (50, 51); returns who. */
  private exclude(): string {
    const weakest = [...this.continuing].sort(this.strongestFirst).at(-1)!;
    this.level = this.continuing.filter((name) => this.comparePast(name, weakest) === 0);
    this.continuing = this.continuing.filter((name) => name !== weakest);
    this.votes.delete(weakest);
    this.handOn(weakest, 1n, 1n);
    return weakest;
  }

  private handOn(name: string, part: bigint, whole: bigint): void {
    const parcels = this.held.get(name)!;
    this.held.set(name, []);
    for (const parcel of parcels) this.give({ ...parcel, value: (parcel.value * part) / whole });
  }

  private give(parcel: Parcel): void {
    const choice = parcel.choices.find((name) => this.continuing.includes(name));
    if (choice === undefined) return;
    this.held.get(choice)!.push(parcel);
    this.votes.set(choice, this.votes.get(choice)! + parcel.weight * parcel.value);
  }

  /** Compares the votes of the last stage, if they are equal those of the one before, and so on. */
  private comparePast(one: string, other: string): number {
    const [left, right] = [this.past.get(one)!, this.past.get(other)!];
    for (let stage = left.length - 1; stage >= 0; stage--) {
      if (left[stage] !== right[stage]) return left[stage]! > right[stage]! ? -1 : 1;
    }
    return 0;
  }

  private readonly strongestFirst = (one: string, other: string): number =>
    one === other ? 0 : this.comparePast(one, other) || byLot(this.lots)(one, other);

  /** Those whom the lot separated for a seat: the last one excluded, and its equals, if all others are elected. */
  private tied(): string[] {
    const left = this.level.filter((name) => !this.elected.includes(name));
    return this.level.length > 1 && left.length === 1 ? [...this.level].sort(byLot(this.lots)) : [];
  }

  private round(elected: string[]): Round {
    const votes = this.names
      .filter((name) => this.votes.has(name))
      .map((name): [string, string] => [name, decimals(this.votes.get(name)!)]);
    const round: Round = { votes, elected, handedOn: [] };
    this.rounds.push(round);
    return round;
  }
}

const decimals = (units: bigint): string => `${units / UNIT}.${String(units % UNIT).padStart(5, "0")}`;
