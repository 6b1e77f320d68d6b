/** The rules of a definition with secret ballots, and the `election` of Belenios that follows from it. */
import { longestBallot } from "../secret/ballot.ts";
import { type Question, writeElection } from "../secret/election.ts";
import { Element, IDENTITY } from "../secret/group.ts";
import { interpolated } from "../secret/interpolation.ts";
import { toHex } from "./bytes.ts";
import { type Definition, Election, MAX_TOTAL_WEIGHT, isSecret } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { prefixed, sha256 } from "./hash.ts";
import * as limits from "./limits.ts";
import { isName, lookAlike } from "./text.ts";

/** Those that need only the sum of the votes of each candidate. */
const METHODS = ["approval", "block", "motion", "plurality"];
/** Bytes of the record of a vote but for its ballot. */
const AROUND_BALLOT = 1000;

/** The election of a file that is checked. `bad-genesis` */
export function checkable(made: Definition): Election {
  const election = new Election(made);
  if (!isSecret(made)) return election;
  const fault = secretContradiction(made);
  demand(fault === "", "bad-genesis", fault);
  return election;
}

/** The first rule of secret ballots that the definition of an election with them breaks; empty if it keeps all. */
export function secretContradiction(one: Definition): string {
  const { trustees } = one;
  if (trustees === null) return "secret ballots without trustees";
  const names = trustees.keys.map((each) => each.name);
  const rules: [() => boolean, string][] = [
    [() => names.every(isName) && !lookAlike(names), "the names of its trustees"],
    [
      () => one.roll_size !== null && one.roll_size <= MAX_TOTAL_WEIGHT,
      "secret ballots without a roll, or a roll too large",
    ],
    [() => one.closes !== null && one.nodes.length > 0, "secret ballots that never close, or without named nodes"],
    [() => one.results === "live", "secret ballots are not counted before closing"],
    [() => one.contests.every((each) => METHODS.includes(each.method)), "ranked secret ballots"],
    [() => longestVote(one) <= limits.MAX_RECORD_BYTES, "a secret vote may be too long"],
    [() => trustees.threshold <= names.length, "a threshold above the number of trustees"],
    [() => followsFrom(one, keyOf(trustees)), "another definition for Belenios, or keys that do not fit"],
  ];
  return rules.find(([holds]) => !holds())?.[1] ?? "";
}

const followsFrom = (one: Definition, key: string) => key !== "" && one.belenios === beleniosText(one, key);

/** The election's key, as it is written; empty if the keys of the trustees are no keys, or do not fit the threshold. */
function keyOf({ keys, threshold }: NonNullable<Definition["trustees"]>): string {
  try {
    const elements = keys.map((each) => Element.parse(each.key));
    const places = Array.from({ length: threshold }, (_, at) => at + 1);
    const lower = threshold > 1 && interpolated(places.slice(1), elements.slice(1), 1).equals(elements[0]!);
    const fits =
      !lower && elements.every((key, at) => at < threshold || interpolated(places, elements, at + 1).equals(key));
    const key = interpolated(places, elements, 0);
    return fits && !key.equals(IDENTITY) ? key.written : "";
  } catch (error) {
    if (error instanceof Fault) return "";
    throw error;
  }
}

const questionsOf = ({ contests }: Definition): Question[] =>
  contests.map(({ title, candidates, blank, min, max }) => ({
    answers: candidates.map((each) => each.name),
    blank,
    min,
    max,
    question: title,
  }));

/** The text of Belenios' `election` for this definition, whatever its `belenios`, and this key. */
export function beleniosText(one: Definition, key: string): string {
  const description = toHex(sha256(prefixed(limits.DOMAIN_BELENIOS, { ...one, belenios: "" })));
  return writeElection({ uuid: one.uuid, name: one.title, description, questions: questionsOf(one), key });
}

/** Bytes that the record of a secret vote has at most. */
export const longestVote = (one: Definition): number =>
  JSON.stringify(longestBallot(one.uuid, questionsOf(one))).length + AROUND_BALLOT;
