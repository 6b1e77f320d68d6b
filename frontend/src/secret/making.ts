/** The making of a ballot, and its opening by whoever knows its randomness. */
import { demand } from "../lib/fault.ts";
import { type Steps, finished } from "../lib/steps.ts";
import { type Answer, type Ballot, ballotSteps, claimsOf, prefixesOf, unsignedHash, writeBallot } from "./ballot.ts";
import { type SecretElection, allows, lengthOf } from "./election.ts";
import { Opening } from "./encryption.ts";
import { type Element, type Entropy, drawScalar, parseScalar } from "./group.ts";
import { publicCredential } from "./credential.ts";
import { proveKnowledge, proveOneIsZero } from "./proofs.ts";

/**
 * What opens the ciphertexts of a ballot, for each contest: zeros and ones, and the exponents in base 10.
 *
 * It does not have the nonce of the signature, from which the credential's secret would follow.
 */
export interface BallotOpening {
  readonly choices: readonly (readonly number[])[];
  readonly randomness: readonly (readonly string[])[];
}

export interface MadeBallot {
  readonly text: string;
  readonly opening: BallotOpening;
}

/** Says how many of all proofs are made. */
export type Progress = (done: number, all: number) => void;

/**
 * A signed ballot with zeros and ones for each contest, by a credential's exponent. `bad-choices`
 *
 * The same entropy makes the same ballot, here and in Python.
 */
export function makeBallot(
  election: SecretElection,
  secret: bigint,
  choices: readonly (readonly number[])[],
  entropy: Entropy,
  progress: Progress = () => {},
): MadeBallot {
  const credential = publicCredential(secret);
  const { questions } = election;
  demand(
    choices.length === questions.length,
    "bad-choices",
    `${choices.length} answers for ${questions.length} contests`,
  );
  const count = proofCounter(election, progress);
  const made = choices.map((chosen, index) => makeAnswer(election, index, credential, chosen, entropy, count));
  const answers = made.map(([answer]) => answer);
  const unsigned: Ballot = {
    uuid: election.uuid,
    election: election.fingerprint,
    credential,
    answers,
    signature: null,
  };
  const hash = unsignedHash(unsigned);
  const proof = proveKnowledge(secret, `sig|${hash}|`, entropy);
  const randomness = made.map(([, openings]) => openings.map((one) => `${one.randomness}`));
  return { text: writeBallot({ ...unsigned, signature: { hash, proof } }), opening: { choices, randomness } };
}

function proofCounter({ questions }: SecretElection, progress: Progress): () => void {
  const all = questions.reduce((sum, one) => sum + lengthOf(one) + 1 + (one.blank ? 1 : 0), 0);
  let done = 0;
  return () => progress(++done, all);
}

function makeAnswer(
  election: SecretElection,
  index: number,
  credential: Element,
  chosen: readonly number[],
  entropy: Entropy,
  count: () => void,
): [Answer, Opening[]] {
  const question = election.questions[index]!;
  demand(allows(question, chosen), "bad-choices", `contest ${index + 1}: these numbers are no answer`);
  const openings = chosen.map((number) => new Opening(number, drawScalar(entropy)));
  const choices = openings.map((one) => one.encrypted(election.key));
  const claims = claimsOf(question, openings);
  const prefixes = prefixesOf(election, question, credential, choices);
  const prove = (claim: readonly Opening[], prefix: string) => {
    const proofs = proveOneIsZero(claim, election.key, prefix, entropy);
    count();
    return proofs;
  };
  // Their order is that in which the entropy is taken.
  const blank = question.blank ? prove(claims.blank, prefixes.blank) : null;
  const individual = claims.choices.map((claim, at) => prove(claim, prefixes.choices[at]!));
  const overall = prove(claims.total, prefixes.total);
  return [{ choices, individual, overall, blank }, openings];
}

/** What a ballot turns out to encrypt. */
export interface OpenedBallot {
  /** Whether that is what the opening says, everywhere. */
  readonly same: boolean;
  /** For each contest and choice the number in the ciphertext; null if the opening's exponent is not of it. */
  readonly numbers: readonly (readonly (0 | 1 | null)[])[];
}

/**
 * A ballot that is tested instead of cast: all is encrypted again with its randomness, and compared.
 *
 * Throws a `Fault` where `checkBallot` does, and for an opening that is none of this election: `bad-choices`,
 * `bad-scalar`.
 */
export const openBallot = (
  election: SecretElection,
  raw: string | Uint8Array,
  opening: BallotOpening,
  isVoters: (credential: string) => boolean,
): OpenedBallot => finished(openingSteps(election, raw, opening, isVoters));

/** The same in steps. */
export function* openingSteps(
  election: SecretElection,
  raw: string | Uint8Array,
  opening: BallotOpening,
  isVoters: (credential: string) => boolean,
): Steps<OpenedBallot> {
  const { choices, randomness } = opening;
  const isOurs = [choices, randomness].every((rows) => rows.length === election.questions.length);
  demand(isOurs, "bad-choices", "the opening has not one answer for each contest");
  for (const [index, question] of election.questions.entries()) {
    const fits = allows(question, choices[index]!) && randomness[index]!.length === lengthOf(question);
    demand(fits, "bad-choices", `contest ${index + 1}: these numbers are no answer`);
  }
  const exponents = randomness.map((row) => row.map(parseScalar));
  const { answers } = yield* ballotSteps(election, raw, isVoters);
  const numbers: (0 | 1 | null)[][] = [];
  for (const [index, answer] of answers.entries()) {
    const row: (0 | 1 | null)[] = [];
    for (const [at, ciphertext] of answer.choices.entries()) {
      const zero = new Opening(0, exponents[index]![at]!).encrypted(election.key);
      row.push(ciphertext.equals(zero) ? 0 : ciphertext.less(1).equals(zero) ? 1 : null);
      yield;
    }
    numbers.push(row);
  }
  const same = numbers.every((row, index) => row.every((number, at) => number === choices[index]![at]));
  return { same, numbers };
}
