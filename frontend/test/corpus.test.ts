/** The third verifier on every file of the corpus: the codes of the product and of the second verifier. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { type Case, type Corpus, corpusBytes, corpusJson, withoutCorpus } from "./corpus.ts";

const named = (file: string, name: string): votenet.NamedFile => ({ blob: new Blob([corpusBytes(file)]), name });

async function judged(one: Case, now: number): Promise<unknown> {
  const file = named(one.data, one.file);
  const context = { now, roll: one.roll === null ? null : corpusBytes(one.roll) };
  const archive = one.archive === null ? null : named(one.archive, "archive");
  switch (one.check) {
    case "archive":
      return votenet.checkArchive(file, context);
    case "receipt":
      return votenet.checkReceipt(file, context);
    case "result":
      return votenet.checkResult(file, context, archive);
    case "evidence":
      return votenet.checkEvidence(file, context, archive);
  }
}

/** What an archive says, as the second verifier writes it. */
function asSecond(report: votenet.ArchiveReport): Record<string, unknown> {
  return {
    contests: (report.shown ? report.contests : []).map(({ contest, counted }) => ({
      ...{ id: contest.id, title: contest.title, method: contest.method, seats: contest.seats },
      ...counted,
    })),
    counts_shown: report.shown,
    ...{ height: report.height, tip: report.tip, votes: report.votes, work: Number(report.work) },
    ...{ network_id: report.networkId, closes: report.closes, amendments: report.amendments },
    final: report.finality === "final" || report.finality === "cancelled",
    cancelled: report.finality === "cancelled" || report.amendments.some((each) => each.action === "cancel"),
    signed_by: report.signedBy,
  };
}

function compareReports(one: Case, made: unknown): void {
  const theirs = one.report;
  const ours = made as { signedBy?: string[] };
  if (one.check === "archive") {
    const expected = { ...theirs };
    for (const name of ["title", "finality", "registration", "not_checked"]) delete expected[name];
    const archive = made as votenet.ArchiveReport;
    assert.deepEqual(JSON.parse(JSON.stringify(asSecond(archive))), expected);
    const isSealed = archive.decryption !== null && !archive.decryption.isOpen;
    assert.equal(isSealed, "not_checked" in theirs);
    if (isSealed) {
      const { by, needed } = archive.decryption!;
      assert.match(String(theirs["not_checked"]), new RegExp(`has ${by.length} of the ${needed} shares`));
    }
  } else if (one.check === "receipt") {
    const receipt = made as votenet.ReceiptReport;
    assert.equal(receipt.voteId, theirs["vote_id"]);
    assert.equal(receipt.finality === "final", theirs["final"]);
    assert.deepEqual(ours.signedBy, theirs["signed_by"] ?? theirs["received_by"] ?? []);
    if (receipt.block !== null) assert.equal(receipt.block.hash, theirs["block"]);
  } else if (one.check === "result") {
    assert.deepEqual(ours.signedBy, theirs["signed_by"]);
    assert.equal((made as votenet.ResultReport).compared, theirs["final"]);
  } else {
    assert.equal((made as votenet.EvidenceReport).name, theirs["name"]);
  }
}

/** Judges every file of a list; says how many have a fault. */
async function judgeAll(list: string): Promise<number> {
  const { now, cases } = corpusJson<Corpus>(list);
  const wrong: string[] = [];
  for (const one of cases) {
    let code = "";
    try {
      compareReports(one, await judged(one, now));
    } catch (error) {
      if (error instanceof votenet.Fault) code = error.code;
      else code = `${(error as Error).name}: ${(error as Error).message}`;
    }
    if (code !== one.code) wrong.push(`${one.name}: ${code || "holds"}, not ${one.code || "holds"}`);
  }
  assert.deepEqual(wrong, []);
  const faults = cases.filter((one) => one.code !== "");
  console.log(`${cases.length} files, ${faults.length} of them with a fault`);
  return faults.length;
}

test("every file of the corpus has the code of the other verifiers", { skip: withoutCorpus }, async () => {
  assert.ok((await judgeAll("cases.json")) > 400);
});

test("so has every file of a secret election", { skip: withoutCorpus }, async () => {
  assert.ok((await judgeAll("secret-cases.json")) > 100);
});
