/** Numbers and bytes that the Python side has made, and published ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { corpusJson, repositoryJson, withoutCorpus } from "./corpus.ts";

const skip = withoutCorpus;

interface VoteVector {
  voter_id: string;
  choices: string[][];
  time: number;
  record: string;
  id: string;
  seed: string;
  network: string;
}

test("votes have the bytes of the product", { skip }, () => {
  const votes = corpusJson<VoteVector[]>("votes.json");
  assert.ok(votes.length >= 2000);
  for (const one of votes) {
    const made = votenet.signVote(votenet.hex(one.seed), one.network, one.voter_id, one.choices, one.time);
    assert.equal(votenet.canonicalText(made), one.record);
    assert.equal(votenet.toHex(votenet.voteId(made)), one.id);
    const read = votenet.parseRecord(votenet.utf8(one.record), (value) => value);
    assert.equal(votenet.canonicalText(read), one.record);
  }
});

interface SignatureVector {
  key: string;
  message: string;
  signature: string;
  holds: boolean;
}

test("signatures hold where libsodium says so", { skip }, () => {
  const vectors = corpusJson<SignatureVector[]>("signatures.json");
  for (const { key, message, signature, holds } of vectors) {
    const [keyBytes, text, signed] = [key, message, signature].map(votenet.hex) as [Uint8Array, Uint8Array, Uint8Array];
    assert.equal(votenet.signatureHolds(keyBytes, text, signed), holds, `${key} ${signature}`);
  }
  assert.deepEqual(new Set(vectors.map((one) => one.holds)), new Set([true, false]));
});

test("keys can sign where libsodium says so", { skip }, () => {
  for (const [key, can] of corpusJson<[string, boolean][]>("keys.json")) {
    assert.equal(votenet.keyCanSign(votenet.hex(key)), can, key);
  }
});

test("RFC 8032's signatures are made again", () => {
  interface Vector {
    secret: string;
    public: string;
    message: string;
    signature: string;
  }
  for (const one of repositoryJson<{ vectors: Vector[] }>("tests/vectors/ed25519.json").vectors) {
    const [seed, message] = [votenet.hex(one.secret), votenet.hex(one.message)];
    assert.equal(votenet.toHex(votenet.publicKey(seed)), one.public);
    assert.equal(votenet.toHex(votenet.sign(seed, message)), one.signature);
    assert.ok(votenet.signatureHolds(votenet.hex(one.public), message, votenet.hex(one.signature)));
  }
});

interface CountVector {
  contest: votenet.Contest;
  ballots: [string[], number][];
  roll: number;
  counted: votenet.Counted;
  rounds: { counts: [string, number | string][] }[];
  matrix: [string, number[]][];
}

test("a weight of blank ballots that is the number of votes decides nothing", () => {
  const candidates = ["Ann", "Bob"].map((name) => ({ name }));
  const contest = { blank: true, candidates, id: "c", method: "plurality", seats: 1 } as unknown as votenet.Contest;
  const count = (bob: number, weight: number) => {
    const tally = votenet.Tally.ofCounts([["Bob", bob]], { votes: 2, weight, blank: 2 });
    return votenet.countContest(contest, tally, "ab".repeat(32), null).counted;
  };
  assert.deepEqual([count(1, 3).state, count(1, 3).winners], ["won", ["Bob"]]);
  assert.equal(count(0, 2).state, "undecided");
});

test("a file may come in more pieces than a function has arguments", () => {
  const parts = Array.from({ length: 300_000 }, () => Uint8Array.of(7));
  assert.equal(votenet.joined(parts).length, 300_000);
});

test("contests of every method are counted alike, round by round", { skip }, () => {
  const seen = new Set<string>();
  for (const { contest, ballots, roll, counted, rounds, matrix } of corpusJson<CountVector[]>("counts.json")) {
    const tally = new votenet.Tally();
    for (const [choices, weight] of ballots) tally.add(choices, weight);
    const ours = votenet.countContest(contest, tally, "ab".repeat(32), roll);
    assert.deepEqual(ours.counted, counted, contest.id);
    seen.add(`${contest.method} ${counted.state}`);
    const votes = (counts: [string, number | string][]) =>
      Object.fromEntries(counts.map(([name, number]) => [name, Number(number)]));
    assert.deepEqual(
      ours.rounds.map((round) => votes(round.votes)),
      rounds.map((round) => votes(round.counts)),
      contest.id,
    );
    if (matrix.length > 0) {
      const names = contest.candidates.map(({ name }) => name);
      const rows = votenet.preferences(tally.ballots(), names).map((row, at) => [names[at], row.map(Number)]);
      assert.deepEqual(rows, matrix);
    }
  }
  for (const method of votenet.limits.METHODS)
    assert.ok(seen.has(method === "motion" ? "motion carried" : `${method} tied`));
});

test("Scottish councils elected the same", () => {
  interface Ward {
    ward: string;
    seats: number;
    quota: string;
    candidates: string[];
    elected: string[];
    stages: string[][];
    ballots: string;
  }
  for (const ward of repositoryJson<{ wards: Ward[] }>("tests/vectors/scottish_wards_2017.json").wards) {
    const tally = new votenet.Tally();
    for (const line of ward.ballots.split(";")) {
      const [times, ...choices] = line.trim().split(/\s+/).map(Number) as [number, ...number[]];
      tally.add(
        choices.map((choice) => ward.candidates[choice - 1]!),
        times,
      );
    }
    const contest = {
      id: "1",
      method: "stv",
      seats: ward.seats,
      candidates: ward.candidates.map((name) => ({ name })),
    };
    const { counted, rounds } = votenet.countContest(contest as votenet.Contest, tally, "ab".repeat(32), null);
    assert.equal(counted.quota, ward.quota);
    assert.deepEqual(new Set(counted.winners), new Set(ward.elected));
    const first = Object.fromEntries(rounds[0]!.votes);
    assert.deepEqual(
      ward.candidates.map((name) => first[name]),
      ward.stages[0],
    );
  }
});

test("the same characters may stand in a name", { skip }, () => {
  for (const [name, plain, skeleton] of corpusJson<[string, boolean, string][]>("names.json")) {
    assert.equal(votenet.isName(name), plain, JSON.stringify(name));
    assert.equal(votenet.skeleton(name), skeleton);
  }
});

test("difficulty is computed alike", { skip }, () => {
  const { targets, steps } = corpusJson<{ targets: [string, number][]; steps: number[][] }>("difficulty.json");
  for (const [target, bits] of targets) assert.equal(votenet.compactBits(BigInt(target)), bits);
  for (const [bits, floor, interval, gap, before, next] of steps as [
    number,
    number,
    number,
    number,
    number,
    number,
  ][]) {
    assert.equal(votenet.nextBits(bits, floor, interval, gap, before), next);
  }
});

interface CodeVector {
  payload: string;
  code: string;
  uuid: string;
  seed: string;
}

test("the product's voting codes give the same keys here", () => {
  interface Made {
    code: string;
    seed: string;
    public_key: string;
  }
  const { uuid, codes } = repositoryJson<{ uuid: string; codes: Made[] }>("tests/vectors/voting_codes.json");
  for (const one of codes) {
    const read = votenet.readCode(one.code);
    assert.ok("code" in read, one.code);
    const seed = votenet.seedOfCode(read.code, uuid);
    assert.equal(votenet.toHex(seed), one.seed);
    assert.equal(votenet.toHex(votenet.publicKey(seed)), one.public_key);
  }
});

test("a voting code is read, and gives its key", { skip }, () => {
  for (const { payload, code, uuid, seed } of corpusJson<CodeVector[]>("codes.json")) {
    const plain = code.replaceAll("-", "");
    assert.equal(votenet.codeOf(payload), plain);
    const typed = ` ${code.toLowerCase().replaceAll("0", "o").replaceAll("1", "l").replaceAll("-", " - ")} `;
    assert.deepEqual(votenet.readCode(typed), { ok: true, code: plain });
    assert.equal(votenet.toHex(votenet.seedOfCode(plain, uuid)), seed);
    votenet.groupsOf(plain).forEach((group, index) => {
      const other = group.slice(0, -1) + (group.endsWith("7") ? "8" : "7");
      const broken = votenet.groupsOf(plain).map((each, at) => (at === index ? other : each));
      assert.deepEqual(votenet.readCode(broken.join("-")), { ok: false, group: index + 1, length: 26 });
    });
  }
});

test("a code of another length or with a foreign letter is refused", () => {
  assert.deepEqual(votenet.readCode("ABC"), { ok: false, group: 0, length: 3 });
  assert.deepEqual(votenet.readCode("U".repeat(26)), { ok: false, group: 1, length: 26 });
  assert.deepEqual(votenet.readCode("\u{1f600}".repeat(26)), { ok: false, group: 1, length: 26 });
});

interface Proof {
  name: string;
  proof: string[] | null;
  wantErr: boolean;
}
interface InclusionProof extends Proof {
  leafHash: string | null;
  leafIdx: number;
  treeSize: number;
  root: string | null;
}

test("published proofs of inclusion hold, and the broken ones do not", () => {
  const { inclusion } = repositoryJson<{ inclusion: InclusionProof[] }>("tests/vectors/merkle_proofs.json");
  assert.ok(inclusion.length > 50);
  const bytes = (text: string | null) => votenet.fromBase64(text ?? "") ?? new Uint8Array();
  for (const one of inclusion) {
    const path = (one.proof ?? []).map(bytes);
    const fits = [bytes(one.leafHash), ...path].every((each) => each.length === 32) && one.leafIdx >= 0;
    const root = fits ? votenet.pathRoot(bytes(one.leafHash), BigInt(one.leafIdx), BigInt(one.treeSize), path) : null;
    assert.equal(root !== null && votenet.equalBytes(root, bytes(one.root)), !one.wantErr, one.name);
  }
});

interface ConsistencyProof extends Proof {
  size1: number;
  size2: number;
  root1: string | null;
  root2: string | null;
}

test("published proofs of growth lead to both roots, and the broken ones do not", () => {
  const { consistency } = repositoryJson<{ consistency: ConsistencyProof[] }>("tests/vectors/merkle_proofs.json");
  const bytes = (text: string | null) => votenet.fromBase64(text ?? "") ?? new Uint8Array();
  const grown = consistency.filter(({ size1, size2 }) => 0 < size1 && size1 < size2);
  assert.ok(grown.length > 30);
  for (const one of grown) {
    const [old, root] = [bytes(one.root1), bytes(one.root2)];
    // The published form leaves the first hash out where it is the old root.
    const isWhole = (one.size1 & (one.size1 - 1)) === 0;
    const proof = [...(isWhole ? [old] : []), ...(one.proof ?? []).map(bytes)];
    const roots = proof.every((each) => each.length === 32)
      ? votenet.grownRoots(BigInt(one.size1), BigInt(one.size2), proof)
      : null;
    const holds = roots !== null && votenet.equalBytes(roots.old, old) && votenet.equalBytes(roots.new, root);
    assert.equal(holds, !one.wantErr, one.name);
  }
});
