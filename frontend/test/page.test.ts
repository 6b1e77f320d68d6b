/** What verify.html says of each file of the corpus, in both languages. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { parseHTML } from "linkedom";
import { Election } from "../src/lib/index.ts";
import { fingerprint } from "../src/secret/documents.ts";
import { makeBallot } from "../src/secret/making.ts";
import { testedFile } from "../src/secret/tested_ballot.ts";
import { contestView } from "../src/verify/count_view.ts";
import { type Held, heldFile, judgeAll } from "../src/verify/judge.ts";
import { verdictView } from "../src/verify/report_view.ts";
import { LANGUAGES, preferred, wordsOf } from "../src/verify/words.ts";
import { type Case, type Corpus, corpusBytes, corpusJson, withoutCorpus } from "./corpus.ts";
import { electionOf, secretDefinition, streamOf } from "./secret_parts.ts";

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

/** All files of one list, with where they are from. */
const LISTS = ["cases.json", "secret-cases.json"];

test("each verdict is told in both languages", { skip: withoutCorpus }, async () => {
  for (const list of LISTS) await tellAll(corpusJson<Corpus>(list));
});

async function tellAll({ now, cases }: Corpus): Promise<void> {
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
}

test("the kind of a good file is seen in it", { skip: withoutCorpus }, async () => {
  const cases = LISTS.flatMap((list) => corpusJson<Corpus>(list).cases);
  for (const one of cases.filter(({ code }) => code === "")) {
    const [subject, ...company] = files(one);
    const kind = async (blob: Blob) => (await heldFile({ blob, name: "file" })).kind;
    assert.equal(await kind(subject!.blob), one.check, one.name);
    for (const each of company) assert.equal(await kind(each.blob), each.kind);
  }
});

const find = (name: string) =>
  LISTS.flatMap((list) => corpusJson<Corpus>(list).cases).find((one) => one.name === name)!;

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

test("an archive says whether it counts the vote of each receipt that is dropped with it", async () => {
  const path = "tests/releases/0.2.0/public";
  const read = (name: string) =>
    heldFile({ blob: new Blob([readFileSync(join(process.env["FRONTEND"]!, "..", path, name))]), name });
  const [archive, receipt] = [await read("archive.jsonl.xz"), await read("mpls-000001.json")];
  const now = Math.floor(Date.now() / 1000);
  const say = async (...all: Held[]) => {
    const found: string[] = [];
    for await (const verdict of judgeAll(all, { now }))
      found.push(verdictView(wordsOf("en"), verdict, "none").textContent!);
    return found;
  };
  for (const all of [await say(archive, receipt), (await say(receipt, archive)).reverse()]) {
    assert.match(all[0]!, /It counts the vote of mpls-000001 \(mpls-000001\.json\)/);
  }
  assert.doesNotMatch((await say(archive))[0]!, /the vote of/);
  const broken = { ...receipt, blob: new Blob([(await receipt.blob.text()).replace('"version":2', '"version":7')]) };
  assert.doesNotMatch((await say(archive, broken))[0]!, /the vote of/, "its own verdict says what is wrong");
});

