/** A ballot that is tested instead of cast: what opens it says what it encrypts, whatever the machine says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ballot, readBallot } from "../src/secret/ballot.ts";
import { publicCredential } from "../src/secret/credential.ts";
import { BASE } from "../src/secret/group.ts";
import { makeBallot, openBallot } from "../src/secret/making.ts";
import { readElection, writeElection } from "../src/secret/election.ts";
import { streamOf } from "./secret_parts.ts";

const SECRET = 123456789n;
const written = publicCredential(SECRET).written;
const isOurs = (credential: string) => credential === written;
const election = readElection(
  writeElection({
    uuid: "9Fh3kLmnPq2rSt",
    name: "?",
    description: "",
    key: BASE.times(42n).written,
    questions: [
      { answers: ["a", "b", "c"], blank: false, min: 1, max: 2, question: "two of three" },
      { answers: ["yes", "no"], blank: true, min: 1, max: 1, question: "or none" },
    ],
  }),
);
const CHOSEN = [
  [0, 1, 1],
  [1, 0, 0],
];
const OTHER = [
  [1, 0, 1],
  [0, 0, 1],
];
const made = (choices: number[][], seed: string) => makeBallot(election, SECRET, choices, streamOf(seed));

test("an opening says what a ballot encrypts", () => {
  const { text, opening } = made(CHOSEN, "a");
  assert.deepEqual(openBallot(election, text, opening, isOurs), { same: true, numbers: CHOSEN });
});

test("a ballot that encrypts what its voter did not choose is found", () => {
  const { text, opening } = made(OTHER, "a");
  const claimed = { choices: CHOSEN, randomness: opening.randomness };
  assert.deepEqual(openBallot(election, text, claimed, isOurs), { same: false, numbers: OTHER });
});

test("the exponents of another ballot, or one that is changed, open nothing", () => {
  const [one, other] = [made(CHOSEN, "a"), made(CHOSEN, "b")];
  const opened = openBallot(election, one.text, other.opening, isOurs);
  assert.equal(opened.same, false);
  assert.deepEqual(new Set(opened.numbers.flat()), new Set([null]));
  const [[first, ...rest], blank] = one.opening.randomness as [[string, ...string[]], string[]];
  const changed = { choices: CHOSEN, randomness: [[`${BigInt(first) + 1n}`, ...rest], blank] };
  const numbers = [[null, 1, 1], CHOSEN[1]];
  assert.deepEqual(openBallot(election, one.text, changed, isOurs), { same: false, numbers });
});

test("a ballot that no node would take is not opened", () => {
  const { text, opening } = made(CHOSEN, "a");
  assert.throws(() => openBallot(election, text, opening, () => false), { code: "unknown-credential" });
  const forged = text.replace(/"response":"(\d)/, (_, digit) => `"response":"${digit === "1" ? 2 : 1}`);
  assert.throws(() => openBallot(election, forged, opening, isOurs), { code: "bad-ballot-signature" });
});

test("an opening that is none of this election is refused", () => {
  const { text, opening } = made(CHOSEN, "a");
  const { choices, randomness } = opening;
  const odd: [string, typeof opening][] = [
    ["bad-choices", { choices: choices.slice(1), randomness }],
    ["bad-choices", { choices, randomness: [] }],
    ["bad-choices", { choices: [[1, 1, 1], choices[1]!], randomness }],
    ["bad-choices", { choices: [[2, 0, 0], choices[1]!], randomness }],
    ["bad-choices", { choices, randomness: [randomness[0]!.slice(1), randomness[1]!] }],
    ["bad-scalar", { choices, randomness: [["x", "1", "2"], randomness[1]!] }],
  ];
  for (const [code, one] of odd) assert.throws(() => openBallot(election, text, one, isOurs), { code });
});

test("an opening does not have the nonce from which the secret of the credential would follow", () => {
  const { text, opening } = made(CHOSEN, "a");
  const { signature } = readBallot(text) as Ballot;
  const shown = JSON.stringify(opening);
  const nonce = signature!.proof.response + SECRET * signature!.proof.challenge;
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  assert.ok(!shown.includes(`${nonce % order}`));
  assert.ok(!shown.includes(`${SECRET}`));
  assert.equal(opening.randomness.flat().length, 6);
});

test("numbers that the contests do not allow make no ballot", () => {
  const odd: number[][][] = [
    [],
    [CHOSEN[0]!],
    [[0, 0, 0], CHOSEN[1]!],
    [[1, 1, 1], CHOSEN[1]!],
    [CHOSEN[0]!, [1, 1, 0]],
    [CHOSEN[0]!, [0, 0, 0]],
    [CHOSEN[0]!, [0, 1]],
    [CHOSEN[0]!, [0, 0.5, 0.5]],
  ];
  for (const choices of odd) assert.throws(() => made(choices, "a"), { code: "bad-choices" });
});
