/** A motion: for, against, abstain, with a threshold and perhaps a quorum. */
import type { Contest } from "../definition.ts";
import type { Condition } from "./tally.ts";

const PARTS: Record<string, [bigint, bigint]> = { "two-thirds": [2n, 3n], "three-quarters": [3n, 4n] };

const ceilDivide = (number: bigint, by: bigint): bigint => (number + by - 1n) / by;

/** What a motion needs and what it got. `weight`: of all ballots; `roll`: of all voters, where there is a roll. */
export function motionConditions(
  contest: Contest,
  counts: readonly [string, number][],
  weight: number,
  roll: number | null,
): Condition[] {
  const [yes, no] = counts.map(([, votes]) => BigInt(votes)) as [bigint, bigint];
  const { basis, share } = contest.threshold!;
  const cast = share === "absolute" ? BigInt(weight) : yes + no;
  const base = basis === "roll" ? BigInt(roll!) : cast;
  const parts = PARTS[share];
  const needed = parts === undefined ? base / 2n + 1n : ceilDivide(parts[0] * base, parts[1]);
  const atLeast = needed > 1n ? needed : 1n; // without a vote for it no motion is carried
  const conditions = [condition("threshold", atLeast, yes)];
  if (contest.quorum !== null) {
    conditions.push(
      condition("quorum", ceilDivide(BigInt(contest.quorum.percent) * BigInt(roll!), 100n), BigInt(weight)),
    );
  }
  return conditions;
}

const condition = (name: Condition["name"], needed: bigint, got: bigint): Condition => ({
  name,
  needed: Number(needed),
  got: Number(got),
  met: got >= needed,
});
