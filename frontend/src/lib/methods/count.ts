/** The count of one contest: docs/elections.md. */
import type { Contest } from "../definition.ts";
import { motionConditions } from "./motion.ts";
import { decideMostVotes } from "./most_votes.ts";
import { decideRunoff } from "./runoff.ts";
import { decideSchulze, preferences } from "./schulze.ts";
import { decideStv } from "./stv.ts";
import { type Counted, type Decision, type Lots, type Round, type Tally, lotsOf } from "./tally.ts";

export interface ContestCount {
  counted: Counted;
  /** Of instant runoffs and transferable votes; else empty. */
  rounds: Round[];
  /** Of Schulze counts: for each two candidates the weight of the ballots that prefer the first; else empty. */
  matrix: bigint[][];
}

/** `roll`: the weight of all voters in force, where it is known. */
export function countContest(contest: Contest, tally: Tally, networkHex: string, roll: number | null): ContestCount {
  const counts = countsOf(contest, tally);
  const ranked = [...counts].sort((left, right) => right[1] - left[1]);
  const { votes, blank, weight } = tally;
  const counted: Counted = {
    ...{ counts: ranked, votes, blank, weight, state: "undecided" },
    ...{ winners: [], tied: [], quota: "", conditions: [] },
  };
  if (contest.method === "motion") {
    if (votes === 0) return { counted, rounds: [], matrix: [] };
    const conditions = motionConditions(contest, counts, weight, roll);
    const state = conditions.every((each) => each.met) ? "carried" : "rejected";
    return { counted: { ...counted, state, conditions }, rounds: [], matrix: [] };
  }
  // Of secret ballots the blank ones are known by their weight alone: it may be the number of all votes.
  if (tally.ballots().length === 0) return { counted, rounds: [], matrix: [] };
  const { winners, tied, quota, rounds } = decide(contest, tally, ranked, lotsOf(contest, networkHex));
  const state = tied.length > 0 ? "tied" : "won";
  const matrix =
    contest.method === "schulze"
      ? preferences(
          tally.ballots(),
          counts.map(([name]) => name),
        )
      : [];
  return { counted: { ...counted, state, winners, tied, quota: quota ?? "" }, rounds, matrix };
}

/** The votes of each candidate in the order of the definition; of ranked ballots the first choices. */
function countsOf(contest: Contest, tally: Tally): [string, number][] {
  const everyChoice = contest.method === "block" || contest.method === "approval";
  const counts = new Map(contest.candidates.map(({ name }) => [name, 0n]));
  for (const { choices, weight } of tally.ballots()) {
    for (const choice of everyChoice ? choices : choices.slice(0, 1)) counts.set(choice, counts.get(choice)! + weight);
  }
  return [...counts].map(([name, votes]) => [name, Number(votes)]);
}

function decide(contest: Contest, tally: Tally, ranked: readonly [string, number][], lots: Lots): Decision {
  const names = contest.candidates.map(({ name }) => name);
  switch (contest.method) {
    case "instant-runoff":
      return decideRunoff(tally.ballots(), names, lots);
    case "stv":
      return decideStv(tally.ballots(), names, contest.seats, lots);
    case "schulze":
      return decideSchulze(tally.ballots(), names, contest.seats, lots);
    default:
      return decideMostVotes(ranked, contest.seats, lots);
  }
}
