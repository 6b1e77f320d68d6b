/** The booth of a secret election without a page: encrypted in a worker, cast, or tested and thrown away. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type Scene } from "../src/booth/view.ts";
import { Words } from "../src/booth/words.ts";
import { reviewView } from "../src/booth/ballot_view.ts";
import { afterView } from "../src/booth/after_view.ts";
import { refusedView } from "../src/booth/message_view.ts";
import { testedView } from "../src/booth/secret_view.ts";
import type { Kiosk } from "../src/booth/kiosk.ts";
import type { Screen } from "../src/booth/screen.ts";
import { shelfOf } from "../src/booth/store.ts";
import * as votenet from "../src/lib/index.ts";
import { checkBallot } from "../src/secret/ballot.ts";
import { credentialOfCode, publicCredential, secretExponent } from "../src/secret/credential.ts";
import { fingerprint } from "../src/secret/documents.ts";
import { judgeTestedBallot, testedBallot } from "../src/secret/tested_ballot.ts";
import { textOf } from "./page_text.ts";
import { ScriptedElection, refused } from "./scripted_election.ts";
import { electionOf, secretDefinition } from "./secret_parts.ts";
import { Tab, noShelf } from "./tab.ts";

const made = secretDefinition([
  { answers: ["Ann", "Bo", "Cy"], blank: false, min: 1, max: 2, question: "Board" },
  { answers: ["Yes", "No"], blank: true, min: 1, max: 1, question: "Bylaws" },
]);
const ballots = (election: ScriptedElection): string[] =>
  election.asked.filter(({ path }) => path === "votes").map(({ body }) => (JSON.parse(body) as votenet.Vote).ballot!);

/** From the start to the review: Ann and Cy, and a blank vote. */
async function toReview(tab: Tab, code: string | null): Promise<void> {
  await tab.booth.start(code);
  tab.booth.go({ kind: "contest", index: 0 });
  tab.booth.toggle(0, "Ann");
  tab.booth.toggle(0, "Cy");
  tab.booth.next(0);
  tab.booth.skip(1);
  assert.equal(tab.kind, "review");
}

const isSealed = ({ sealing }: Tab["booth"]): boolean => sealing?.ballot != null;

/** A tab whose voter has an encrypted ballot. */
async function sealed(election = new ScriptedElection(made), shelf = noShelf()): Promise<Tab> {
  const tab = new Tab(election, shelf);
  await toReview(tab, election.codeFor("ann-17"));
  await tab.until(isSealed);
  return tab;
}

const sceneOf = ({ booth }: Tab, language = "en", kiosk: Kiosk | null = null): Scene => ({
  ...{ booth, kiosk, kept: null, words: new Words(language) },
  keepFile: () => undefined,
});

async function tested(tab: Tab): Promise<Extract<Screen, { kind: "tested" }>> {
  tab.booth.test();
  await tab.until((booth) => booth.screen.kind === "tested");
  const { screen } = tab.booth;
  return screen.kind === "tested" ? screen : assert.fail();
}

test("a secret vote is encrypted at the review, cast, received, final, and read back", async () => {
  const election = new ScriptedElection(made);
  const tab = await sealed(election);
  const { sealing } = tab.booth;
  assert.equal(sealing!.done, sealing!.all);
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.readBack != null);
  assert.equal(tab.booth.step, "final");
  assert.equal(tab.worker!.isEnded, true, "what opens the ballot is gone");
  const vote = election.votes.get("ann-17")!;
  assert.deepEqual([vote.choices, vote.ballot], [[], sealing!.ballot]);
  votenet.checkVoteSignature(vote);
  const code = votenet.utf8(election.codeFor("ann-17"));
  const credential = publicCredential(secretExponent(credentialOfCode(code, made.uuid), made.uuid)).written;
  checkBallot(electionOf(made), vote.ballot!, (one) => one === credential);
  for (const [language, words] of [
    ["en", /read back.*the one that this device encrypted/s],
    ["id", /dibaca ulang.*dienkripsi dan ditandatangani perangkat ini/s],
  ] as const) {
    const shown = textOf(afterView(sceneOf(tab, language)));
    assert.match(shown, words);
    assert.ok(shown.includes(fingerprint(vote.ballot!)));
    assert.doesNotMatch(shown, /Is this what you chose|Ann/);
  }
});

