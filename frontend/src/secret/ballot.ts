/** Encrypted ballots: what they are, how they are written and read, and what each proves. */
import { Fault, demand } from "../lib/fault.ts";
import { type Check, type Of, text } from "../lib/shape.ts";
import { type Steps, finished } from "../lib/steps.ts";
import { documentText, fingerprint, listOf, objectWith, readDocument } from "./documents.ts";
import { type Question, type SecretElection, lengthOf } from "./election.ts";
import { Ciphertext, type Summand } from "./encryption.ts";
import { BASE, Element, GROUP_ORDER, parseScalar } from "./group.ts";
import { type Proof, knowledgeHolds, oneIsZero } from "./proofs.ts";

export interface Answer {
  readonly choices: readonly Ciphertext[];
  readonly individual: readonly (readonly Proof[])[];
  readonly overall: readonly Proof[];
  /** Where blank votes are allowed. */
  readonly blank: readonly Proof[] | null;
}

export interface Signature {
  readonly hash: string;
  readonly proof: Proof;
}

export interface Ballot {
  readonly uuid: string;
  /** The fingerprint of its election. */
  readonly election: string;
  readonly credential: Element;
  readonly answers: readonly Answer[];
  readonly signature: Signature | null;
}

/** What an answer proves: one of each list is an encryption of zero. */
export interface Claims<T> {
  choices: T[][];
  total: T[];
  blank: T[];
}

/** What goes before the commitments where the challenges of an answer are hashed. */
export interface Prefixes {
  choices: string[];
  total: string;
  blank: string;
}

/**
 * The claims of an answer, about its ciphertexts, or about their openings.
 *
 * A choice is 0 or 1. Without blank votes the sum is an allowed total. With them, for the first choice m0 and the sum
 * of the others: m0 = 1 or the sum is an allowed total; and m0 = 0 or the sum is 0.
 */
export function claimsOf<T extends Summand<T>>(question: Question, choices: readonly T[]): Claims<T> {
  const sum = sumOf(question, choices);
  const totals: T[] = [];
  for (let total = question.min; total <= question.max; total++) totals.push(sum.less(total));
  const single = choices.map((one) => [one, one.less(1)]);
  if (!question.blank) return { choices: single, total: totals, blank: [] };
  const first = choices[0]!;
  return { choices: single, total: [first.less(1), ...totals], blank: [first, sum] };
}

const sumOf = <T extends Summand<T>>(question: Question, choices: readonly T[]): T =>
  choices.slice(question.blank ? 1 : 0).reduce((sum, one) => sum.plus(one));

export function prefixesOf(
  election: SecretElection,
  question: Question,
  credential: Element,
  choices: readonly Ciphertext[],
): Prefixes {
  const about = `${election.fingerprint}|${credential.written}`;
  const all = `${about}|${choices.map((one) => one.written).join(",")}`;
  const single = choices.map((one) => `prove|${about}|${one.written}|`);
  if (question.blank) return { choices: single, total: `bproof1|${all}|`, blank: `bproof0|${all}|` };
  return { choices: single, total: `prove|${all}|${sumOf(question, choices).written}|`, blank: "" };
}

// -- Writing ---------------------------------------------------------------------------------------

/** How a proof is written. */
export const proofDocument = ({ challenge, response }: Proof) => ({
  challenge: `${challenge}`,
  response: `${response}`,
});

const answerDocument = ({ choices, individual, overall, blank }: Answer) => ({
  choices: choices.map(({ alpha, beta }) => ({ alpha: alpha.written, beta: beta.written })),
  individual_proofs: individual.map((proofs) => proofs.map(proofDocument)),
  overall_proof: overall.map(proofDocument),
  ...(blank === null ? {} : { blank_proof: blank.map(proofDocument) }),
});

/** The text of a ballot, which is hashed and sent. */
export function writeBallot({ uuid, election, credential, answers, signature }: Ballot): string {
  const unsigned = {
    election_uuid: uuid,
    election_hash: election,
    credential: credential.written,
    answers: answers.map(answerDocument),
  };
  if (signature === null) return JSON.stringify(unsigned);
  return JSON.stringify({ ...unsigned, signature: { hash: signature.hash, proof: proofDocument(signature.proof) } });
}

/** The hash that the signature is over: of the ballot without it. */
export const unsignedHash = (ballot: Ballot): string => fingerprint(writeBallot({ ...ballot, signature: null }));

/** A text as long as the longest ballot on these contests; it proves nothing. */
export function longestBallot(uuid: string, questions: readonly Question[]): string {
  const hash = "h".repeat(43);
  const proof = { challenge: GROUP_ORDER - 1n, response: GROUP_ORDER - 1n };
  const choice = new Ciphertext(BASE, BASE);
  const answers = questions.map((one) => ({
    choices: Array<Ciphertext>(lengthOf(one)).fill(choice),
    individual: Array<Proof[]>(lengthOf(one)).fill([proof, proof]),
    overall: Array<Proof>(one.max - one.min + 1 + (one.blank ? 1 : 0)).fill(proof),
    blank: one.blank ? [proof, proof] : null,
  }));
  return writeBallot({ uuid, election: hash, credential: BASE, answers, signature: { hash, proof } });
}

