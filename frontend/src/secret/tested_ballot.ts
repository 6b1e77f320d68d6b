/** A ballot that was tested instead of cast, as the file that another device opens. */
import { Election, definition, isSecret } from "../lib/definition.ts";
import type { Definition } from "../lib/definition.ts";
import { demand } from "../lib/fault.ts";
import { checkFormat } from "../lib/file.ts";
import { canonicalText } from "../lib/json.ts";
import { secretContradiction } from "../lib/secret_rules.ts";
import { type Of, integer, list, object, text } from "../lib/shape.ts";
import { type Steps, finished } from "../lib/steps.ts";
import { fingerprint } from "./documents.ts";
import { readElection } from "./election.ts";
import { type BallotOpening, openingSteps } from "./making.ts";

export const TESTED_FORMAT = "votenet-tested-ballot";
export const TESTED_VERSION = 1;

/** `choices` and `randomness`: as in `BallotOpening`. */
export const testedBallot = object({
  ballot: text(1),
  choices: list(list(integer(0, 1))),
  definition,
  format: text(),
  randomness: list(list(text())),
  version: integer(),
});
export type TestedBallot = Of<typeof testedBallot>;

/** The file: one record, and a newline. `made`: the definition of the election. */
export function testedFile(made: Definition, ballot: string, { choices, randomness }: BallotOpening): string {
  const head = { format: TESTED_FORMAT, version: TESTED_VERSION };
  return `${canonicalText({ ...head, ballot, choices, definition: made, randomness })}\n`;
}

export interface TestedReport {
  kind: "tested-ballot";
  definition: Definition;
  networkId: string;
  /** What the device showed before it knew that the ballot would be tested. */
  fingerprint: string;
  /** Whether the ciphertexts encrypt what the device says, all of them. */
  same: boolean;
  /** The names that each contest's ciphertexts encrypt; null where the file does not open all of its contest. */
  chosen: (string[] | null)[];
}

/**
 * What a tested ballot encrypts. Throws a `Fault` for a file of another format, network or election, and for a ballot
 * that nodes would refuse, but for its credential: no roll is at hand, and a tested ballot counts for nobody.
 */
export const judgeTestedBallot = (one: TestedBallot, network: string | null): TestedReport =>
  finished(testedSteps(one, network));

/** The same in steps. */
export function* testedSteps(one: TestedBallot, network: string | null): Steps<TestedReport> {
  checkFormat(one, TESTED_FORMAT, TESTED_VERSION);
  const election = new Election(one.definition);
  const fault = isSecret(one.definition) ? secretContradiction(one.definition) : "its ballots are public";
  demand(fault === "", "bad-genesis", fault);
  const { networkHex } = election;
  demand((network ?? networkHex) === networkHex, "network-mismatch", `the ballot is of network ${networkHex}`);
  const secret = readElection(one.definition.belenios);
  const { same, numbers } = yield* openingSteps(secret, one.ballot, one, () => true);
  const chosen = secret.questions.map(({ answers, blank }, index) => {
    const row = numbers[index]!;
    const names = answers.filter((_, at) => row[at + (blank ? 1 : 0)] === 1);
    return row.includes(null) ? null : names;
  });
  return {
    kind: "tested-ballot",
    definition: one.definition,
    networkId: networkHex,
    fingerprint: fingerprint(one.ballot),
    same,
    chosen,
  };
}