test("with the cast the device forgets the choices and the code, and keeps the encrypted vote", async () => {
  const session = noShelf();
  const tab = await sealed(undefined, session);
  const before = session.get("votenet/booth")!;
  const code = tab.booth.voter!.code;
  assert.ok(before.includes("Cy") && before.includes(code), "a reload goes on with them");
  const { ballot } = tab.booth.sealing!;
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.readBack != null);
  const kept = session.get("votenet/booth")!;
  assert.ok(!kept.includes("Cy") && !kept.includes(code));
  const { cast } = JSON.parse(kept) as { cast: string };
  assert.equal((JSON.parse(cast) as votenet.Vote).ballot, ballot);
  const again = new Tab(tab.election, session);
  await again.booth.start(null);
  await again.until((booth) => booth.outcome?.readBack != null);
  assert.equal(new Set(ballots(tab.election)).size, 1);
});

test("nothing is cast before the ballot is there", async () => {
  const election = new ScriptedElection(made);
  const tab = new Tab(election);
  await toReview(tab, election.codeFor("ann-17"));
  assert.match(
    textOf(reviewView(sceneOf(tab))),
    /2 of 3 trustees together could open it, and so could a dishonest server.*being encrypted/s,
  );
  assert.match(textOf(reviewView(sceneOf(tab, "id"))), /2 dari 3 pemegang kunci bersama-sama/);
  assert.doesNotMatch(textOf(reviewView(sceneOf(tab))), /Cast my vote/);
  tab.booth.cast();
  assert.equal(tab.kind, "review");
  await tab.until(isSealed);
  assert.match(textOf(reviewView(sceneOf(tab))), /Cast my vote/);
});

test("each review has a ballot of its own, also behind a reload", async () => {
  const session = noShelf();
  const tab = await sealed(undefined, session);
  const first = tab.worker!;
  const found = [tab.booth.sealing!.ballot];
  tab.booth.go({ kind: "contest", index: 0 });
  assert.deepEqual([tab.booth.sealing, first.isEnded], [null, true]);
  tab.booth.toggle(0, "Ann");
  tab.booth.next(0);
  await tab.until(isSealed);
  found.push(tab.booth.sealing!.ballot);
  const again = new Tab(tab.election, session);
  await again.booth.start(null);
  await again.until(isSealed);
  found.push(again.booth.sealing!.ballot);
  assert.equal(new Set(found).size, 3);
  assert.equal(ballots(tab.election).length, 0);
});

test("a tested ballot says on another device what it encrypts, is never sent, and a fresh one is cast", async () => {
  const session = noShelf();
  const tab = await sealed(undefined, session);
  const { ballot, fingerprint: shown } = tab.booth.sealing!;
  const { file, fingerprint: still } = await tested(tab);
  assert.equal(still, shown);
  const one = votenet.parseRecord(votenet.utf8(file.slice(0, -1)), testedBallot);
  const { same, chosen, fingerprint: found } = judgeTestedBallot(one, tab.election.election.networkHex);
  assert.deepEqual([one.ballot, same, chosen, found], [ballot, true, [["Ann", "Cy"], []], shown]);
  assert.deepEqual([tab.worker!.isEnded, tab.booth.sealing, tab.booth.step], [true, null, "tested"]);
  tab.booth.cast();
  assert.equal(tab.kind, "tested", "it cannot be cast");
  const reload = new Tab(tab.election, session);
  await reload.booth.start(null);
  assert.equal(reload.kind, "review");
  tab.booth.go({ kind: "review" });
  await tab.until(isSealed);
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.readBack != null);
  assert.ok(!ballots(tab.election).includes(ballot!));
  assert.equal(new Set(ballots(tab.election)).size, 1);
});

test("a ballot that is being opened cannot be cast meanwhile", async () => {
  const tab = await sealed();
  tab.booth.test();
  tab.booth.cast();
  assert.equal(tab.kind, "review");
  tab.booth.test();
  await tab.until((booth) => booth.screen.kind === "tested");
  assert.equal(ballots(tab.election).length, 0);
});

