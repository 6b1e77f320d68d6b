/** Plurality, block and approval: the seats go to the candidates with the most votes. */
import { type Decision, type Lots, byLot } from "./tally.ts";

/** `ranked`: each candidate with its votes, most first. */
export function decideMostVotes(ranked: readonly [string, number][], seats: number, lots: Lots): Decision {
  const sure = ranked.slice(0, seats).map(([name]) => name);
  const [last, next] = [ranked[seats - 1], ranked[seats]];
  if (next === undefined || last === undefined || last[1] > next[1]) return { winners: sure, tied: [], rounds: [] };
  const level = ranked.filter(([, votes]) => votes === next[1]).map(([name]) => name);
  level.sort(byLot(lots));
  const above = ranked.filter(([, votes]) => votes > next[1]).map(([name]) => name);
  return { winners: [...above, ...level].slice(0, seats), tied: level, rounds: [] };
}
