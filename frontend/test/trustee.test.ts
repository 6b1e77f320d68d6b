/** The trustees' page: what it holds, what is next, and its words; in a browser it is tested by tests/web. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import en from "../src/catalogue/trustee.en.json";
import id from "../src/catalogue/trustee.id.json";
import { Fault, utf8 } from "../src/lib/index.ts";
import { Desk } from "../src/trustee/desk.ts";
import { taken } from "../src/trustee/intake.ts";
import { repositoryJson } from "./corpus.ts";
import { streamOf } from "./secret_parts.ts";

interface Ceremony {
  draft: string;
  digest: string;
  codes: string[];
  records: { file: string; text: string }[];
}
const [ceremony, other] = repositoryJson<{ ceremonies: Ceremony[] }>("tests/vectors/ceremony.json").ceremonies as [
  Ceremony,
  Ceremony,
];
const draft = { name: "draft.json", raw: utf8(ceremony.draft) };
const records = ceremony.records.map(({ file, text }) => ({ name: file, raw: utf8(text) }));

/** A desk with the draft and the first records; the trustee at a place is named. */
function deskWith(count: number, place = 1): Desk {
  const desk = new Desk(streamOf("desk"));
  desk.take([draft, ...records.slice(0, count)]);
  desk.choose(place);
  return desk;
}

/** Makes all records that are due; the names of their steps. */
function stepped(desk: Desk): string[] {
  while (desk.step());
  return desk.made.map(({ step }) => step);
}

test("a key is used only once its cards were read", () => {
  const desk = deskWith(0);
  assert.equal(desk.turn, "begin");
  desk.makeKey();
  assert.equal(desk.turn, "cards");
  assert.deepEqual(stepped(desk), []);
  const last = desk.cardGroups!.at(-1)!;
  assert.equal(desk.confirmCards(""), false);
  assert.equal(desk.confirmCards(last.slice(1)), false);
  assert.equal(desk.confirmCards(` ${last.toLowerCase()} `), true);
  assert.deepEqual(stepped(desk), ["certificate"]);
  assert.equal(desk.turn, "hand-in");
});

test("a second key is forgotten as soon as the files show the first one", () => {
  const desk = deskWith(0);
  desk.makeKey();
  desk.take(records.slice(1, 3));
  assert.equal(desk.turn, "cards");
  desk.take(records.slice(0, 1));
  assert.deepEqual([desk.turn, desk.cardGroups], ["card", null]);
});

test("a typed card goes on from where the files are, and makes the product's records again", () => {
  const desk = deskWith(3);
  assert.equal(desk.turn, "card");
  assert.equal(desk.typeCard(ceremony.codes[0]!.toLowerCase()), null);
  assert.deepEqual(stepped(desk), ["coefficients"]);
  assert.equal(desk.made[0]!.text, ceremony.records[3]!.text);
});

test("the rehearsal waits for a card that is typed, though the key is there", () => {
  const desk = deskWith(0);
  desk.typeCard(ceremony.codes[0]!);
  assert.deepEqual(stepped(desk), ["certificate"]);
  desk.take(records.slice(0, 9));
  assert.deepEqual(stepped(desk), ["rehearsal"]);
  const fresh = deskWith(9);
  assert.equal(fresh.turn, "card");
  fresh.forget();
  assert.deepEqual(stepped(fresh), []);
});

test("a record that was made stays until it is among the files that are opened", () => {
  const desk = deskWith(0);
  desk.typeCard(ceremony.codes[0]!);
  stepped(desk);
  desk.take([draft, ...records.slice(1, 2)]);
  assert.deepEqual([desk.turn, desk.made.length], ["hand-in", 1]);
  desk.take(records.slice(0, 1));
  assert.deepEqual([desk.turn, desk.made.length], ["wait", 0]);
  desk.forget();
  assert.notEqual(desk.bulletin!.record("certificate", 1), undefined);
});

test("a record that nobody saved is forgotten with the key, and made again from the card", () => {
  const desk = deskWith(0);
  desk.typeCard(ceremony.codes[0]!);
  stepped(desk);
  desk.forget();
  assert.deepEqual([desk.turn, desk.bulletin!.record("certificate", 1)], ["card", undefined]);
  desk.choose(2);
  assert.equal(desk.turn, "begin", "another trustee may have made no key");
  desk.choose(1);
  desk.typeCard(ceremony.codes[0]!);
  stepped(desk);
  assert.equal(desk.made[0]!.text, ceremony.records[0]!.text);
  desk.noteSaved(desk.made[0]!);
  desk.forget();
  assert.deepEqual([desk.turn, desk.made.length], ["wait", 0]);
});

test("the card of another trustee, of another election, and a damaged one are told apart", () => {
  const desk = deskWith(3);
  assert.deepEqual(desk.typeCard(ceremony.codes[1]!), { kind: "other" });
  assert.deepEqual(desk.typeCard(other.codes[0]!), { kind: "other" });
  const groups = ceremony.codes[0]!.split("-");
  const damaged = groups[4]!.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  const typed = [...groups.slice(0, 4), damaged, groups[5]].join(" ");
  assert.deepEqual(desk.typeCard(typed), { kind: "group", group: 5, text: damaged });
  assert.deepEqual(desk.typeCard("ABC"), { kind: "length", length: 3 });
  assert.equal(desk.key, null);
  assert.equal(desk.turn, "card");
});

