/** The ballots of one contest, and what every count says of them. */
import type { Contest } from "../definition.ts";
import { prefixed, sha256 } from "../hash.ts";
import { DOMAIN_TIE } from "../limits.ts";
import { toHex } from "../bytes.ts";

/** Equal ballots: the choices in order, and the weight of all of them. */
export interface Ballots {
  choices: readonly string[];
  weight: bigint;
}

export class Tally {
  votes = 0;
  blank = 0;
  weight = 0;
  private readonly byChoices = new Map<string, Ballots>();

  /** What single ballots have become: for each name its weight, and that of the blank ones. */
  static ofCounts(
    counts: readonly [name: string, weight: number][],
    { votes, weight, blank }: { votes: number; weight: number; blank: number },
  ): Tally {
    const made = new Tally();
    for (const [name, number] of counts) if (number > 0) made.add([name], number);
    // How many weighted ballots are blank is known only where all are.
    return Object.assign(made, { votes, weight, blank: blank === weight ? votes : blank });
  }

  add(choices: readonly string[], weight = 1): void {
    this.votes++;
    this.weight += weight;
    if (choices.length === 0) {
      this.blank++;
      return;
    }
    const key = JSON.stringify(choices);
    const found = this.byChoices.get(key);
    if (found === undefined) this.byChoices.set(key, { choices, weight: BigInt(weight) });
    else found.weight += BigInt(weight);
  }

  /** The ballots that are not blank, equal ones together. */
  ballots(): Ballots[] {
    return [...this.byChoices.values()];
  }
}

export interface Condition {
  name: "threshold" | "quorum";
  needed: number;
  got: number;
  met: boolean;
}

/** One round of a runoff, or one stage of a transferable vote. */
export interface Round {
  /** Votes as decimal text, in the order of the definition. */
  votes: [name: string, votes: string][];
  elected: string[];
  /** Whose ballots go on to others: those excluded, or the one whose surplus is handed on. */
  handedOn: string[];
}

export interface Counted {
  counts: [name: string, weight: number][];
  votes: number;
  blank: number;
  weight: number;
  state: "won" | "tied" | "undecided" | "carried" | "rejected" | "cancelled";
  winners: string[];
  tied: string[];
  quota: string;
  conditions: Condition[];
}

/** Who has the seats, whom the lot separated at the last one, and how the count went. */
export interface Decision {
  winners: string[];
  tied: string[];
  quota?: string;
  rounds: Round[];
}

export type Lots = ReadonlyMap<string, string>;

/** The lot of each candidate, in hexadecimal: the smallest loses. */
export function lotsOf(contest: Contest, networkHex: string): Lots {
  const lot = (name: string) => toHex(sha256(prefixed(DOMAIN_TIE, [networkHex, contest.id, name])));
  return new Map(contest.candidates.map(({ name }) => [name, lot(name)]));
}

/** Compares by lot, the largest first. */
export const byLot =
  (lots: Lots) =>
  (one: string, other: string): number =>
    lots.get(one)! > lots.get(other)! ? -1 : 1;