test("the test stands behind more checks, in both languages, and a kiosk has none", async () => {
  const tab = await sealed();
  assert.match(textOf(reviewView(sceneOf(tab))), /More checks.*thrown away.*Test this encrypted vote/s);
  assert.match(textOf(reviewView(sceneOf(tab, "id"))), /Pemeriksaan lain.*dibuang.*Uji suara/s);
  const kiosk = { stays: false } as unknown as Kiosk;
  const there = textOf(reviewView(sceneOf(tab, "en", kiosk)));
  assert.match(there, /Cast my vote/);
  assert.doesNotMatch(there, /More checks/);
  const screen = await tested(tab);
  assert.match(textOf(testedView(sceneOf(tab), screen)), /not cast.*You have not voted yet.*Encrypt my vote again/s);
  assert.match(textOf(testedView(sceneOf(tab, "id"), screen)), /Anda belum memilih.*Enkripsi suara saya lagi/s);
});

test("a worker that cannot be loaded is tried once more", async () => {
  const tab = new Tab(new ScriptedElection(made));
  await toReview(tab, tab.election.codeFor("ann-17"));
  const first = tab.worker!;
  first.terminate();
  first.onerror!(undefined as never);
  assert.match(textOf(reviewView(sceneOf(tab))), /could not be encrypted.*Nothing was cast.*Try again/s);
  tab.booth.seal();
  assert.notEqual(tab.worker, first);
  await tab.until(isSealed);
});

test("no ballot is made for a key that is not the trustees'", async () => {
  const other = secretDefinition([{ answers: ["Ann", "Bo", "Cy"], blank: false, min: 1, max: 2, question: "Board" }]);
  const tab = new Tab(new ScriptedElection({ ...made, belenios: other.belenios }));
  await toReview(tab, tab.election.codeFor("ann-17"));
  await tab.until((booth) => booth.screen.kind !== "review");
  assert.equal(tab.booth.screen.kind === "lie" && tab.booth.screen.what, "network");
});

test("a code whose credential is not the one on the roll is told in plain words, and the vote is dropped", async () => {
  const device = noShelf();
  const election = new ScriptedElection(made);
  election.meddle = ({ path }) => (path === "votes" ? refused(400, "unknown-credential") : undefined);
  const tab = new Tab(election, noShelf(), device);
  await toReview(tab, election.codeFor("ann-17"));
  await tab.until(isSealed);
  tab.booth.cast();
  await tab.until((booth) => booth.screen.kind === "refused");
  const screen = { kind: "refused", code: "unknown-credential", kept: false } as const;
  assert.deepEqual(tab.booth.screen, screen);
  assert.match(textOf(refusedView(sceneOf(tab), screen)), /This code does not belong to this name/);
  assert.match(textOf(refusedView(sceneOf(tab, "id"), screen)), /Kode ini bukan/);
  assert.equal(device.get(`votenet/vote/${election.election.networkHex}/${tab.booth.voter!.key}`), null);
});

test("another tab that has cast ends the review, and its ballot", async () => {
  const election = new ScriptedElection(made);
  const device = shelfOf(() => {
    throw new Error("storage is off");
  });
  const [one, other] = [new Tab(election, noShelf(), device), new Tab(election, noShelf(), device)];
  for (const tab of [one, other]) {
    await toReview(tab, election.codeFor("ann-17"));
    await tab.until(isSealed);
  }
  one.booth.cast();
  await one.until((booth) => booth.outcome?.readBack != null);
  other.booth.cast();
  assert.equal(other.kind, "used");
  assert.equal(other.worker!.isEnded, true);
  assert.equal(new Set(ballots(election)).size, 1);
});

test("a server without a roll asks for the voter id, and the ballot is made with the code all the same", async () => {
  const election = new ScriptedElection(made);
  election.meddle = ({ path }) => (path === "voter" ? refused(404, "no-roll") : undefined);
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  await tab.booth.typeId("ann-17");
  tab.booth.toggle(0, "Bo");
  tab.booth.next(0);
  tab.booth.skip(1);
  await tab.until(isSealed);
});
