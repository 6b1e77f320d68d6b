/** The worker that encrypts ballots, as it is bundled, and its questions and answers. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { checkBallot } from "../src/secret/ballot.ts";
import { credentialOfCode, publicCredential, secretExponent } from "../src/secret/credential.ts";
import { judgeTestedBallot, testedBallot } from "../src/secret/tested_ballot.ts";
import { type WorkerAnswer, type WorkerQuestion, workerTasks } from "../src/secret/worker_tasks.ts";
import { electionOf, secretDefinition, streamOf } from "./secret_parts.ts";

const CODE = votenet.codeOf("0123456789ABCDEFGHJKM");
const made = secretDefinition([
  { answers: ["a", "b", "c"], blank: false, min: 1, max: 2, question: "two of three" },
  { answers: ["yes", "no"], blank: true, min: 1, max: 1, question: "or none" },
]);
const election = electionOf(made);
const credential = () => credentialOfCode(votenet.utf8(CODE), election.uuid);
const written = publicCredential(secretExponent(credential(), election.uuid)).written;
const isOurs = (one: string) => one === written;
const question = (choices = [["c", "a"], []]): WorkerQuestion & { kind: "make" } => ({
  kind: "make",
  definition: made as unknown as votenet.Json,
  choices,
  secret: { code: votenet.utf8(CODE) },
});

/** A worker in this thread: its function, and all that it has answered. */
function started() {
  const answers: WorkerAnswer[] = [];
  const ask = workerTasks(streamOf("worker"), (one) => answers.push(one));
  const last = <K extends WorkerAnswer["kind"]>(kind: K) => {
    const found = answers.at(-1)!;
    assert.equal(found.kind, kind, JSON.stringify(found).slice(0, 200));
    return found as WorkerAnswer & { kind: K };
  };
  return { ask, answers, last };
}

test("it makes a ballot, and says how far it is", () => {
  const { ask, answers, last } = started();
  ask(question());
  const { ballot, credential: shown, network } = last("ballot");
  assert.deepEqual([shown, network], [written, new votenet.Election(made).networkHex]);
  checkBallot(election, ballot, isOurs);
  const steps = answers.slice(0, -1).map((one) => (one.kind === "progress" ? [one.done, one.all] : one.kind));
  assert.deepEqual(
    steps,
    Array.from({ length: 9 }, (_, at) => [at + 1, 9]),
  );
});

test("a code and the credential that follows from it make ballots of one voter", () => {
  const { ask, last } = started();
  ask({ ...question(), secret: { credential: credential() } });
  assert.equal(last("ballot").credential, written);
});

test("its secret is overwritten, also when it refuses", () => {
  const { ask, last } = started();
  const code = votenet.utf8(CODE);
  ask({ ...question(), secret: { code } });
  assert.deepEqual(code, new Uint8Array(CODE.length));
  const kept = credential();
  ask({ ...question([["x"], []]), secret: { credential: kept } });
  assert.equal(last("fault").code, "bad-choices");
  assert.deepEqual(kept, new Uint8Array(kept.length));
});

test("a ballot is opened once, and never after it was replaced", () => {
  const { ask, last } = started();
  ask({ kind: "open" });
  assert.equal(last("fault").code, "bad-choices");
  ask(question());
  const { ballot } = last("ballot");
  ask({ kind: "open" });
  const { file } = last("tested");
  const tested = votenet.parseRecord(votenet.utf8(file.replace(/\n$/, "")), testedBallot);
  assert.equal(tested.ballot, ballot);
  assert.deepEqual(judgeTestedBallot(tested, null).chosen, [["a", "c"], []]);
  ask({ kind: "open" });
  last("fault");
  ask(question());
  ask(question([["x"], []]));
  ask({ kind: "open" });
  last("fault");
});

test("choices that are no answer, and a key that is not that of the trustees, are refused", () => {
  const { ask, last } = started();
  const odd = [[], [["a"]], [["a", "a"], []], [["a", "b", "c"], []], [[], []], [["a"], ["yes", "no"]], [["d"], []]];
  for (const choices of odd) {
    ask(question(choices));
    assert.equal(last("fault").code, "bad-choices", JSON.stringify(choices));
  }
  for (const [change, code] of [
    [{ secrecy: "public", belenios: "", trustees: null }, "bad-genesis"],
    [{ belenios: made.belenios.replace("yes", "yea") }, "bad-genesis"],
    [{ title: "Another" }, "bad-genesis"],
    [{ trustees: { ...made.trustees!, threshold: 1 } }, "bad-genesis"],
    [{ belenios: "{}" }, "bad-genesis"],
    [{ uuid: 5 }, "bad-record"],
  ] as const) {
    ask({ ...question(), definition: { ...made, ...change } as unknown as votenet.Json });
    assert.equal(last("fault").code, code, JSON.stringify(change));
  }
  ask({ ...question(), secret: { credential: votenet.utf8("short") } });
  assert.equal(last("fault").code, "bad-credential");
});

test("a ballot of another roll, other nodes or another hour is of another election", () => {
  const { ask, last } = started();
  const key = election.key.written;
  for (const change of [{ roll_root: "cd".repeat(32) }, { nodes: made.nodes.slice(1) }, { closes: made.closes! + 1 }]) {
    const other = { ...made, ...change };
    const belenios = votenet.beleniosText(other, key);
    for (const kept of [other, { ...made, belenios }]) {
      ask({ ...question(), definition: kept as unknown as votenet.Json });
      assert.equal(last("fault").code, "bad-genesis");
    }
    ask({ ...question(), definition: { ...other, belenios } as unknown as votenet.Json });
    const { ballot } = last("ballot");
    assert.throws(() => checkBallot(election, ballot, isOurs), { code: "wrong-election" });
  }
});

test("the built worker does the same, and only the booth loads it", () => {
  const built = join(process.env["FRONTEND"]!, "../src/votenet/web/static");
  const source = readFileSync(join(built, "secret_worker.js"), "utf8");
  assert.doesNotMatch(source, /\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|importScripts|\beval\(/);
  const answers: WorkerAnswer[] = [];
  const scope: { onmessage?: (event: { data: unknown }) => void; postMessage(one: WorkerAnswer): void } = {
    postMessage: (one) => void answers.push(one),
  };
  new Function("self", source)(scope);
  scope.onmessage!({ data: question() });
  const last = answers.at(-1)!;
  assert.ok(last.kind === "ballot");
  checkBallot(election, last.ballot, isOurs);
  const loads = readdirSync(built).filter((name) => readFileSync(join(built, name), "utf8").includes("secret_worker"));
  assert.deepEqual(loads, ["booth.en.js", "booth.id.js"]);
});
