/** The booth without a page: every way through it, against an election in memory that signs what it says. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { CONTESTS, ScriptedElection, refused } from "./scripted_election.ts";
import { Tab, noShelf } from "./tab.ts";

const CHOICES = [["محمد"], ["Dewi", "Ann"], ["Harbour hall", "Library"], ["Yes"]];
const cast = (election: ScriptedElection): string[] =>
  election.asked.filter(({ path }) => path === "votes").map(({ body }) => body);

test("a vote from the card to the end: received, final, read back from another node", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  const steps: string[] = [];
  const code = election.codeFor("ann-17");
  await tab.booth.start(code);
  assert.equal(tab.kind, "welcome");
  assert.equal(tab.booth.voter!.id, "ann-17");
  tab.choose();
  tab.booth.cast();
  const watching = tab.until((booth) => {
    if (steps.at(-1) !== booth.step) steps.push(booth.step);
    return booth.outcome?.readBack != null;
  });
  await watching;
  assert.deepEqual(steps, ["casting", "received", "final"]);
  const outcome = tab.booth.outcome!;
  assert.deepEqual(outcome.received!.by, ["node-1", "node-2", "node-3"]);
  assert.deepEqual(outcome.final!.signedBy, ["node-1", "node-2", "node-4", "node-5"]);
  assert.deepEqual(outcome.readBack, { choices: CHOICES, node: "node-2", other: true });
  assert.deepEqual(election.votes.get("ann-17")!.choices, CHOICES);
  // Once more of the same code: nothing is signed again.
  await tab.booth.scan(code);
  await tab.until((booth) => booth.outcome?.readBack != null);
  assert.equal(new Set(cast(election)).size, 1);
});

const python = process.env["VOTENET_PYTHON"];
const skip = python === undefined ? "the project's Python is not here (set VOTENET_PYTHON)" : false;

test("the bytes of the booth are those of the command line for this key and time", { skip }, async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  const vote = election.votes.get("ann-17")!;
  const { uuid } = election.election.definition;
  const read = votenet.readCode(election.codeFor("ann-17"));
  const seed = votenet.toHex(votenet.seedOfCode(read.ok ? read.code : "", uuid));
  const made = { record: cast(election)[0], id: tab.booth.outcome!.own.id, seed, network: vote.network_id };
  const folder = mkdtempSync(join(tmpdir(), "booth-"));
  try {
    const file = join(folder, "votes.json");
    writeFileSync(file, JSON.stringify([{ ...made, voter_id: "ann-17", choices: CHOICES, time: vote.time }]));
    const env = { ...process.env, PYTHONPATH: join(process.env["FRONTEND"]!, "../tests") };
    const run = spawnSync(python!, ["-m", "web.make_corpus", "--votes", file], { encoding: "utf8", env });
    assert.equal(run.stdout, "1 votes are the same\n", run.stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("a code is forgiven its case, blanks and look-alikes, and a wrong group is named", async () => {
  const election = new ScriptedElection();
  const code = election.codeFor("ann-17");
  const groups = votenet.groupsOf(code);
  const typed = groups.join(" \u2013 ").toLowerCase().replaceAll("1", "l").replaceAll("0", "o");
  const good = new Tab(election);
  await good.booth.start(null);
  assert.equal(good.kind, "code");
  await good.booth.typeCode(` ${typed}\n`);
  assert.equal(good.booth.voter!.id, "ann-17");

  const tab = new Tab(election);
  await tab.booth.start(null);
  const other = groups[2]!.startsWith("7") ? "8" : "7";
  const wrong = [...groups.slice(0, 2), other + groups[2]!.slice(1), ...groups.slice(3)].join("-");
  await tab.booth.typeCode(wrong);
  assert.deepEqual(tab.booth.notice, {
    name: "identity.codeGroup",
    places: { group: 3, text: other + groups[2]!.slice(1) },
  });
  await tab.booth.typeCode(code.slice(1));
  assert.deepEqual(tab.booth.notice, { name: "identity.codeLength", places: { n: 25 } });
  election.roll.clear();
  await tab.booth.typeCode(code);
  assert.equal(tab.booth.notice!.name, "identity.codeUnknown");
  assert.equal(tab.kind, "code");
});

test("a code that has no answer stays in the field, and one answer more takes it on", async () => {
  const code = new ScriptedElection().codeFor("ann-17");
  for (const trouble of [refused(503, "unreachable"), refused(429, "too-many"), { status: 502, body: "<html>" }]) {
    const election = new ScriptedElection();
    election.codeFor("ann-17");
    election.meddle = ({ path }) => (path === "voter" ? trouble : undefined);
    const tab = new Tab(election);
    await tab.booth.start(code);
    assert.equal(tab.kind, "code");
    assert.equal(tab.booth.notice!.name, "identity.noAnswer");
    assert.deepEqual(tab.booth.entry.wrong, { typed: code, group: 0 });
    assert.ok(tab.booth.isBegun, "a kiosk clears it");
    election.meddle = () => undefined;
    await tab.booth.typeCode(tab.booth.entry.wrong!.typed);
    assert.equal(tab.kind, "welcome");
    assert.equal(tab.booth.entry.wrong, null);
  }
});

test("a contradiction behind a code or a voter id is shown", async () => {
  const election = new ScriptedElection();
  const first = new Tab(election);
  await first.vote(election.codeFor("ann-17"));
  const changed: Meddling = (body) => ((body["vote"] as votenet.Vote).choices[3] = ["No"]);
  const lying: ScriptedElection["meddle"] = ({ path }, answer) => {
    if (path !== "vote") return undefined;
    const body = structuredClone(answer().body) as Record<string, unknown>;
    changed(body, election);
    return { body };
  };
  election.meddle = lying;
  const tab = new Tab(election);
  await tab.booth.start(null);
  await tab.booth.typeCode(election.codeFor("ann-17"));
  assert.equal(tab.booth.screen.kind === "lie" && tab.booth.screen.what, "changed");
  election.meddle = (request, answer) => (request.path === "voter" ? refused(404, "no-roll") : lying(request, answer));
  const second = new Tab(election);
  await second.booth.start(election.codeFor("ann-17"));
  await second.booth.typeId("ann-17");
  assert.equal(second.booth.screen.kind === "lie" && second.booth.screen.what, "changed");
});

test("where the server has no roll, the voter id is asked for behind the code", async () => {
  const election = new ScriptedElection();
  election.meddle = ({ path }) => (path === "voter" ? refused(404, "no-roll") : undefined);
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  assert.equal(tab.kind, "id");
  await tab.booth.typeId(" ann-17 ");
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.step === "final");
  assert.equal(election.roll.get(election.votes.get("ann-17")!.voter_key), "ann-17");
});

test("an open election asks for a voter id, and makes a key that this browser keeps", async () => {
  const election = new ScriptedElection({ registration: "open", roll_root: null, roll_size: null });
  const device = noShelf();
  const tab = new Tab(election, noShelf(), device);
  await tab.booth.start(null);
  assert.equal(tab.kind, "id");
  await tab.booth.typeId("");
  assert.equal(tab.booth.notice!.name, "identity.idEmpty");
  await tab.booth.typeId("a\u0007b");
  assert.equal(tab.booth.notice!.name, "identity.idBad");
  await tab.booth.typeId("voter123");
  assert.deepEqual(tab.booth.screen, { kind: "contest", index: 0 });
  const { key } = tab.booth.voter!;
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.step === "final");
  const kept = JSON.parse(tab.booth.keyFile()!) as Record<string, string>;
  const seed = votenet.hex(kept["secret_seed"]!);
  assert.deepEqual([kept["kind"], kept["owner"], kept["public_key"]], ["votenet-key-1", "voter123", key]);
  assert.equal(votenet.toHex(votenet.publicKey(seed)), key);
  const again = new Tab(election, noShelf(), device);
  await again.booth.start(null);
  await again.booth.typeId("voter123");
  assert.equal(again.booth.voter!.key, key);
  await again.until((booth) => booth.outcome?.readBack != null);
  again.booth.startAgain();
  await again.booth.typeId("voter124");
  assert.notEqual(again.booth.voter!.key, key);
});

test("whatever happens on the way, the same bytes are sent, and the vote is counted once", async () => {
  const election = new ScriptedElection();
  const faults: ((answer: () => unknown) => ReturnType<typeof refused>)[] = [
    () => {
      throw new TypeError("no connection");
    },
    () => refused(503, "unreachable", { "retry-after": "1" }),
    () => refused(429, "too-many", { "retry-after": "7" }),
    () => ({ status: 502, body: "<html>Bad Gateway</html>" }),
    () => ({ status: 200, body: "half an ans" }),
    // The node takes it, and its answer is lost.
    (answer) => {
      answer();
      throw new TypeError("connection reset");
    },
  ];
  election.meddle = ({ path }, answer) => (path === "votes" ? faults.shift()?.(answer) : undefined);
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  assert.equal(tab.booth.step, "final");
  assert.equal(cast(election).length, 7);
  assert.equal(new Set(cast(election)).size, 1);
  assert.ok(tab.pause.waits.includes(7000), "the server says when to ask again");
});

test("a vote that its node has lost is sent again", async () => {
  const election = new ScriptedElection();
  let lost = 5;
  election.meddle = ({ path, query }) => {
    if (path !== "vote" || cast(election).length === 0 || lost === 0) return undefined;
    lost--;
    return { body: { voter_id: query.get("voter"), state: "unknown", vote_id: null, node: "x:1", vote: null } };
  };
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  assert.equal(tab.booth.step, "final");
  assert.equal(cast(election).length, 2);
  assert.equal(new Set(cast(election)).size, 1);
});

test("a reload goes on where it was: in the ballot, at the review, on the way, and behind it", async () => {
  const election = new ScriptedElection();
  const [session, device] = [noShelf(), noShelf()];
  const first = new Tab(election, session, device);
  await first.booth.start(election.codeFor("ann-17"));
  first.booth.go({ kind: "contest", index: 0 });
  first.booth.toggle(0, "Bo");
  first.booth.next(0);
  first.booth.toggle(1, "Cy");
  const second = new Tab(election, session, device);
  await second.booth.start(null);
  assert.deepEqual(second.booth.screen, { kind: "contest", index: 1 });
  assert.deepEqual(second.booth.picks[1]!.choices, ["Cy"]);
  second.booth.next(1);
  second.booth.skip(2);
  second.booth.toggle(3, "No");
  second.booth.next(3);
  const third = new Tab(election, session, device);
  await third.booth.start(null);
  assert.equal(third.kind, "review");
  election.meddle = ({ path }) => (path === "votes" ? refused(503, "unreachable") : undefined);
  third.booth.cast();
  await third.until((booth) => booth.outcome?.way?.at === "waiting");
  const keptSeed = () => (JSON.parse(session.get("votenet/booth")!) as { voter: { seed: string } }).voter.seed;
  assert.equal(keptSeed(), "", "the key is not kept behind the cast");
  election.meddle = () => undefined;
  const fourth = new Tab(election, session, device);
  await fourth.booth.start(null);
  await fourth.until((booth) => booth.step === "final");
  assert.deepEqual(election.votes.get("ann-17")!.choices, [["Bo"], ["Cy"], [], ["No"]]);
  const fifth = new Tab(election, session, device);
  await fifth.booth.start(null);
  await fifth.until((booth) => booth.step === "final");
  assert.equal(new Set(cast(election)).size, 1);
  assert.equal(keptSeed(), "");
});

test("two tabs of one voter: the second one sees that a vote was cast, and signs none", async () => {
  const election = new ScriptedElection();
  const code = election.codeFor("ann-17");
  const device = noShelf();
  const [first, second, third] = [device, device, noShelf()].map((shelf) => new Tab(election, noShelf(), shelf));
  for (const tab of [second!, third!]) {
    await tab.booth.start(code);
    tab.choose();
  }
  await first!.vote(code);
  second!.booth.cast();
  assert.equal(second!.kind, "used");
  // On another device the nodes say so.
  election.now += 60;
  third!.booth.move(2, "Library", -1);
  third!.booth.cast();
  await third!.until((booth) => booth.screen.kind === "used");
  const { screen } = third!.booth;
  assert.equal(screen.kind === "used" && screen.first.vote?.record, cast(election)[0]);
  const fourth = new Tab(election);
  await fourth.booth.start(code);
  assert.equal(fourth.kind, "used");
  const seen = fourth.booth.screen;
  fourth.booth.see(seen.kind === "used" ? seen.first.vote! : assert.fail());
  await fourth.until((booth) => booth.outcome?.readBack != null);
  assert.deepEqual(fourth.booth.outcome!.readBack!.choices, CHOICES);
});

test("a second card in the same tab is another voter", async () => {
  const election = new ScriptedElection();
  const session = noShelf();
  const first = new Tab(election, session);
  await first.vote(election.codeFor("ann-17"));
  const second = new Tab(election, session);
  await second.vote(election.codeFor("bo-18"));
  assert.deepEqual([...election.votes.keys()], ["ann-17", "bo-18"]);
});

type Meddling = (body: Record<string, unknown>, election: ScriptedElection) => void;
const LIES: [string, string, Meddling, string][] = [
  ["another network id", "election", (body) => (body["network_id"] = "ab".repeat(32)), "network"],
  [
    "a changed title",
    "election",
    (body) => (body["definition"] = { ...(body["definition"] as object), title: "X" }),
    "network",
  ],
  ["no description", "election", (body) => (body["definition"] = null), "change"],
  ["no list of changes", "election", (body) => (body["amendments"] = "none"), "change"],
  [
    "a forged change",
    "election",
    (body, election) => {
      election.extend(1_950_000_000);
      body["amendments"] = election.amendments.splice(0).map((one) => ({ ...one, signature: "0".repeat(128) }));
    },
    "change",
  ],
  ["a name without a signature", "votes", (body) => (body["received_by"] = ["node-1", "node-2", "node-5"]), "received"],
  [
    "a forged acceptance",
    "votes",
    (body) => ((body["acceptances"] as { signature: string }[])[1]!.signature = "0".repeat(128)),
    "received",
  ],
  ["another vote id", "votes", (body) => (body["vote_id"] = "cd".repeat(32)), "other-vote"],
  [
    "another vote behind the first look",
    "vote",
    (body) => (body["vote_id"] = body["vote_id"] && "cd".repeat(32)),
    "other-vote",
  ],
];

test("a voter who goes back to the first screen of another one gets an empty ballot, and the same voter the old one", async () => {
  const choices = (tab: Tab) => tab.booth.picks.flatMap((pick) => pick.choices);
  const roll = new ScriptedElection();
  const open = new ScriptedElection({ registration: "open", roll_root: null, roll_size: null });
  const byCode = { election: roll, kind: "code", say: (tab: Tab, id: string) => tab.booth.typeCode(roll.codeFor(id)) };
  const byId = { election: open, kind: "id", say: (tab: Tab, id: string) => tab.booth.typeId(id) };
  for (const { election, kind, say } of [byCode, byId]) {
    const session = noShelf();
    const tab = new Tab(election, session);
    await tab.booth.start(null);
    await say(tab, "ann-17");
    tab.choose();
    tab.booth.go({ kind } as { kind: "code" | "id" }, true);
    await say(tab, "ann-17");
    assert.deepEqual(choices(tab), CHOICES.flat(), "who types the same code goes on");
    tab.booth.go({ kind } as { kind: "code" | "id" }, true);
    await say(tab, "bo-18");
    assert.equal(tab.booth.voter!.id, "bo-18");
    assert.deepEqual([choices(tab), tab.booth.reviewed], [[], false]);
    assert.doesNotMatch(session.get("votenet/booth")!, /ann-17|Dewi/);
    tab.booth.go({ kind: "review" }, true);
    tab.booth.cast();
    assert.notEqual(tab.kind, "review");
    assert.deepEqual(cast(election), []);
  }
});

test("what the server says and no node has signed is called a lie", async () => {
  for (const [what, path, change, expected] of LIES) {
    const election = new ScriptedElection();
    election.meddle = (request, answer) => {
      if (request.path !== path) return undefined;
      const made = answer();
      const body = structuredClone(made.body) as Record<string, unknown>;
      change(body, election);
      return { ...made, body };
    };
    const tab = new Tab(election);
    await tab.booth.start(election.codeFor("ann-17"));
    if (tab.kind === "welcome") {
      tab.choose();
      tab.booth.cast();
      await tab.until((booth) => booth.step === "error");
    }
    const { screen } = tab.booth;
    assert.equal(screen.kind === "lie" && screen.what, expected, what);
  }
});

test("a lie stays on the screen, whatever becomes of a vote that is on its way", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  let heard: Promise<void> | null = null;
  election.meddle = ({ path }) => {
    const state = { ...election.liveState(), network_id: "ab".repeat(32) };
    if (path === "votes") heard ??= tab.booth.heard(state as never);
    return undefined;
  };
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.screen.kind === "lie");
  await heard;
  // More turns than the vote would need to be final.
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(tab.kind, "lie");
});

test("an answer that is no object is none", async () => {
  for (const body of ["null", "[]", "7", '"text"']) {
    const election = new ScriptedElection();
    let bad = 2;
    election.meddle = ({ path }) => (path === "election" && bad-- > 0 ? { body } : undefined);
    const tab = new Tab(election);
    await tab.booth.start(election.codeFor("ann-17"));
    assert.equal(tab.kind, "welcome", body);
    assert.equal(tab.pause.waits.length, 2);
  }
});

test("a receipt that does not hold, and a vote that was changed behind it, are called lies", async () => {
  const few = new ScriptedElection();
  few.signedBy = [0, 1, 3]; // the quorum is four
  const tab = new Tab(few);
  await tab.vote(few.codeFor("ann-17"));
  assert.deepEqual(tab.booth.screen, { kind: "lie", what: "receipt", detail: "bad-certificate" });

  const swapped = new ScriptedElection();
  swapped.meddle = ({ path, query }, answer) => {
    const made = answer();
    if (path !== "vote" || !query.has("other_than") || cast(swapped).length === 0) return made;
    const body = structuredClone(made.body) as { vote: votenet.Vote };
    body.vote.choices[3] = ["No"];
    return { ...made, body };
  };
  const second = new Tab(swapped);
  await second.vote(swapped.codeFor("ann-17"));
  assert.equal(second.kind, "after");
  const { unread, final } = second.booth.outcome!;
  assert.equal(typeof unread === "object" && unread?.what, "changed");
  assert.match(final!.receipt, /tlog-proof/, "the receipt that was proven is still to be had");

  const other = new ScriptedElection();
  const third = new Tab(other);
  other.meddle = ({ path }) => {
    if (path !== "receipt") return undefined;
    const seed = votenet.sha256(votenet.utf8("another voter"));
    other.votes.set("eve", votenet.signVote(seed, other.election.networkHex, "eve", CHOICES, other.now));
    return { body: other.receipt("eve") };
  };
  await third.vote(other.codeFor("ann-17"));
  assert.equal(third.booth.screen.kind === "lie" && third.booth.screen.what, "other-vote");
});

const keptVote = ({ booth, device }: Tab): string | null =>
  device!.get(`votenet/vote/${booth.election.networkHex}/${booth.voter!.key}`);

test("bytes that can never be counted are dropped", async () => {
  for (const code of ["wrong-key", "bad-choices", "closed"]) {
    const election = new ScriptedElection();
    if (code === "closed") election.now = 1_900_000_000; // the closing time of its definition
    election.meddle = ({ path }) => (path === "votes" ? refused(403, code) : undefined);
    const tab = new Tab(election);
    await tab.vote(election.codeFor("ann-17"));
    assert.deepEqual(tab.booth.screen, { kind: "refused", code, kept: false });
    assert.deepEqual([keptVote(tab), tab.session.get("votenet/booth")], [null, null]);
    assert.equal(cast(election).length, 1);
  }
});

test("bytes that may be counted later are kept, and sent again until they are", async () => {
  for (const code of ["closed", "not-open", "cross-site", "not-on-roll", "vote-from-future", "cancelled"]) {
    const election = new ScriptedElection();
    election.meddle = ({ path }) => (path === "votes" ? refused(403, code, { "retry-after": "100" }) : undefined);
    const tab = new Tab(election);
    await tab.vote(election.codeFor("ann-17"));
    assert.deepEqual(tab.booth.screen, { kind: "refused", code, kept: true });
    assert.ok(keptVote(tab) !== null && tab.session.get("votenet/booth") !== null, code);
    await tab.until(() => cast(election).length > 2);
    assert.deepEqual(tab.booth.screen, { kind: "refused", code, kept: true }, "the screen stays as it is");
    assert.ok(tab.pause.waits.includes(100_000), "the server says when to ask again");
    tab.booth.startAgain();
    // Another day, with the same card.
    election.meddle = () => undefined;
    const second = new Tab(election, noShelf(), tab.device);
    await second.booth.start(election.codeFor("ann-17"));
    await second.until((booth) => booth.step === "final");
    assert.equal(new Set(cast(election)).size, 1);
  }
});

test("a cancelled election is believed where its authority has signed that, and is the server's word before", async () => {
  const election = new ScriptedElection();
  const heard = (tab: Tab) => tab.booth.heard(election.liveState() as never);
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  election.state = "cancelled";
  await heard(tab);
  assert.deepEqual(tab.booth.screen, { kind: "cancelled", proven: false });
  const fresh = new Tab(election);
  await fresh.booth.start(election.codeFor("ann-17"));
  assert.deepEqual(fresh.booth.screen, { kind: "cancelled", proven: false });
  election.cancel();
  await heard(tab);
  assert.deepEqual(tab.booth.screen, { kind: "cancelled", proven: true });
  const forged = { ...election.amendments[0]!, signature: "0".repeat(128) };
  election.meddle = ({ path }, answer) =>
    path === "election" ? { body: { ...(answer().body as object), amendments: [forged] } } : undefined;
  await heard(fresh);
  assert.equal(fresh.kind, "lie");
});

test("an election that is cancelled while a vote is cast, or behind it, is no lie", async () => {
  const election = new ScriptedElection();
  election.looksBeforeFinal = 1000;
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.step === "received");
  election.cancel();
  election.looksBeforeFinal = 0; // its receipts carry the amendment from now on
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  election.state = "cancelled";
  await tab.booth.heard(election.liveState() as never);
  assert.deepEqual([tab.kind, tab.booth.cancelled], ["after", "proven"]);

  election.meddle = ({ path }) => (path === "votes" ? refused(403, "cancelled") : undefined);
  election.state = "open"; // to those who have not heard of it
  const late = new Tab(election);
  election.amendments = [];
  await late.booth.start(election.codeFor("bo-18"));
  late.choose();
  election.cancel();
  late.booth.cast();
  await late.until((booth) => booth.step === "error");
  assert.deepEqual(late.booth.screen, { kind: "cancelled", proven: true });
  assert.equal(keptVote(late), null);
});

test("hours that were extended while a page was offline are no lie", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  election.extend(1_950_000_000);
  election.now = 1_920_000_000; // behind the closing time that this page knows
  let away = 1;
  election.meddle = ({ path }) => (path === "election" && away-- > 0 ? refused(503, "unreachable") : undefined);
  tab.booth.cast();
  await tab.until((booth) => booth.step === "final");
  assert.deepEqual(tab.booth.outcome!.received!.by, ["node-1", "node-2", "node-3"]);
  assert.equal(new Set(cast(election)).size, 1);
});

test("two devices of one voter whose votes meet: the second one says that its vote does not count", async () => {
  for (const hasReceipt of [false, true]) {
    const election = new ScriptedElection();
    const code = election.codeFor("ann-17");
    election.looksBeforeFinal = 1000;
    const tab = new Tab(election);
    await tab.booth.start(code);
    tab.choose();
    tab.booth.cast();
    await tab.until((booth) => booth.step === "received");
    const own = tab.booth.outcome!.own;
    // The other device's vote is in the block.
    const seed = votenet.seedOfCode(
      (votenet.readCode(code) as { code: string }).code,
      election.election.definition.uuid,
    );
    const other = votenet.signVote(seed, own.vote.network_id, "ann-17", [[], [], [], ["No"]], own.vote.time + 1);
    election.votes.set("ann-17", other);
    election.looksBeforeFinal = 0;
    let behind = 1; // one node has not heard of it
    election.meddle = ({ path }, answer) => {
      if (!hasReceipt || path !== "vote" || behind-- <= 0) return undefined;
      return { body: { ...(answer().body as object), vote_id: own.id, vote: own.vote } };
    };
    await tab.until((booth) => booth.step === "error");
    const { screen } = tab.booth;
    assert.ok(screen.kind === "used" && screen.unlike);
    assert.equal(screen.first.vote!.id, votenet.toHex(votenet.voteId(other)));
    assert.equal(keptVote(tab), null, "the vote that counts is another one");
  }
});

test("the vote of another person is no vote of this voter, whoever signed it", async () => {
  const election = new ScriptedElection();
  const eve = new Tab(election);
  await eve.vote(election.codeFor("eve"));
  election.meddle = ({ path, query }, answer) => {
    if (path !== "vote" || query.get("voter") !== "ann-17") return undefined;
    const body = answer().body as object;
    const vote = election.votes.get("eve")!;
    return { body: { ...body, state: "final", vote, vote_id: votenet.toHex(votenet.voteId(vote)) } };
  };
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  assert.equal(tab.booth.screen.kind === "lie" && tab.booth.screen.what, "other-vote");
  // A vote under this name with a key that the voter never had.
  const forged = votenet.signVote(
    votenet.sha256(votenet.utf8("x")),
    election.election.networkHex,
    "ann-17",
    CHOICES,
    1,
  );
  election.meddle = () => undefined;
  const second = new Tab(election);
  await second.booth.start(election.codeFor("ann-17"));
  second.choose();
  election.meddle = ({ path }) => {
    if (path === "votes") election.votes.set("ann-17", forged);
    return path === "votes" ? refused(409, "already-voted") : undefined;
  };
  second.booth.cast();
  await second.until((booth) => booth.step === "error");
  assert.equal(second.booth.screen.kind === "lie" && second.booth.screen.what, "other-vote");
});

test("a vote that cannot be read back says so, and is read back once more where the voter asks for it", async () => {
  const election = new ScriptedElection();
  election.meddle = ({ path, query }) =>
    path === "vote" && query.has("other_than") ? refused(503, "unreachable", { "retry-after": "20" }) : undefined;
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  tab.choose();
  tab.booth.cast();
  await tab.until((booth) => booth.outcome?.unread === "no-answer");
  assert.equal(tab.booth.step, "final");
  assert.deepEqual(tab.pause.waits.slice(-4), [20_000, 20_000, 20_000, 20_000]);
  election.meddle = () => undefined;
  tab.booth.readAgain();
  await tab.until((booth) => booth.outcome?.readBack != null);
  assert.deepEqual([tab.booth.outcome!.readBack!.choices, tab.booth.outcome!.unread], [CHOICES, null]);
});

test("the time of a vote is the server's, however wrong the clock of the device is", async () => {
  const election = new ScriptedElection();
  election.now = Math.floor(Date.now() / 1000) - 86_400 * 400;
  const tab = new Tab(election);
  await tab.vote(election.codeFor("ann-17"));
  const { time } = election.votes.get("ann-17")!;
  assert.ok(Math.abs(time - election.now) < 60, `${time} and ${election.now}`);
});

test("the hours: the ballot opens by itself, moves, and ends", async () => {
  const election = new ScriptedElection({ opens: 1_799_999_000 });
  const heard = async (tab: Tab) => tab.booth.heard(election.liveState() as never);
  election.state = "before";
  const tab = new Tab(election);
  await tab.booth.start(election.codeFor("ann-17"));
  assert.equal(tab.kind, "before");
  election.state = "open";
  await heard(tab);
  assert.equal(tab.kind, "welcome");
  tab.choose();
  election.extend(1_950_000_000);
  await heard(tab);
  assert.equal(tab.booth.closes, 1_950_000_000);
  assert.ok(tab.booth.hoursChanged);
  assert.equal(tab.kind, "review");
  election.state = "closed";
  await heard(tab);
  assert.equal(tab.kind, "closed");
  tab.booth.cast();
  assert.equal(cast(election).length, 0);
});

test("a new voter of a secret election has a credential, and no other change has one", async () => {
  const credential = "66".repeat(31) + "58"; // the generator, as Belenios writes it
  const kindOf = async (secrecy: "public" | "secret", ...added: { credential?: string }[]) => {
    const election = new ScriptedElection({ secrecy });
    added.forEach((more, number) => election.addVoter(`new-${number}`, more));
    const tab = new Tab(election);
    await tab.booth.start(null);
    return tab.kind;
  };
  assert.equal(await kindOf("secret", { credential }), "code");
  assert.equal(await kindOf("secret", { credential }, { credential }), "lie", "it is another voter's");
  assert.equal(await kindOf("secret", { credential: "00".repeat(32) }), "lie", "it is no member of the group");
  assert.equal(await kindOf("secret", {}), "lie");
  assert.equal(await kindOf("public", {}), "code");
  assert.equal(await kindOf("public", { credential }), "lie");
});

test("a page whose server is away begins once it is back", async () => {
  const election = new ScriptedElection();
  let away = 3;
  election.meddle = ({ path }) => (path === "election" && away-- > 0 ? refused(503, "unreachable") : undefined);
  const tab = new Tab(election);
  const kinds: string[] = [];
  const watching = tab.until((booth) => (kinds.push(booth.screen.kind), booth.screen.kind === "welcome"));
  await tab.booth.start(election.codeFor("ann-17"));
  await watching;
  assert.ok(kinds.includes("unreachable"));
  assert.equal(tab.kind, "welcome");
});

test("no way leads around a question, and back keeps everything", async () => {
  const election = new ScriptedElection();
  const tab = new Tab(election);
  const { booth } = tab;
  await booth.start(election.codeFor("ann-17"));
  booth.go({ kind: "contest", index: 0 });
  booth.next(0);
  assert.equal(booth.notice!.name, "contest.nothing");
  booth.go({ kind: "review" });
  assert.deepEqual(booth.screen, { kind: "contest", index: 0 });
  booth.skip(0);
  for (const name of ["Ann", "Cy"]) assert.ok(booth.toggle(1, name));
  assert.equal(booth.toggle(1, "Dewi"), false);
  assert.deepEqual(booth.notice, { name: "contest.full", places: { max: 2, name: "Dewi" } });
  booth.back(1);
  assert.deepEqual(booth.picks[0], { choices: [], blank: true });
  booth.go({ kind: "contest", index: 3 }, true);
  booth.next(3);
  assert.equal(booth.notice!.name, "contest.nothingNoBlank");
  booth.toggle(3, "Abstain");
  booth.next(3);
  assert.deepEqual(booth.screen, { kind: "contest", index: 2 }, "the question that was passed over");
  booth.setBlank(2, true);
  booth.next(2);
  booth.next(3);
  assert.equal(tab.kind, "review");
  booth.go({ kind: "contest", index: 1 });
  booth.toggle(1, "Ann");
  booth.next(1);
  assert.equal(tab.kind, "review", "a change leads back to the review");
  booth.cast();
  booth.go({ kind: "contest", index: 0 }, true);
  await tab.until((each) => each.step === "final");
  assert.deepEqual(election.votes.get("ann-17")!.choices, [[], ["Cy"], [], ["Abstain"]]);
  assert.equal(CONTESTS.length, 4);
});
