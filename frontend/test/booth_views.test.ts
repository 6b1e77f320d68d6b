/** What the screens behind a vote show and do, without a page: the texts and buttons of their templates. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { afterView } from "../src/booth/after_view.ts";
import { Kiosk } from "../src/booth/kiosk.ts";
import { kioskView } from "../src/booth/kiosk_view.ts";
import type { Scene } from "../src/booth/view.ts";
import { gateView, refusedView, usedView } from "../src/booth/message_view.ts";
import { Words } from "../src/booth/words.ts";
import { parts, textOf } from "./page_text.ts";
import { ScriptedElection, definitionOf, refused } from "./scripted_election.ts";
import { Tab } from "./tab.ts";

const shown = (scene: Scene): string => textOf(afterView(scene));

/** Presses the button with this text. */
function press(scene: Scene, text: string): void {
  const all = parts(afterView(scene));
  const handler = all.slice(0, all.indexOf(text)).findLast((part) => typeof part === "function");
  (handler ?? assert.fail(`no button: ${text}`))();
}

const sceneOf = ({ booth }: Tab, kiosk: Kiosk | null = null): Scene => ({
  booth,
  words: new Words("en"),
  kiosk,
  kept: null,
  keepFile: () => undefined,
});

const kioskOf = (): Kiosk =>
  new Kiosk(
    () => undefined,
    () => undefined,
  );

test("No behind a vote stops the countdown of a kiosk", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  const kiosk = kioskOf();
  kiosk.shown(tab.booth.screen, true);
  assert.equal(kiosk.countdown!.why, "after");
  press(sceneOf(tab, kiosk), "No");
  assert.equal(tab.booth.outcome!.answer, "no");
  assert.deepEqual([kiosk.countdown, kiosk.stays, kiosk.isHeld], [null, true, true]);
  assert.match(textOf(kioskView(sceneOf(tab, kiosk))), /stays until you press the button\./);
});

test("whoever left a screen that stays is told that it is cleared, and not that no vote is cast", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  const kiosk = kioskOf();
  kiosk.shown(tab.booth.screen, true);
  kiosk.stay();
  for (let second = 0; second < 120; second++) kiosk.tick();
  const text = textOf(kioskView(sceneOf(tab, kiosk)));
  assert.match(text, /cleared for the next voter in 30 seconds/);
  assert.match(text, /I am still here/);
});

test("a device is passed on to another voter behind a vote that is final", async () => {
  const another = "Another person votes on this device";
  const election = new ScriptedElection();
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  assert.ok(!shown(sceneOf(tab, kioskOf())).includes(another), "a kiosk has its own way");
  press(sceneOf(tab), another);
  assert.deepEqual([tab.kind, tab.booth.voter, tab.session.get("votenet/booth")], ["code", null, null]);
  await tab.booth.typeCode(election.codeFor("bo-18"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.readBack != null);
  assert.deepEqual([...election.votes.keys()], ["ann-17", "bo-18"]);
  tab.booth.answer("no");
  assert.ok(!shown(sceneOf(tab)).includes(another), "the organisers shall see this screen");
});

test("a vote without one signature is not called received, and no kiosk counts it down", async () => {
  const election = new ScriptedElection();
  election.receivedBy = [];
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.screen.kind === "after");
  assert.ok(tab.booth.isUnsigned);
  const waiting = shown(sceneOf(tab));
  assert.match(waiting, /Waiting for signatures/);
  assert.doesNotMatch(waiting, /Your vote is received|booth-tick/);
  assert.equal(waiting.match(/\(done\)/g)!.length, 1, "signed on this device alone");
  await tab.until((booth) => booth.isDone);
  assert.equal(tab.booth.isUnsigned, false);
  assert.match(shown(sceneOf(tab)), /booth-tick.*Your vote is final/s);
});

test("no screen of a kiosk leads to another page", async () => {
  const election = new ScriptedElection();
  await new Tab(election).vote(election.codeFor("ann-17"));
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  const { screen } = tab.booth;
  const used = screen.kind === "used" ? screen : assert.fail();
  const all = (scene: Scene) => [
    usedView(scene, used),
    gateView(scene, { kind: "closed" }),
    gateView(scene, { kind: "cancelled", proven: true }),
    refusedView(scene, { kind: "refused", code: "closed", kept: true }),
  ];
  assert.match(textOf(all(sceneOf(tab))), /href=.*\/check.*href=.*\/results/s);
  tab.booth.see(used.first.vote!);
  await tab.until((booth) => booth.outcome?.readBack != null);
  const kiosk = sceneOf(tab, kioskOf());
  assert.doesNotMatch(textOf([...all(kiosk), afterView(kiosk)]), /href/);
});

test("a refused vote that is kept says when it is sent again, and a kiosk says that it keeps none", async () => {
  const election = new ScriptedElection();
  election.meddle = ({ path }) => (path === "votes" ? refused(403, "not-open", { "retry-after": "70" }) : undefined);
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  const screen = { kind: "refused", code: "not-open", kept: true } as const;
  assert.match(
    textOf(refusedView(sceneOf(tab), screen)),
    /not begun.*sent again by itself, in 70 seconds.*Send it now/s,
  );
  assert.doesNotMatch(textOf(refusedView(sceneOf(tab, kioskOf()), screen)), /sent again/);
  tab.booth.startAgain();
});

test("behind a vote: a cancelled election, a vote that is not read back, and a lie beside a receipt that holds", async () => {
  const election = new ScriptedElection();
  election.meddle = ({ path, query }) =>
    path === "vote" && query.has("other_than") ? refused(503, "busy") : undefined;
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.unread === "no-answer");
  const scene = sceneOf(tab);
  assert.match(shown(scene), /Your vote was not read back.*Keep my receipt/s);
  election.meddle = ({ path }, answer) => {
    if (path !== "vote") return undefined;
    const body = answer().body as { vote: { choices: string[][] } };
    return { body: { ...body, vote: { ...body.vote, choices: [[], [], [], ["No"]] } } };
  };
  press(scene, "Try again");
  await tab.until((booth) => booth.step === "error");
  assert.match(shown(scene), /Your vote is final.*Stop: this page was told something false.*Keep my receipt/s);
  election.meddle = () => undefined;
  press(sceneOf(await voted(election, "bo-18")), "Yes, this is what I chose");
  election.state = "cancelled";
  await tab.booth.heard(election.liveState() as never);
  assert.match(shown(scene), /The server of this page says that the organisers have cancelled/);
  election.cancel();
  await tab.booth.heard(election.liveState() as never);
  assert.match(shown(scene), /This election was cancelled.*checked their signature.*Your vote is not counted/s);
  assert.doesNotMatch(shown(scene), /Your vote is final/);
});

async function voted(election: ScriptedElection, voterId: string): Promise<Tab> {
  const tab = new Tab(election);
  await tab.vote(election.codeFor(voterId));
  return tab;
}

test("what final means: with one to three computers each of them must be honest", async () => {
  const words: [number, RegExp][] = [
    [1, /the one computer of this election is honest/],
    [3, /while all 3 computers of this election are honest/],
    [4, /No single computer can change it/],
  ];
  for (const [nodes, said] of words) {
    const election = new ScriptedElection({ nodes: definitionOf().nodes.slice(0, nodes) });
    election.receivedBy = election.signedBy = Array.from({ length: nodes }, (_, node) => node);
    assert.match(shown(sceneOf(await voted(election, "ann-17"))), said);
  }
});
