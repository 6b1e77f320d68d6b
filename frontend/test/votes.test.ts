/** Votes that are signed here are the product's votes, byte for byte, and its signatures hold there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";

const python = process.env["VOTENET_PYTHON"];
const COUNT = 2000;

/** A stream of numbers from 0 to below `most`, out of a seed. */
function dice(seed: string): (most: number) => number {
  let state = votenet.utf8(seed);
  return (most) => {
    state = votenet.sha256(state);
    return Number(votenet.bigEndian(state.subarray(0, 8)) % BigInt(most));
  };
}

const RANGES: [number, number][] = [
  [0x20, 0x7f],
  [0, 0x250],
  [0x600, 0x1100],
  [0x3000, 0xd800],
  [0xe000, 0x10000],
  [0x10000, 0x110000],
];

function anyText(below: (most: number) => number, most: number): string {
  const [first, last] = RANGES[below(RANGES.length)]!;
  const points = Array.from({ length: 1 + below(most) }, () => first + below(last - first));
  return String.fromCodePoint(...points);
}

function madeVotes(): object[] {
  const below = dice("votes of the third verifier");
  return Array.from({ length: COUNT }, (_, number) => {
    const seed = votenet.sha256(votenet.utf8(`seed ${number}`));
    const network = votenet.toHex(votenet.sha256(votenet.utf8(`network ${number}`)));
    const choices = Array.from({ length: 1 + below(4) }, () =>
      Array.from({ length: below(5) }, () => anyText(below, 40)),
    );
    const [voter, time] = [anyText(below, 30), below(2 ** 53)];
    const vote = votenet.signVote(seed, network, voter, choices, time);
    const made = { record: votenet.canonicalText(vote), id: votenet.toHex(votenet.voteId(vote)) };
    return { ...made, seed: votenet.toHex(seed), network, voter_id: voter, choices, time };
  });
}

const skip = python === undefined ? "the project's Python is not here (set VOTENET_PYTHON)" : false;

test("the product signs the same bytes", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "votes-"));
  try {
    const file = join(folder, "votes.json");
    writeFileSync(file, JSON.stringify(madeVotes()));
    const env = { ...process.env, PYTHONPATH: join(process.env["FRONTEND"]!, "../tests") };
    const run = spawnSync(python!, ["-m", "web.make_corpus", "--votes", file], { encoding: "utf8", env });
    assert.equal(run.stderr, "");
    assert.equal(run.stdout, `${COUNT} votes are the same\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
