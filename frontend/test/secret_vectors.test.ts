/** Secret ballots: the bytes that Python makes of the same entropy, and its verdict on each that it forged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { checkBallot } from "../src/secret/ballot.ts";
import { credentialOfCode, publicCredential, secretExponent } from "../src/secret/credential.ts";
import { readElection, writeElection } from "../src/secret/election.ts";
import { Element, parseScalar } from "../src/secret/group.ts";
import { makeBallot, openBallot } from "../src/secret/making.ts";
import { corpusJson, withoutCorpus } from "./corpus.ts";
import { streamOf } from "./secret_parts.ts";

interface BallotVector {
  election: string;
  fingerprint: string;
  code: string;
  credential: string;
  public: string;
  exponent: string;
  choices: number[][];
  seed: string;
  ballot: string;
}

interface Vectors {
  ballots: BallotVector[];
  forged: { election: string; credentials: string[]; cases: { name: string; ballot: string; code: string }[] };
  odd: { election: string; ballot: string; code: string }[];
  points: [string, string][];
  scalars: [string, string][];
  elections: { written: string[]; judged: [string, string][] };
  definitions: { definition: votenet.Json; holds: boolean; longest: number }[];
}

const skip = withoutCorpus;
const vectors = (): Vectors => corpusJson<Vectors>("secret.json");
const ascii = (raw: Uint8Array): string => String.fromCharCode(...raw);
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** The code of the fault; empty if there is none. */
function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof votenet.Fault) return error.code;
    throw error;
  }
  return "";
}

test("the same entropy makes the product's ballots, byte for byte", { skip }, () => {
  const found = vectors().ballots;
  assert.ok(found.length >= 10);
  for (const one of found) {
    const election = readElection(one.election);
    assert.equal(election.fingerprint, one.fingerprint);
    const made = makeBallot(election, BigInt(one.exponent), one.choices, streamOf(one.seed));
    assert.equal(made.text, one.ballot);
    const opened = openBallot(election, one.ballot, made.opening, (credential) => credential === one.public);
    assert.deepEqual(opened, { same: true, numbers: one.choices });
  }
  const sizes = found.flatMap((one) => readElection(one.election).questions);
  assert.deepEqual(new Set(sizes.map((one) => one.blank)), new Set([true, false]));
  assert.equal(Math.max(...sizes.map((one) => one.answers.length)), 20);
});

test("a code gives the product's credential, its exponent and its public key", { skip }, () => {
  for (const one of vectors().ballots) {
    const { uuid } = readElection(one.election);
    const credential = credentialOfCode(votenet.utf8(one.code), uuid);
    assert.equal(ascii(credential), one.credential);
    const exponent = secretExponent(credential, uuid);
    assert.equal(`${exponent}`, one.exponent);
    assert.equal(publicCredential(exponent).written, one.public);
  }
});

test("what is not written as a credential is none", () => {
  const good = "xKmH5-wQz9Lp-2aBcD-efGhJk";
  assert.notEqual(secretExponent(votenet.utf8(good), "1"), secretExponent(votenet.utf8(good), "2"));
  for (const bad of ["", good.slice(1), `${good}1`, good.replace("x", "0"), good.replace("-", "1"), `${good}\n`]) {
    assert.equal(
      codeOf(() => secretExponent(votenet.utf8(bad), "1")),
      "bad-credential",
    );
  }
});

test("forged ballots are refused with the product's codes", { skip }, () => {
  const { election, credentials, cases } = vectors().forged;
  const read = readElection(election);
  const found = cases.map(({ name, ballot }) => [
    name,
    codeOf(() => checkBallot(read, latin1(ballot), (one) => credentials.includes(one))),
  ]);
  assert.deepEqual(
    found,
    cases.map(({ name, code }) => [name, code]),
  );
  assert.ok(new Set(cases.map(({ code }) => code)).size >= 12);
});

test("a ciphertext that no honest maker gets is refused, though all proofs hold", { skip }, () => {
  for (const { election, ballot, code } of vectors().odd) {
    const read = readElection(election);
    assert.equal(
      codeOf(() => checkBallot(read, ballot, () => true)),
      code,
    );
  }
});

test("points and numbers are refused where libsodium and the product refuse them", { skip }, () => {
  const { points, scalars } = vectors();
  const judged = (parse: (text: string) => unknown) => (text: string) => [text, codeOf(() => parse(text))];
  assert.deepEqual(points.map(([text]) => text).map(judged(Element.parse)), points);
  assert.deepEqual(scalars.map(([text]) => text).map(judged(parseScalar)), scalars);
});

test("elections are written and refused as the product does", { skip }, () => {
  const { written, judged } = vectors().elections;
  assert.equal(written.length, 200);
  for (const text of written) {
    const read = readElection(text);
    assert.equal(writeElection({ ...read, key: read.key.written }), text);
  }
  for (const [text, code] of judged)
    assert.equal(
      codeOf(() => readElection(text)),
      code,
      text,
    );
});

test("definitions of secret elections keep the product's rules, or break them", { skip }, () => {
  const found = vectors().definitions;
  for (const { definition, holds, longest } of found) {
    const made = votenet.definition(definition);
    const fault = votenet.contradiction(made) || votenet.secretContradiction(made);
    assert.equal(fault === "", holds, `${fault}: ${made.title} ${made.contests.length}`);
    assert.equal(votenet.longestVote(made), longest);
    assert.equal(
      codeOf(() => votenet.checkable(made)),
      holds ? "" : "bad-genesis",
    );
  }
  assert.deepEqual(new Set(found.map((one) => one.holds)), new Set([true, false]));
});