test("a stranger's place, a complete ceremony, and one that has ended", () => {
  assert.equal(deskWith(0, 2).turn, "begin");
  const desk = deskWith(records.length, 2);
  assert.deepEqual([desk.turn, desk.isComplete], ["complete", true]);
  desk.choose(3);
  assert.equal(desk.name, "Eko");
  const twice = deskWith(1);
  const stranger = deskWith(0);
  stranger.makeKey();
  stranger.confirmCards(stranger.cardGroups!.at(-1)!);
  stepped(stranger);
  twice.take([{ name: "another", raw: utf8(stranger.made[0]!.text) }]);
  assert.deepEqual([twice.turn, twice.isComplete], ["ended", false]);
  twice.typeCard(ceremony.codes[0]!);
  assert.deepEqual(stepped(twice), []);
});

test("the draft may come last, under any name", () => {
  const desk = new Desk(streamOf("desk"));
  desk.take(records);
  assert.equal(desk.lacksDraft, true);
  assert.equal(desk.turn, null);
  desk.take([{ name: "attachment (2).json", raw: draft.raw }]);
  assert.equal(desk.lacksDraft, false);
  desk.choose(1);
  assert.equal(desk.turn, "complete");
});

test("what is no draft, or another one, counts for nothing, and the ceremony goes on", () => {
  const foreign = { name: "zz.json", raw: utf8('{"closes":') };
  const older = { name: "draft (1).json", raw: utf8(other.draft) };
  const refused = (desk: Desk) => desk.bulletin!.refused.map(({ source, fault }) => [source, fault.code]);
  for (const files of [
    [older, foreign, draft, ...records],
    [draft, ...records, foreign, older],
  ]) {
    const desk = new Desk(streamOf("desk"));
    desk.take(files);
    desk.choose(1);
    assert.equal(desk.turn, "complete");
    assert.deepEqual(refused(desk), [
      ["zz.json", "bad-document"],
      ["draft (1).json", "wrong-draft"],
    ]);
  }
  const begun = new Desk(streamOf("desk"));
  begun.take([{ ...draft, name: "attachment.json" }, ...records]);
  begun.choose(1);
  begun.take([{ ...older, name: "draft.json" }]);
  assert.equal(begun.turn, "complete");
  assert.deepEqual(refused(begun), [["draft.json", "wrong-draft"]]);
  const wrong = new Desk(streamOf("desk"));
  wrong.take([older]);
  wrong.take([draft]);
  assert.equal(wrong.bulletin!.draft.digest, ceremony.digest, "it has the right name");
});

test("of drafts without their name the records say which it is, and else the files are named", () => {
  const [one, two] = [
    { name: "a.json", raw: draft.raw },
    { name: "b.json", raw: utf8(other.draft) },
  ];
  const told = (files: { name: string; raw: Uint8Array }[]) => {
    try {
      new Desk(streamOf("desk")).take(files);
    } catch (error) {
      return error instanceof Fault ? [error.code, error.where] : assert.fail();
    }
    return null;
  };
  assert.equal(told([two, one, ...records.slice(0, 1)]), null);
  const [code, where] = told([two, one])!;
  assert.equal(code, "other-election");
  assert.match(where!, /b\.json, a\.json/);
  assert.match(told([{ name: "draft.json", raw: utf8('{"closes":') }])![1]!, /^draft\.json: /);
});

test("each file is seen for what it is", async () => {
  const file = (name: string, text: string) => new File([text], name);
  const found = await taken([
    file("trustee.html", "<p>"),
    file("draft.json", ceremony.draft),
    file("1.json", ceremony.records[0]!.text),
    file("roll.json", '{\n "kind": "votenet-roll-2"}'),
    file("genesis.json", '{"authority_key":"00"}'),
    file("election.jsonl.xz", "x"),
    file("long.json", " ".repeat(70_000)),
  ]);
  assert.deepEqual(
    found.ceremony.map(({ name, raw }) => [name, raw.length]),
    [
      ["draft.json", ceremony.draft.length],
      ["1.json", ceremony.records[0]!.text.length],
      ["long.json", 64 * 1024 + 1],
    ],
  );
  assert.equal(found.archive?.name, "election.jsonl.xz");
  assert.equal(found.roll?.length, 28);
  assert.equal(found.genesis?.length, 22);
});

test("what the browser cannot read, such as a folder, is told", async () => {
  const broken = {
    name: "ceremony",
    slice: () => ({ arrayBuffer: () => Promise.reject(new Error("NotFoundError")) }),
  } as unknown as File;
  await assert.rejects(taken([broken]), (error) => error instanceof Fault && error.code === "unreadable");
});

test("sentences have the same places in both languages", () => {
  const places = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(([one]) => one).sort();
  for (const [name, text] of Object.entries(en)) {
    assert.deepEqual(places(id[name as keyof typeof id]), places(text), name);
  }
  assert.deepEqual(Object.keys(id).sort(), Object.keys(en).sort());
});

test("the built page's policy forbids everything but itself", () => {
  const text = readFileSync(join(process.env["FRONTEND"]!, "../src/votenet/web/static/trustee.html"), "utf8");
  assert.match(
    text,
    /Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-/,
  );
  assert.equal([...text.matchAll(/<script>/g)].length, 1);
  assert.doesNotMatch(
    text,
    /(?:src|href)=["']|unsafe-|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|innerHTML|localStorage|sessionStorage|indexedDB/,
  );
});