test("a vote that a final archive leaves out, against its receipt, is told", { skip: withoutCorpus }, async () => {
  const left = corpusJson<Corpus>("cases.json").cases.find(
    ({ check, code, archive, report }) =>
      check === "evidence" && code === "" && archive !== null && report["kind"] === "broken-acceptance",
  )!;
  const { definition, proof } = JSON.parse(new TextDecoder().decode(corpusBytes(left.data))) as {
    definition: unknown;
    proof: { acceptance: unknown; vote: { voter_id: string } };
  };
  const { acceptance, vote } = proof;
  const made = { acceptances: [acceptance], amendments: [], chain: null, definition };
  const text = JSON.stringify({ ...made, ...{ format: "votenet-receipt", proof: "", version: 2, vote } }) + "\n";
  const archive = await heldFile({ blob: new Blob([corpusBytes(left.archive!)]), name: "archive.jsonl" });
  const receipt = await heldFile({ blob: new Blob([text]), name: "receipt.json" });
  const [whole] = await told(archive, receipt);
  assert.match(whole!, /This is the final result/);
  assert.ok(
    whole!.includes(`It does not count the vote of ${vote.voter_id}, for which there is a receipt (receipt.json)`),
  );
  const [early, received] = await told(await heldFile(files(find("named-good/empty"))[0]!), receipt);
  assert.match(early!, /It does not have the vote of .* \(receipt\.json\)/);
  assert.match(received!, /The vote was received by 1 of 5/);
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

test(
  "the votes of a secret election are counted once enough trustees have decrypted",
  { skip: withoutCorpus },
  async () => {
    const [counted] = await told(...files(find("secret/good/shares-(1, 2)")));
    const [waiting] = await told(...files(find("secret/good/shares-(3,)")));
    const [open] = await told(...files(find("secret/good/open")));
    assert.match(
      counted!,
      /This is the final result\..*decrypted their sums.*: Trustee 1 and Trustee 2\..*Elected: Bob\./s,
    );
    assert.match(waiting!, /These votes are final.*Votes: 3, encrypted.*1 of the 2 who are needed/s);
    assert.match(open!, /More may come.*Votes: 1, encrypted\. Trustees decrypt the count when/s);
    for (const each of [waiting!, open!]) assert.doesNotMatch(each, /final result|Bob|hidden|undecided/);
  },
);

test("of weights only the weight of blank ballots is known", { skip: withoutCorpus }, async () => {
  const reports = (list: string) =>
    corpusJson<Corpus>(list).cases.filter((one) => one.code === "" && one.check === "archive");
  interface Contest {
    blank: number;
    votes: number;
    weight: number;
    counts: [string, number][];
  }
  const isMixed = ({ blank, votes, weight, counts }: Contest) =>
    blank > 0 && weight !== votes && counts.some(([, number]) => number > 0);
  const mixed = reports("secret-cases.json").find((one) => (one.report["contests"] as Contest[]).some(isMixed))!;
  assert.match((await told(...files(mixed)))[0]!, /Of their weight, \d+ is blank/);
});

test("a receipt of a secret vote shows no choice, and says so", { skip: withoutCorpus }, async () => {
  const [said] = await told(...files(find("secret/receipt/good")));
  assert.match(said!, /The vote was received by.*The vote is encrypted\. This receipt does not show what was chosen/s);
  assert.doesNotMatch(said!, /no choice|What was chosen/);
});

test("a tested ballot says what it encrypts, and whether its device lied", async () => {
  const questions = [
    { answers: ["Ann", "Bo"], blank: true, min: 1, max: 1, question: "Chair" },
    { answers: ["Yes", "No"], blank: false, min: 1, max: 2, question: "Rules" },
  ];
  const made = secretDefinition(questions);
  const { text, opening } = makeBallot(
    electionOf(made),
    7n,
    [
      [1, 0, 0],
      [1, 1],
    ],
    streamOf("tested"),
  );
  const network = new Election(made).networkHex;
  const verdictOf = async (choices: number[][], known: string | null, randomness = opening.randomness) => {
    const blob = new Blob([testedFile(made, text, { choices, randomness })]);
    const file = await heldFile({ blob, name: "tested.json" });
    assert.equal(file.kind, "tested");
    const { value } = await judgeAll([file], { now: 0, network: known }).next();
    return LANGUAGES.map((language) => verdictView(wordsOf(language), value!, "none").textContent!);
  };
  const [en, id] = await verdictOf(
    [
      [1, 0, 0],
      [1, 1],
    ],
    network,
  );
  assert.match(en!, /This file holds.*encrypts what the device said.*Chairno choice.*RulesYesNo/s);
  assert.match(id!, /Berkas ini benar.*berisi pilihan yang dikatakan perangkat/s);
  for (const each of [en!, id!]) assert.ok(each.includes(fingerprint(text)));
  const [lied] = await verdictOf(
    [
      [0, 1, 0],
      [1, 1],
    ],
    null,
  );
  assert.match(lied!, /This file does not hold.*does not encrypt what the device said.*Chairno choice/s);
  const swapped = [opening.randomness[0]!.slice().reverse(), opening.randomness[1]!];
  assert.match(
    (
      await verdictOf(
        [
          [1, 0, 0],
          [1, 1],
        ],
        null,
        swapped,
      )
    )[0]!,
    /does not hold.*ChairThe file does not open/s,
  );
  assert.match(
    (
      await verdictOf(
        [
          [1, 0, 0],
          [1, 1],
        ],
        "ab".repeat(32),
      )
    )[0]!,
    /does not hold.*network-mismatch/s,
  );
});

test("a share is one of all ballots, also of blank ones, as everywhere else", () => {
  const counted: Parameters<typeof contestView>[2] = {
    counts: [
      ["Bo", 3],
      ["Al", 1],
    ],
    votes: 6,
    blank: 2,
    weight: 6,
    state: "won",
    winners: ["Bo"],
    tied: [],
    quota: "",
    conditions: [],
  };
  for (const method of ["plurality", "approval", "motion", "instant-runoff"]) {
    const contest = { title: "Chair", description: "", method } as Parameters<typeof contestView>[1];
    const flags = { final: true, isSecret: false };
    const said = contestView(wordsOf("en"), contest, counted, null, flags).textContent!;
    assert.match(said, /Bo350\.0%Al116\.7%/, method);
  }
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
