/** What verify.html says of each file of the corpus, in both languages. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { parseHTML } from "linkedom";
import { type Held, heldFile, judgeAll } from "../src/verify/judge.ts";
import { verdictView } from "../src/verify/report_view.ts";
import { LANGUAGES, preferred, wordsOf } from "../src/verify/words.ts";
import { type Case, type Corpus, corpusBytes, corpusJson, withoutCorpus } from "./corpus.ts";

const { document, window } = parseHTML(
  `<!doctype html><html><head><title></title></head><body><div id="page"></div></body></html>`,
);
Object.assign(globalThis, { document, Node: window.Node, HTMLElement: window.HTMLElement });

const held = (data: string, name: string, kind: Held["kind"]): Held => ({
  blob: new Blob([corpusBytes(data)]),
  name,
  kind,
});

function files(one: Case): Held[] {
  const company: Held[] = [];
  if (one.roll !== null) company.push(held(one.roll, "roll.json", "roll"));
  if (one.archive !== null) company.push(held(one.archive, "archive.jsonl", "archive"));
  return [held(one.data, one.file, one.check), ...company];
}

test("each verdict is told in both languages", { skip: withoutCorpus }, async () => {
  const { now, cases } = corpusJson<Corpus>("cases.json");
  const anchors = ["none", "network", "page"] as const;
  // One file for each code of each kind of file, and the small good ones.
  const chosen = new Map(cases.map((one) => [`${one.check} ${one.code || one.name.split("/")[0]}`, one]));
  for (const one of chosen.values()) {
    const { value: verdict } = await judgeAll(files(one), { now }).next();
    const more = ["needs-archive", "roll-missing"].includes(one.code);
    assert.equal(verdict!.outcome, one.code === "" ? "holds" : more ? "cannot" : "broken", one.name);
    for (const language of LANGUAGES) {
      const words = wordsOf(language);
      const text = verdictView(words, verdict!, anchors[cases.indexOf(one) % 3]!).textContent!;
      assert.doesNotMatch(text, /undefined|NaN|\[object|(?<!\\u)\{\w+\}/, one.name);
      assert.ok(text.includes(words.say(`verdict.${verdict!.outcome as "holds"}`)), one.name);
      if (one.code !== "") assert.ok(text.includes(one.code), one.name);
    }
  }
});

test("the kind of a good file is seen in it", { skip: withoutCorpus }, async () => {
  const { cases } = corpusJson<Corpus>("cases.json");
  for (const one of cases.filter(({ code }) => code === "")) {
    const [subject, ...company] = files(one);
    const kind = async (blob: Blob) => (await heldFile({ blob, name: "file" })).kind;
    assert.equal(await kind(subject!.blob), one.check, one.name);
    for (const each of company) assert.equal(await kind(each.blob), each.kind);
  }
});

const find = (name: string) => corpusJson<Corpus>("cases.json").cases.find((one) => one.name === name)!;

async function told(...all: Held[]): Promise<string[]> {
  const { now } = corpusJson<Corpus>("cases.json");
  const said: string[] = [];
  for await (const verdict of judgeAll(all, { now }))
    said.push(verdictView(wordsOf("en"), verdict, "none").textContent!);
  return said;
}

test("a winner is named of a final result alone", { skip: withoutCorpus }, async () => {
  const [final] = await told(...files(find("named-good/whole")));
  const [soFar] = await told(...files(find("named-good/while-voting")));
  assert.match(final!, /This is the final result\..*Elected: Alice\./s);
  assert.match(soFar!, /These votes are final\. More may come\..*Ahead so far: Bob\./s);
});

test("a file alone and in company", { skip: withoutCorpus }, async () => {
  const whole = files(find("result/good"));
  assert.match((await told(whole[0]!))[0]!, /the file's own word/);
  assert.match((await told(...whole))[0]!, /The archive gives the same counts/);
});

test("a proof of the log is checked for the vote of a receipt", { skip: withoutCorpus }, async () => {
  const [receipt] = files(find("named-receipt-good/final"));
  const { proof } = JSON.parse(await receipt!.blob.text()) as { proof: string };
  const made: Held = { blob: new Blob([proof]), name: "vote.tlog-proof", kind: "proof" };
  assert.equal((await heldFile(made)).kind, "proof");
  assert.match((await told(made))[0]!, /Drop the receipt/);
  assert.match((await told(made, receipt!))[0]!, /The vote is final\. 4 of 5/);
  const broken: Held = { ...made, blob: new Blob([proof.replace("index ", "index 1")]) };
  assert.match((await told(broken, receipt!))[0]!, /does not hold.*bad-proof/s);
});

test("languages and times", () => {
  assert.equal(preferred(["fr-FR", "in", "en"]), "id");
  assert.equal(preferred(["fr"]), "en");
  assert.match(wordsOf("id").time(0, "Asia/Jakarta"), /1970/);
  assert.match(wordsOf("en").time(2 ** 53 - 1, "UTC"), /^9007199254740991/);
  assert.match(wordsOf("en").time(0, "No/Where"), /1970/);
});

test("the built page is small, and its policy forbids everything but itself", () => {
  const page = readFileSync(join(process.env["FRONTEND"]!, "../src/votenet/web/static/verify.html"));
  assert.ok(gzipSync(page, { level: 9 }).length < 60 * 1024);
  const text = page.toString();
  assert.match(
    text,
    /Content-Security-Policy" content="default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-/,
  );
  assert.equal([...text.matchAll(/<script>/g)].length, 1);
  assert.doesNotMatch(text, /(?:src|href)=["']|unsafe-|\bfetch\(|XMLHttpRequest|WebSocket|sendBeacon|innerHTML/);
});