// -- Reading ---------------------------------------------------------------------------------------

const scalar: Check<bigint> = (value) => {
  if (typeof value !== "string") throw new Fault("bad-scalar", "a number is a text");
  return parseScalar(value);
};
const point: Check<Element> = (value) => {
  if (typeof value !== "string") throw new Fault("bad-point", "a point is a text");
  return Element.parse(value);
};
/** The shape of a proof. */
export const proofShape: Check<Proof> = objectWith({ challenge: scalar, response: scalar });
const proofs = listOf(proofShape);
const ciphertext: Check<Ciphertext> = (value) => {
  const { alpha, beta } = pair(value);
  return new Ciphertext(alpha, beta);
};
const pair = objectWith({ alpha: point, beta: point });
const answer = objectWith(
  { choices: listOf(ciphertext), individual_proofs: listOf(proofs), overall_proof: proofs },
  { blank_proof: proofs },
);
const ballotShape = objectWith(
  { election_uuid: text(), election_hash: text(), credential: point, answers: listOf(answer) },
  { signature: objectWith({ hash: text(), proof: proofShape }) },
);

const readAnswer = (one: Of<typeof answer>): Answer => ({
  choices: one.choices,
  individual: one.individual_proofs,
  overall: one.overall_proof,
  blank: one.blank_proof ?? null,
});

/** A ballot that is written as `writeBallot` writes it. `bad-document`, `bad-point`, `bad-scalar`, `not-canonical` */
export function readBallot(raw: string | Uint8Array): Ballot {
  const given = typeof raw === "string" ? raw : documentText(raw, "the ballot");
  const read = readDocument(given, "the ballot", ballotShape);
  const ballot = {
    uuid: read.election_uuid,
    election: read.election_hash,
    credential: read.credential,
    answers: read.answers.map(readAnswer),
    signature: read.signature ?? null,
  };
  demand(writeBallot(ballot) === given, "not-canonical", "the ballot is not compact JSON in the specification's order");
  return ballot;
}

// -- Checking --------------------------------------------------------------------------------------

/**
 * The ballot in this text, if all its proofs hold; else the first fault, with the codes of docs/secret-ballots.md.
 *
 * `isVoters` says whether a public credential, as it is written, is that of a voter.
 */
export const checkBallot = (
  election: SecretElection,
  raw: string | Uint8Array,
  isVoters: (credential: string) => boolean,
): Ballot => finished(ballotSteps(election, raw, isVoters));

/** The same in steps, one for each choice. */
export function* ballotSteps(
  election: SecretElection,
  raw: string | Uint8Array,
  isVoters: (credential: string) => boolean,
): Steps<Ballot> {
  const ballot = readBallot(raw);
  const isOurs = ballot.uuid === election.uuid && ballot.election === election.fingerprint;
  demand(isOurs, "wrong-election", "the ballot belongs to another election");
  const { written } = ballot.credential;
  demand(isVoters(written), "unknown-credential", `no voter has the public credential ${written}`);
  const count = `${ballot.answers.length} answers for ${election.questions.length} contests`;
  demand(ballot.answers.length === election.questions.length, "bad-answers", count);
  checkSignature(ballot);
  for (const [index, one] of ballot.answers.entries()) yield* checkAnswer(election, index, ballot.credential, one);
  return ballot;
}

function checkSignature(ballot: Ballot): void {
  const { signature, credential } = ballot;
  const isOver = signature !== null && signature.hash === unsignedHash(ballot);
  demand(isOver, "bad-ballot-signature", "the ballot has no signature, or one over another ballot");
  const holds = knowledgeHolds(signature.proof, credential, `sig|${signature.hash}|`);
  demand(holds, "bad-ballot-signature", "the ballot is not signed with the credential that it names");
}

function* checkAnswer(election: SecretElection, index: number, credential: Element, one: Answer): Steps<void> {
  const question = election.questions[index]!;
  const where = `contest ${index + 1}`;
  const length = lengthOf(question);
  const isWhole = one.choices.length === length && one.individual.length === length;
  demand(isWhole, "bad-answers", `${where}: not one ciphertext and proof for each of ${length} choices`);
  demand((one.blank !== null) === question.blank, "bad-answers", `${where}: a blank proof where none may be, or none`);
  const claims = claimsOf(question, one.choices);
  const prefixes = prefixesOf(election, question, credential, one.choices);
  const holds = (proven: readonly Proof[], claim: Ciphertext[], prefix: string) =>
    oneIsZero(proven, claim, election.key, prefix);
  for (const [at, claim] of claims.choices.entries()) {
    const isProven = holds(one.individual[at]!, claim, prefixes.choices[at]!);
    demand(isProven, "bad-choice-proof", `${where}: choice ${at + 1} is not proven to be zero or one`);
    yield;
  }
  demand(
    holds(one.overall, claims.total, prefixes.total),
    "bad-total-proof",
    `${where}: the sum of the choices is not proven to be allowed`,
  );
  demand(
    one.blank === null || holds(one.blank, claims.blank, prefixes.blank),
    "bad-blank-proof",
    `${where}: a blank vote is not proven to choose nothing`,
  );
}
