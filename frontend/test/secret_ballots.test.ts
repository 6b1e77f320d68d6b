/** Secret ballots that are made here hold for the product and for belenios-tool; what opens them opens them there. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { credentialOfCode, secretExponent } from "../src/secret/credential.ts";
import { type Question, numbersOf, readElection, writeElection } from "../src/secret/election.ts";
import { BASE, drawScalar } from "../src/secret/group.ts";
import { type MadeBallot, makeBallot } from "../src/secret/making.ts";
import { diceOf, streamOf } from "./secret_parts.ts";

const LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const COUNT = 8;

/** A contest as an election of votenet may have it, and an answer to it. */
function randomContest(below: (most: number) => number, most: number): [Question, string[]] {
  const answers = Array.from({ length: most }, (_, at) => `Calon "${at}" \u00e9\u{1f600}`);
  const min = 1 + below(most);
  const max = Math.min(most, min + below(3));
  const question = { answers, blank: below(2) === 0, min, max, question: `Siapa? (${most})` };
  if (question.blank && below(3) === 0) return [question, []];
  const left = [...answers];
  const names = Array.from({ length: min + below(max - min + 1) }, () => left.splice(below(left.length), 1)[0]!);
  return [question, names];
}

interface Sample {
  key: bigint;
  code: string;
  election: ReturnType<typeof readElection>;
  names: string[][];
}

/** An election with its private key, a voter's code, and what the voter chooses. */
function randomSample(seed: string, sizes?: number[]): Sample {
  const below = diceOf(seed);
  const lengths = sizes ?? Array.from({ length: 1 + below(5) }, () => 1 + below(20));
  const contests = lengths.map((most) => randomContest(below, most));
  const key = drawScalar(streamOf(`key of ${seed}`));
  const questions = contests.map(([question]) => question);
  const words = { uuid: "9Fh3kLmnPq2rSt", name: seed, description: `of ${seed}` };
  const text = writeElection({ ...words, questions, key: BASE.times(key).written });
  const code = votenet.codeOf(Array.from({ length: 21 }, () => LETTERS[below(32)]).join(""));
  return { key, code, election: readElection(text), names: contests.map(([, names]) => names) };
}

const secretOf = ({ code, election }: Sample): bigint =>
  secretExponent(credentialOfCode(votenet.utf8(code), election.uuid), election.uuid);

const madeFrom = (sample: Sample, entropy: string): MadeBallot =>
  makeBallot(sample.election, secretOf(sample), numbersOf(sample.election, sample.names), streamOf(entropy));

const python = process.env["VOTENET_PYTHON"];
const skip = python === undefined ? "the project's Python is not here (set VOTENET_PYTHON)" : false;

test("the product and belenios-tool take the ballots", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "ballots-"));
  try {
    const ballots = Array.from({ length: COUNT }, (_, number) => {
      const sample = randomSample(`election ${number}`, [[20], [1]][number]);
      const { text, opening } = madeFrom(sample, `ballot ${number}`);
      return { ballot: text, opening, code: sample.code, election: sample.election.text, key: `${sample.key}` };
    });
    const file = join(folder, "ballots.json");
    writeFileSync(file, JSON.stringify(ballots));
    const env = { ...process.env, PYTHONPATH: join(process.env["FRONTEND"]!, "../tests") };
    const run = spawnSync(python!, ["-m", "web.make_corpus", "--ballots", file], { encoding: "utf8", env });
    assert.equal(run.stderr, "");
    // Where every tool is installed none may be missing.
    const tool = process.env["VOTENET_NO_SKIPS"] ? `${COUNT}` : `(${COUNT}|none: it is not here)`;
    assert.match(run.stdout, new RegExp(`^${COUNT} ballots hold; for belenios-tool ${tool}\n$`));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
