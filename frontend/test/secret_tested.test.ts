/** The file of a ballot that was tested instead of cast. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { fingerprint } from "../src/secret/documents.ts";
import { makeBallot } from "../src/secret/making.ts";
import { judgeTestedBallot, testedBallot, testedFile } from "../src/secret/tested_ballot.ts";
import { electionOf, secretDefinition, streamOf } from "./secret_parts.ts";

const made = secretDefinition([
  { answers: ["a", "b", "c"], blank: false, min: 1, max: 2, question: "two of three" },
  { answers: ["yes", "no"], blank: true, min: 1, max: 1, question: "or none" },
]);
const { text, opening } = makeBallot(
  electionOf(made),
  123456789n,
  [
    [0, 1, 1],
    [1, 0, 0],
  ],
  streamOf("a"),
);
const file = testedFile(made, text, opening);
const read = () => votenet.parseRecord(votenet.utf8(file.slice(0, -1)), testedBallot);

test("it says what the ballot encrypts, in names, and which ballot it is", () => {
  assert.ok(file.endsWith("}\n"));
  const { kind, networkId, fingerprint: shown, same, chosen } = judgeTestedBallot(read(), null);
  assert.deepEqual(
    [kind, networkId, shown, same, chosen],
    ["tested-ballot", new votenet.Election(made).networkHex, fingerprint(text), true, [["b", "c"], []]],
  );
});

test("a device that encrypted another choice than it says is found", () => {
  const claimed = { ...read(), choices: [[1, 1, 0], opening.choices[1]!.slice()] };
  const { same, chosen } = judgeTestedBallot(claimed, null);
  assert.deepEqual([same, chosen], [false, [["b", "c"], []]]);
  const numbers = opening.randomness.map((row) => [...row].reverse());
  assert.deepEqual(judgeTestedBallot({ ...read(), randomness: numbers }, null).chosen, [null, null]);
});

test("a file of another format, network or election is refused", () => {
  const odd: [string, object][] = [
    ["wrong-format", { format: "votenet-receipt" }],
    ["wrong-version", { version: 2 }],
    ["bad-genesis", { definition: { ...made, title: "Another" } }],
    ["bad-genesis", { definition: { ...made, secrecy: "public", belenios: "", trustees: null } }],
    ["bad-choices", { choices: [] }],
    ["bad-document", { ballot: "{}" }],
  ];
  for (const [code, change] of odd)
    assert.throws(() => judgeTestedBallot({ ...read(), ...change }, null), { code }, JSON.stringify(change));
  assert.throws(() => judgeTestedBallot(read(), "ab".repeat(32)), { code: "network-mismatch" });
});
