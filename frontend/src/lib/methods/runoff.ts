/** Instant runoff: the weakest candidates leave round by round until one has more than half. */
import type { Ballots, Decision, Lots, Round } from "./tally.ts";

/** The order of candidates by what they had in earlier rounds: the one of a larger rank had more. */
type Ranks = Map<string, number>;

export function decideRunoff(ballots: readonly Ballots[], names: readonly string[], lots: Lots): Decision {
  let standing = [...names];
  let ranks: Ranks = new Map(names.map((name) => [name, 0]));
  let separated: string[] = []; // the one that left last, if it was equal to the last other in every round
  const rounds: Round[] = [];
  for (;;) {
    const votes = firstChoices(ballots, standing);
    const total = [...votes.values()].reduce((sum, one) => sum + one, 0n);
    const best = standing.reduce((most, name) => (votes.get(name)! > votes.get(most)! ? name : most));
    const shown = standing.map((name): [string, string] => [name, String(votes.get(name))]);
    if (2n * votes.get(best)! > total) {
      rounds.push({ votes: shown, elected: [best], handedOn: [] });
      return { winners: [best], tied: separated.length > 0 ? [best, ...separated] : [], rounds };
    }
    const out = weakest(standing, votes, ranks, lots);
    separated = isLot(standing, out, votes, ranks) ? out : [];
    rounds.push({ votes: shown, elected: [], handedOn: out });
    standing = standing.filter((name) => !out.includes(name));
    ranks = ranksBehind(standing, votes, ranks);
  }
}

function firstChoices(ballots: readonly Ballots[], standing: readonly string[]): Map<string, bigint> {
  const votes = new Map(standing.map((name) => [name, 0n]));
  for (const { choices, weight } of ballots) {
    const choice = choices.find((name) => votes.has(name));
    if (choice !== undefined) votes.set(choice, votes.get(choice)! + weight);
  }
  return votes;
}

/** Who leaves: all without a ballot together, else the one with the fewest, back through the rounds, then by lot. */
function weakest(standing: readonly string[], votes: Map<string, bigint>, ranks: Ranks, lots: Lots): string[] {
  const fewest = standing.map((name) => votes.get(name)!).reduce((least, one) => (one < least ? one : least));
  const equal = standing.filter((name) => votes.get(name) === fewest);
  if (fewest === 0n) return equal;
  const least = Math.min(...equal.map((name) => ranks.get(name)!));
  const level = equal.filter((name) => ranks.get(name) === least);
  return [level.reduce((low, name) => (lots.get(name)! < lots.get(low)! ? name : low))];
}

/** Whether only the lot chose between the last two. */
function isLot(standing: readonly string[], out: readonly string[], votes: Map<string, bigint>, ranks: Ranks): boolean {
  const [one, other] = standing as [string, string];
  const even = votes.get(one) === votes.get(other) && ranks.get(one) === ranks.get(other);
  return standing.length === 2 && out.length === 1 && even;
}

/** The ranks with this round in them: its votes decide first, then the rounds before. */
function ranksBehind(standing: readonly string[], votes: Map<string, bigint>, ranks: Ranks): Ranks {
  const compare = (one: string, other: string): number => {
    const [left, right] = [votes.get(one)!, votes.get(other)!];
    return left === right ? ranks.get(one)! - ranks.get(other)! : left < right ? -1 : 1;
  };
  const sorted = [...standing].sort(compare);
  const next: Ranks = new Map();
  sorted.forEach((name, at) => {
    const before = sorted[at - 1];
    next.set(name, before !== undefined && compare(before, name) === 0 ? next.get(before)! : at);
  });
  return next;
}
