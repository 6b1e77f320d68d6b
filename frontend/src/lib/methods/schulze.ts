/** Schulze's method: the strongest paths of pairwise preferences, with strength by winning votes. */
import { type Ballots, type Decision, type Lots, byLot } from "./tally.ts";

/** How strong a link or a path is: the votes for it, then as few as possible against it. */
interface Strength {
  votes: bigint;
  against: bigint;
}
const NO_PATH: Strength = { votes: 0n, against: 0n };

function isStronger(one: Strength, other: Strength): boolean {
  return one.votes > other.votes || (one.votes === other.votes && one.against < other.against);
}

export function decideSchulze(
  ballots: readonly Ballots[],
  names: readonly string[],
  seats: number,
  lots: Lots,
): Decision {
  const paths = strongestPaths(preferences(ballots, names));
  let left = names.map((_, place) => place);
  const winners: number[] = [];
  for (;;) {
    const best = left.filter((one) => left.every((other) => !isStronger(paths[other]![one]!, paths[one]![other]!)));
    if (winners.length + best.length > seats) {
      const tied = best.map((place) => names[place]!).sort(byLot(lots));
      const sure = winners.map((place) => names[place]!);
      return { winners: [...sure, ...tied].slice(0, seats), tied, rounds: [] };
    }
    winners.push(...best);
    if (winners.length === seats) return { winners: winners.map((place) => names[place]!), tied: [], rounds: [] };
    left = left.filter((one) => !best.includes(one));
  }
}

/** For each two candidates the weight of the ballots that prefer the first; listed ones are before all others. */
export function preferences(ballots: readonly Ballots[], names: readonly string[]): bigint[][] {
  const place = new Map(names.map((name, at) => [name, at]));
  const matrix = names.map(() => names.map(() => 0n));
  for (const { choices, weight } of ballots) {
    const worse = new Set(names.keys());
    for (const choice of choices) {
      const one = place.get(choice)!;
      worse.delete(one);
      const row = matrix[one]!;
      for (const other of worse) row[other]! += weight;
    }
  }
  return matrix;
}

/** Floyd and Warshall: a path is as strong as its weakest link, the strongest one counts. */
function strongestPaths(matrix: readonly bigint[][]): Strength[][] {
  const paths = matrix.map((row, one) =>
    row.map((votes, other) => (votes > matrix[other]![one]! ? { votes, against: matrix[other]![one]! } : NO_PATH)),
  );
  for (let middle = 0; middle < paths.length; middle++) {
    const onward = paths[middle]!;
    for (const row of paths) {
      const first = row[middle]!;
      if (first === NO_PATH) continue;
      onward.forEach((second, other) => {
        if (second === NO_PATH) return;
        const weaker = isStronger(first, second) ? second : first;
        if (isStronger(weaker, row[other]!)) row[other] = weaker;
      });
    }
  }
  return paths;
}
