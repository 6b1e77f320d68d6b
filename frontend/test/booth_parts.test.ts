/** The parts of the booth: rules of a contest, words, the kiosk, what a code looks like while it is typed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import en from "../src/catalogue/booth.en.json";
import id from "../src/catalogue/booth.id.json";
import { NOTHING, howMany, missing, moved, toggled, unused } from "../src/booth/choices.ts";
import { placeAt } from "../src/booth/drag.ts";
import { grouped, typedGroup } from "../src/booth/identity.ts";
import { Kiosk } from "../src/booth/kiosk.ts";
import { takenCode } from "../src/booth/page_parts.ts";
import { type SentenceName, Words } from "../src/booth/words.ts";
import type { Contest } from "../src/lib/index.ts";
import { CONTESTS } from "./scripted_election.ts";

const contest = (changes: Partial<Contest>): Contest => ({ ...CONTESTS[1]!, ...changes }); // four candidates

test("how many to choose, and when a pick is an answer", () => {
  const table: [Partial<Contest>, string][] = [
    [{ method: "plurality", max: 1 }, "one"],
    [{ method: "instant-runoff", max: 1 }, "one"],
    [{ method: "block", max: 2 }, "upTo"],
    [{ method: "block", min: 2, max: 2 }, "exactly"],
    [{ method: "block", min: 2, max: 3 }, "between"],
    [{ method: "approval", max: 4 }, "any"],
    [{ method: "stv", max: 4 }, "order"],
    [{ method: "schulze", max: 3 }, "orderUpTo"],
  ];
  for (const [changes, expected] of table) assert.equal(howMany(contest(changes)), expected);
  const two = contest({ min: 2, max: 3 });
  const pick = (choices: string[], blank = false) => ({ choices, blank });
  assert.equal(missing(two, NOTHING), "nothing");
  assert.equal(missing(two, pick([], true)), null);
  assert.equal(missing({ ...two, blank: false }, pick([], true)), "nothing");
  assert.equal(missing(two, pick(["Ann"])), "too-few");
  assert.equal(missing(two, pick(["Ann", "Cy"])), null);
  assert.equal(unused(two, pick(["Ann", "Cy"])), 1);
  assert.equal(unused(contest({ method: "approval", max: 4 }), pick(["Ann"])), 0);
});

test("names come and go in the order in which they are pressed", () => {
  const three = contest({ method: "stv", max: 3 });
  let pick = NOTHING;
  for (const name of ["Emil", "Ann", "Cy"]) pick = toggled(three, pick, name)!;
  assert.deepEqual(pick.choices, ["Emil", "Ann", "Cy"]);
  assert.equal(toggled(three, pick, "Dewi"), null);
  pick = moved(pick, "Cy", -1);
  assert.deepEqual(pick.choices, ["Emil", "Cy", "Ann"]);
  assert.deepEqual(moved(pick, "Emil", -1), pick);
  assert.deepEqual(toggled(three, pick, "Emil")!.choices, ["Cy", "Ann"]);
  assert.deepEqual(toggled(contest({ max: 1 }), { choices: ["Ann"], blank: false }, "Cy")!.choices, ["Cy"]);
});

test("a code gets its hyphens while it is typed", () => {
  assert.equal(grouped("abcde"), "ABCDE");
  assert.equal(grouped("abcdefg"), "ABCDE-FG");
  const whole = "ABCDE-FGHJK-MNPQR-STVWX-YZ0123";
  assert.equal(grouped(whole.replaceAll("-", " ")), whole);
  assert.equal(grouped(`${whole}45`), `${whole}45`);
  assert.equal(typedGroup(whole.toLowerCase(), 5), "YZ0123");
});

test("the fragment of a card's link is taken out of the address, and a place on the page is left there", () => {
  const table: [string, string | null, string][] = [
    ["#ABCDE-FGHJK", "ABCDE-FGHJK", "/vote?lang=id"],
    ["#a%20b", "a b", "/vote?lang=id"],
    ["#%zz", "%zz", "/vote?lang=id"],
    ["#main", null, "/vote?lang=id#main"],
    ["#", null, "/vote?lang=id#"],
  ];
  for (const [hash, code, left] of table) {
    let address = `/vote?lang=id${hash}`;
    const history = { state: null, replaceState: (_: unknown, __: string, url: string) => (address = url) };
    const document = { getElementById: (id: string) => (id === "main" ? {} : null) };
    Object.assign(globalThis, { location: { hash, pathname: "/vote", search: "?lang=id" }, history, document });
    assert.equal(takenCode(), code, hash);
    assert.equal(address, left, hash);
  }
});

type Tree = { [name: string]: string | Tree };
const flat = (tree: Tree, before = ""): [string, string][] =>
  Object.entries(tree).flatMap(([name, value]) =>
    typeof value === "string" ? [[before + name, value] as [string, string]] : flat(value, `${before}${name}.`),
  );

test("both catalogues have the same sentences with the same places, and none is without use", () => {
  const [english, indonesian] = [new Map(flat(en)), new Map(flat(id))];
  assert.deepEqual([...english.keys()], [...indonesian.keys()]);
  const places = (text: string) => (text.match(/\{\w+\}/g) ?? []).sort();
  for (const [name, text] of english) {
    assert.deepEqual(places(indonesian.get(name)!), places(text), name);
    assert.ok(indonesian.get(name)!.trim() !== "" && text.trim() !== "", name);
  }
});

test("words: plural, numbers and times in both languages", () => {
  const [english, indonesian] = [new Words("en"), new Words("id")];
  assert.equal(english.count("review.unused", 1), "You may choose 1 more here.");
  assert.equal(indonesian.count("review.unused", 1), "Anda masih boleh memilih 1 lagi di sini.");
  assert.equal(english.say("after.received", { n: 1200, all: 5 }), "Received by 1,200 of 5");
  assert.equal(indonesian.say("after.received", { n: 1200, all: 5 }), "Diterima oleh 1.200 dari 5");
  assert.match(english.time(1_800_000_000, "Asia/Jakarta"), /15 January 2027.*15:00.*GMT\+7/);
  assert.match(indonesian.time(1_800_000_000, "Asia/Jakarta"), /15 Januari 2027.*15\.00.*WIB/);
  assert.match(english.time(1_800_000_000, "Mars/Olympus"), /08:00.*UTC/);
  assert.equal(new Words("fr").language, "en");
  assert.ok(english.has("refusal.closed") && !english.has("refusal.nonsense") && !english.has("refusal"));
});

test("where members make their codes themselves nobody is told of a card alone", () => {
  for (const [language, card, own] of [
    ["en", /\bcard\b/, /If you have made it yourself, the organisers must approve it first/],
    ["id", /kartu/, /Jika Anda membuatnya sendiri, panitia harus menyetujuinya dahulu/],
  ] as const) {
    const words = new Words(language, true);
    for (const name of [...new Map(flat(language === "en" ? en : id)).keys()] as SentenceName[]) {
      if (name !== "identity.codeHint" && !name.startsWith("ownCodes."))
        assert.doesNotMatch(words.say(name), card, name);
    }
    assert.match(words.say("identity.codeUnknown"), own);
    assert.match(new Words(language).say("identity.codeUnknown"), card);
  }
});

test("a kiosk clears itself 20 seconds behind a vote that is final, unless the voter stays", () => {
  let cleared = 0;
  const kiosk = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  kiosk.shown({ kind: "casting" }, true);
  for (let second = 0; second < 500; second++) kiosk.tick();
  assert.equal(cleared, 0, "a vote on its way is never given up");
  kiosk.shown({ kind: "after" }, true);
  assert.deepEqual(kiosk.countdown, { why: "after", seconds: 20, from: 20 });
  for (let second = 0; second < 19; second++) kiosk.tick();
  kiosk.shown({ kind: "after" }, true);
  assert.equal(cleared, 0);
  kiosk.tick();
  assert.equal(cleared, 1);
});

test("while a vote is received and not final a kiosk keeps it for two minutes, and then counts again", () => {
  let cleared = 0;
  const kiosk = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  kiosk.shown({ kind: "after" }, true, false);
  assert.equal(kiosk.countdown!.seconds, 120);
  for (let second = 0; second < 115; second++) kiosk.tick();
  kiosk.shown({ kind: "after" }, true, false);
  assert.deepEqual([kiosk.countdown!.seconds, cleared], [5, 0]);
  kiosk.shown({ kind: "after" }, true, true);
  assert.deepEqual(kiosk.countdown, { why: "after", seconds: 20, from: 20 });
  kiosk.stay();
  kiosk.shown({ kind: "after" }, true, true);
  assert.equal(kiosk.countdown, null);
});

test("a voter who stays while the vote is received is not counted down once it is final", () => {
  const kiosk = new Kiosk(
    () => undefined,
    () => assert.fail("cleared"),
  );
  kiosk.shown({ kind: "after" }, true, false);
  kiosk.stay();
  kiosk.shown({ kind: "after" }, true, true);
  for (let second = 0; second < 100; second++) kiosk.tick();
  assert.equal(kiosk.countdown, null);
});

test("a kiosk asks before it clears a ballot that was left, and stays where it is told to", () => {
  let cleared = 0;
  const kiosk = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  kiosk.shown({ kind: "review" }, true);
  for (let second = 0; second < 120; second++) kiosk.tick();
  assert.deepEqual(kiosk.countdown, { why: "idle", seconds: 30, from: 30 });
  for (let second = 0; second < 29; second++) kiosk.tick();
  assert.equal(cleared, 0);
  kiosk.tick();
  assert.equal(cleared, 1);
  const typed = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  typed.shown({ kind: "code" }, false);
  for (let second = 0; second < 500; second++) typed.tick();
  assert.equal(typed.countdown, null, "there is nothing to clear");
  typed.typed();
  for (let second = 0; second < 120; second++) typed.tick();
  assert.deepEqual(typed.countdown, { why: "idle", seconds: 30, from: 30 }, "a code that was typed halfway");
  typed.typed();
  assert.equal(typed.countdown, null);
  typed.shown({ kind: "casting" }, true);
  for (let second = 0; second < 500; second++) typed.tick();
  assert.equal(typed.countdown, null, "a vote on its way is never given up");
});

test("a screen that stays is cleared once it is left alone, and one that the organisers shall see is not", () => {
  let cleared = 0;
  const kiosk = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  kiosk.shown({ kind: "after" }, true);
  kiosk.stay();
  for (let second = 0; second < 119; second++) kiosk.tick();
  kiosk.typed();
  for (let second = 0; second < 119; second++) kiosk.tick();
  assert.equal(kiosk.countdown, null);
  kiosk.tick();
  assert.deepEqual(kiosk.countdown, { why: "idle", seconds: 30, from: 30 });
  assert.equal(kiosk.sentence, "kiosk.countdown", "the vote is cast");
  for (let second = 0; second < 30; second++) kiosk.tick();
  assert.equal(cleared, 1);
  const held = new Kiosk(
    () => undefined,
    () => assert.fail("cleared"),
  );
  held.shown({ kind: "after" }, true);
  held.stay();
  held.hold();
  for (let second = 0; second < 500; second++) held.tick();
  held.shown({ kind: "code" }, false);
  assert.deepEqual([held.stays, held.isHeld], [false, false], "of the voter before");
});

test("a kiosk is cleared once, and again only where the page has not come in half a minute", () => {
  let cleared = 0;
  const kiosk = new Kiosk(
    () => undefined,
    () => cleared++,
  );
  kiosk.shown({ kind: "after" }, true);
  for (let second = 0; second < 20; second++) kiosk.tick();
  assert.equal(cleared, 1);
  for (let second = 0; second < 29; second++) kiosk.tick();
  assert.equal(cleared, 1, "each time would give up the page that is on its way");
  kiosk.tick();
  assert.equal(cleared, 2);
  for (let second = 0; second < 30; second++) kiosk.tick();
  assert.equal(cleared, 3);
});

test("a name is dragged to the place whose middle it has passed, and does not jump back there", () => {
  const items = [
    { top: 0, bottom: 40 },
    { top: 40, bottom: 140 }, // a long name
    { top: 140, bottom: 180 },
  ];
  const table: [number, number, number][] = [
    [0, 20, 0],
    [0, 80, 0],
    [0, 100, 1],
    [0, 170, 2],
    [2, 100, 2],
    [2, 60, 1],
    [2, 10, 0],
    [1, 500, 1],
  ];
  for (const [from, y, to] of table) assert.equal(placeAt(items, from, y), to, `${from} at ${y}`);
  const after = [{ top: 0, bottom: 100 }, { top: 100, bottom: 140 }, items[2]!];
  assert.equal(placeAt(after, 1, 100), 1);
});

test("a built booth has the sentences of one language", () => {
  const built = (language: string) =>
    readFileSync(join(process.env["FRONTEND"]!, `../src/votenet/web/static/booth.${language}.js`), "utf8");
  for (const [language, own, other] of [
    ["en", en, id],
    ["id", id, en],
  ] as const) {
    const script = built(language);
    assert.ok(script.includes(own.review.notCast) && script.includes(own.secret.tested), language);
    assert.ok(!script.includes(other.review.notCast) && !script.includes(other.secret.tested), language);
  }
});
