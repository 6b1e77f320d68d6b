/** The count of a secret election: sums under encryption, shares of trustees, small logarithms; all in steps. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SecretCount } from "../src/lib/secret_votes.ts";
import { finished } from "../src/lib/steps.ts";
import { type Ballot, ballotSteps } from "../src/secret/ballot.ts";
import type { SecretElection } from "../src/secret/election.ts";
import { Opening } from "../src/secret/encryption.ts";
import { BASE, Element, drawScalar, modulo } from "../src/secret/group.ts";
import { makeShare } from "../src/secret/ceremony/share.ts";
import { interpolated } from "../src/secret/interpolation.ts";
import { makeBallot } from "../src/secret/making.ts";
import { type Factors, SecretTally } from "../src/secret/tally.ts";
import { electionOf, secretDefinition, streamOf } from "./secret_parts.ts";

const PRIVATE = 987654321n;
const KEY = BASE.times(PRIVATE);
const question = (answers: string[]) => ({ answers, blank: false, min: 0, max: answers.length, question: "?" });
/** What a tally needs of an election. */
const election = { questions: [question(["a", "b"]), question(["c"])], key: KEY } as unknown as SecretElection;

let random = 1n;
/** The ciphertexts of a ballot; a tally asks for no more. */
const ballotOf = (rows: number[][]): Ballot =>
  ({
    answers: rows.map((row) => ({ choices: row.map((one) => new Opening(one, ++random).encrypted(KEY)) })),
  }) as unknown as Ballot;

const factorsOf = (tally: SecretTally, secret: bigint): Factors =>
  tally.sums.map((row) => row.map(({ alpha }) => alpha.timesPublic(secret)));

test("sums come out, however large the weights are", () => {
  const tally = new SecretTally(election);
  tally.add(ballotOf([[1, 0], [1]]), 999_983);
  tally.add(ballotOf([[1, 1], [0]]), 1_000_000);
  tally.add(ballotOf([[0, 0], [1]]), 1);
  assert.deepEqual([tally.votes, tally.weight], [3, 1_999_984]);
  const opened = finished(tally.opened(new Map([[1, factorsOf(tally, PRIVATE)]]), 1));
  assert.deepEqual(opened, [[1_999_983, 1_000_000], [999_984]]);
});

test("nobody voted, or all for one", () => {
  const tally = new SecretTally(election);
  const open = () => finished(tally.opened(new Map([[1, factorsOf(tally, PRIVATE)]]), 1));
  assert.deepEqual(open(), [[0, 0], [0]]);
  for (let number = 0; number < 3; number++) tally.add(ballotOf([[1, 0], [1]]), 1);
  assert.deepEqual(open(), [[3, 0], [3]]);
});

test("factors of another key come to no count", () => {
  const tally = new SecretTally(election);
  tally.add(ballotOf([[1, 0], [1]]), 5);
  const open = () => finished(tally.opened(new Map([[1, factorsOf(tally, PRIVATE + 1n)]]), 1));
  assert.throws(open, { code: "bad-result" });
});

test("a sum that is larger than all weights together is refused", () => {
  const tally = new SecretTally(election);
  tally.add(ballotOf([[1, 1], [1]]), 100);
  tally.weight = 99;
  assert.throws(() => finished(tally.opened(new Map([[1, factorsOf(tally, PRIVATE)]]), 1)), { code: "bad-result" });
});

test("any threshold of trustees opens the same count, and more of them no other", () => {
  const tally = new SecretTally(election);
  tally.add(ballotOf([[1, 0], [0]]), 3);
  // Private keys on the polynomial PRIVATE + 7 x + 11 x^2.
  const secretAt = (place: number) => modulo(PRIVATE + 7n * BigInt(place) + 11n * BigInt(place) ** 2n);
  const all = [1, 2, 3, 4, 5].map((place): [number, Factors] => [place, factorsOf(tally, secretAt(place))]);
  for (const places of [
    [1, 2, 3],
    [5, 3, 1],
    [2, 4, 5],
    [1, 2, 3, 4, 5],
  ]) {
    const some = new Map(all.filter(([place]) => places.includes(place)));
    assert.deepEqual(finished(tally.opened(some, 3)), [[3, 0], [0]]);
  }
  const keys = all.map(([place]) => BASE.timesPublic(secretAt(place)));
  assert.ok(interpolated([1, 3, 5], [keys[0]!, keys[2]!, keys[4]!], 0).equals(KEY));
  assert.ok(interpolated([1, 2, 3], keys.slice(0, 3), 5).equals(keys[4]!));
});

/** An election in which nobody voted: its definition, and the shares of its three trustees. */
function countedByTrustees() {
  const made = secretDefinition([question(["a", "b"])]);
  const secret = electionOf(made);
  const entropy = streamOf("trustees");
  const [first, second] = [drawScalar(entropy), drawScalar(entropy)];
  const { sums } = new SecretTally(secret);
  const shares = [1, 2, 3].map((place) =>
    makeShare(secret, sums, place, modulo(first + second * BigInt(place)), streamOf(`share ${place}`)),
  );
  const opening = (...places: number[]) =>
    new SecretCount(made, secret).open(places.map((place) => shares[place - 1]!));
  return { made, secret, shares, opening };
}

test("shares are in the order of their trustees, each once", () => {
  const { opening } = countedByTrustees();
  for (const places of [[1, 2], [2, 3], [1, 2, 3], [3]]) finished(opening(...places));
  for (const places of [[], [2, 1], [1, 1], [1, 3, 2], [1, 2, 3, 3]]) {
    assert.throws(() => finished(opening(...places)), { code: "bad-order" }, `${places}`);
  }
});

test("a share more than there are trustees has its own fault first, as everywhere else", () => {
  const { made, secret, shares } = countedByTrustees();
  const more = [...shares, shares[0]!.replace('"place":1', '"place":4')];
  assert.throws(() => finished(new SecretCount(made, secret).open(more)), { code: "bad-decryption" });
});

test("no share is checked behind one more than there are trustees", () => {
  const { made, secret, shares } = countedByTrustees();
  const many = [shares[0]!, ...Array<string>(100_000).fill(shares[0]!), "no share"];
  assert.throws(() => finished(new SecretCount(made, secret).open(many)), { code: "bad-order" });
});

test("a page can draw after each choice of a ballot, and while sums are opened", () => {
  const names = Array.from({ length: 40 }, (_, at) => `candidate ${at}`);
  const made = secretDefinition([{ answers: names, blank: false, min: 0, max: 3, question: "forty" }]);
  const secret = electionOf(made);
  const chosen = [names.map((_, at) => (at < 2 ? 1 : 0))];
  const { text } = makeBallot(secret, 5n, chosen, streamOf("long"));
  const work = ballotSteps(secret, text, () => true);
  let steps = 0;
  while (work.next().done !== true) steps++;
  assert.ok(steps >= 40, `${steps}`);
  const tally = new SecretTally(election);
  tally.add(ballotOf([[1, 1], [1]]), 100_000_000);
  const opening = tally.opened(new Map([[1, factorsOf(tally, PRIVATE)]]), 1);
  for (steps = 0; opening.next().done !== true;) steps++;
  assert.ok(steps > 30, `${steps}`);
});

test("the identity is a sum, and no point of a ballot", () => {
  assert.throws(() => Element.parse(BASE.minus(BASE).written), { code: "bad-point" });
});
