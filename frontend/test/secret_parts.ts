/** Entropy and elections for the tests of secret ballots. */
import * as votenet from "../src/lib/index.ts";
import { type Question, type SecretElection, readElection } from "../src/secret/election.ts";
import { BASE, type Entropy, drawScalar } from "../src/secret/group.ts";
import { definitionOf } from "./scripted_election.ts";

/** Bytes that follow from a seed, here and in Python: SHA-256 of the seed and a counter. */
export function streamOf(seed: string): Entropy {
  let counter = 0;
  return (count) => {
    const made = new Uint8Array(32 * Math.ceil(count / 32));
    for (let at = 0; at < made.length; at += 32) made.set(votenet.sha256(votenet.utf8(`${seed}|${counter++}`)), at);
    return made.subarray(0, count);
  };
}

/** A stream of numbers from 0 to below `most`, out of a seed. */
export function diceOf(seed: string): (most: number) => number {
  const stream = streamOf(seed);
  return (most) => Number(votenet.bigEndian(stream(8)) % BigInt(most));
}

/** The definition of an election with secret ballots on these contests, two of three trustees. */
export function secretDefinition(questions: readonly Question[]): votenet.Definition {
  const entropy = streamOf("trustees");
  const [first, second] = [drawScalar(entropy), drawScalar(entropy)];
  const contests = questions.map(({ answers, blank, min, max, question }, index) => ({
    ...{ blank, description: "", id: `${index + 1}`, max, method: "approval" as const, min, quorum: null, seats: 1 },
    candidates: answers.map((name) => ({ name, statement: "" })),
    threshold: null,
    title: question,
  }));
  const trustees = {
    keys: [1n, 2n, 3n].map((place) => ({
      key: BASE.times(first + second * place).written,
      name: `Trustee ${place}`,
    })),
    record: "ab".repeat(32),
    threshold: 2,
  };
  const made = definitionOf({ contests, secrecy: "secret", trustees });
  return { ...made, belenios: votenet.beleniosText(made, BASE.times(first).written) };
}

export const electionOf = (made: votenet.Definition): SecretElection => readElection(made.belenios);
