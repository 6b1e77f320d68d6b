/** The trustees' ceremony: the records that the product makes of the same seeds, and its verdict on odd ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { type Bulletin, STEPS, fileName, readBulletin, readRecord } from "../src/secret/ceremony/bulletin.ts";
import { readDraft } from "../src/secret/ceremony/draft.ts";
import { TrusteeSeed, finishTrustee, openSealed, seal } from "../src/secret/ceremony/key_generation.ts";
import { readRecoveryCode, recoveryGroups } from "../src/secret/ceremony/recovery_code.ts";
import { derivedEntropy, nextRecord, rehearse, restoreShare } from "../src/secret/ceremony/trustee.ts";
import { shareOf } from "../src/secret/ceremony/share.ts";
import { checkShare } from "../src/secret/decryption_share.ts";
import { readElection } from "../src/secret/election.ts";
import { Ciphertext } from "../src/secret/encryption.ts";
import { BASE, parseSum } from "../src/secret/group.ts";
import { finished } from "../src/lib/steps.ts";
import { repositoryJson } from "./corpus.ts";
import { streamOf } from "./secret_parts.ts";

interface Files {
  draft: string;
  /** Places in `texts`. */
  files: Record<string, number>;
}
interface Vectors {
  ceremonies: {
    draft: string;
    digest: string;
    seeds: string[];
    codes: string[];
    records: { file: string; text: string }[];
    spoken: string;
    trustees: string;
    key: string;
    secrets: string[];
    /** What is decrypted, and the share of each trustee. */
    election: string;
    tally: string;
    shares: string[];
  }[];
  judged: (Files & {
    name: string;
    refused: [string, string][];
    two_records: [number, string, string, string][];
    waiting: [string, number[]] | null;
  })[];
  steps: (Files & { name: string; seed: string; place: number; code: string; step: string })[];
  drafts: [string, string][];
  codes: [string, string | number][];
  texts: string[];
}

const vectors = repositoryJson<Vectors>("tests/vectors/ceremony.json");
const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const draftOf = (text: string) => readDraft(votenet.utf8(text));

function bulletinOf({ draft, files }: Files): Bulletin {
  return readBulletin(
    draftOf(draft),
    Object.entries(files).map(([name, at]) => [name, latin1(vectors.texts[at]!)] as const),
  );
}

/** The code of the fault; empty if there is none. */
function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof votenet.Fault) return error.code;
    throw error;
  }
  return "";
}

test("the same seeds make the product's records, byte for byte, and its key", () => {
  for (const one of vectors.ceremonies) {
    const draft = draftOf(one.draft);
    assert.equal(draft.digest, one.digest);
    const seeds = one.seeds.map((text) => new TrusteeSeed(text));
    const files: [string, Uint8Array][] = [];
    for (const step of STEPS) {
      const bulletin = readBulletin(draft, files);
      assert.deepEqual(bulletin.waiting(), { step, places: seeds.map((_, at) => at + 1) });
      for (const [at, seed] of seeds.entries()) {
        const made = step === "rehearsal" ? rehearse(bulletin, seed) : nextRecord(bulletin, seed, at + 1)!;
        const wanted = one.records[files.length]!;
        assert.equal(made.text, wanted.text);
        assert.equal(fileName(made), wanted.file);
        files.push([wanted.file, votenet.utf8(made.text)]);
      }
    }
    const bulletin = readBulletin(draft, files.reverse());
    assert.equal(bulletin.waiting(), null);
    assert.deepEqual(bulletin.refused, []);
    assert.equal(bulletin.spoken(), one.spoken);
    assert.equal(bulletin.trustees, one.trustees);
    assert.equal(bulletin.key.written, one.key);
    for (const [at, seed] of seeds.entries()) {
      assert.deepEqual(restoreShare(bulletin, seed), { place: at + 1, secret: BigInt(one.secrets[at]!) });
    }
  }
});

test("a share of the count is the product's, byte for byte, and holds", () => {
  for (const one of vectors.ceremonies) {
    const bulletin = readBulletin(
      draftOf(one.draft),
      one.records.map(({ file, text }) => [file, votenet.utf8(text)] as const),
    );
    const election = readElection(one.election);
    const written = JSON.parse(one.tally) as { alpha: string; beta: string }[][];
    const sums = written.map((row) => row.map((each) => new Ciphertext(parseSum(each.alpha), parseSum(each.beta))));
    for (const [at, text] of one.seeds.entries()) {
      const share = shareOf(bulletin, new TrusteeSeed(text), election, sums);
      assert.equal(share, one.shares[at]);
      assert.equal(finished(checkShare(election, sums, bulletin.keys, share)).place, at + 1);
    }
    const stranger = new TrusteeSeed("1".repeat(22));
    assert.equal(
      codeOf(() => shareOf(bulletin, stranger, election, sums)),
      "wrong-card",
    );
  }
});

test("of every bulletin the product's verdict is given", () => {
  for (const one of vectors.judged) {
    const bulletin = bulletinOf(one);
    const refused = bulletin.refused.map(({ source, fault }) => [source, fault.code]);
    assert.deepEqual(refused.sort(), one.refused.sort(), one.name);
    const twice = bulletin.equivocations.map((each) => [each.place, each.step, ...each.records.map(fileName)]);
    assert.deepEqual(twice, one.two_records, one.name);
    const waiting = bulletin.waiting();
    assert.deepEqual(waiting && [waiting.step, waiting.places], one.waiting, one.name);
    assert.equal(
      codeOf(() => bulletin.checkGoing()),
      one.two_records.length > 0 ? "two-records" : "",
      one.name,
    );
  }
});

test("a step is refused where the product refuses it", () => {
  for (const one of vectors.steps) {
    const bulletin = bulletinOf(one);
    let step = "";
    const code = codeOf(() => {
      step = nextRecord(bulletin, new TrusteeSeed(one.seed), one.place)?.step ?? "";
    });
    assert.deepEqual([one.name, code, step], [one.name, one.code, one.step]);
  }
});

test("whoever sealed a part that cannot be opened, or another one, is named", () => {
  const [one] = vectors.ceremonies;
  const files = one!.records.map(({ file, text }) => [file, votenet.utf8(text)] as const);
  const { certificates, polynomials } = readBulletin(draftOf(one!.draft), files);
  const seed = new TrusteeSeed(one!.seeds[1]!);
  const sealed = (text: string) => seal(BASE.times(seed.decryptionKey), text, streamOf("sealed"));
  const [, , third] = polynomials;
  const wrong: [string, string][] = [
    ["garbage", "garbage"],
    ["sealed for another", third!.secrets[0]!],
    ["sealed, and not signed", sealed('{"secret":"7"}')],
    ["sealed, and no JSON", sealed("{")],
    ["signed by another", polynomials[0]!.secrets[1]!],
  ];
  for (const [name, part] of wrong) {
    const theirs = { ...third!, secrets: third!.secrets.map((own, at) => (at === 1 ? part : own)) };
    const received = polynomials.map((own) => (own === third ? theirs : own));
    assert.throws(
      () => finishTrustee(seed, certificates, received, streamOf("finish")),
      (error) => error instanceof votenet.Fault && error.code === "bad-share" && /trustee 3 /.test(error.where),
      name,
    );
  }
  for (const step of vectors.steps.filter(({ code }) => code === "bad-share")) {
    const bulletin = bulletinOf(step);
    assert.throws(
      () => nextRecord(bulletin, new TrusteeSeed(step.seed), step.place),
      (error) => error instanceof votenet.Fault && error.where.startsWith(`${bulletin.draft.trustees[0]}: `),
      step.name,
    );
  }
});

test("a draft is refused where the product refuses it", () => {
  for (const [text, code] of vectors.drafts)
    assert.equal(
      codeOf(() => draftOf(text)),
      code,
      text.slice(0, 200),
    );
});

test("a card restores the seed; damage is named by its group", () => {
  for (const { seeds, codes } of vectors.ceremonies)
    assert.deepEqual(
      seeds.map((text) => recoveryGroups(new TrusteeSeed(text)).join("-")),
      codes,
    );
  for (const [typed, wanted] of vectors.codes) {
    const read = readRecoveryCode(typed);
    assert.equal(read.ok ? read.seed.text : read.group, wanted, typed);
  }
});

test("a new seed is made of fair characters only", () => {
  const seed = TrusteeSeed.draw(streamOf("seed"));
  assert.match(seed.text, /^[1-9A-HJ-NP-Za-km-z]{22}$/);
  assert.notEqual(TrusteeSeed.draw(streamOf("other")).text, seed.text);
  let asked = 0;
  const poor = (count: number) => new Uint8Array(count).fill(asked++ === 0 ? 255 : 0);
  assert.equal(TrusteeSeed.draw(poor).text, "1".repeat(22));
  assert.equal(asked, 2);
});

test("a sealed text is opened by its recipient alone, and unchanged", () => {
  const [own, other] = [new TrusteeSeed("2".repeat(22)), new TrusteeSeed("3".repeat(22))];
  const sealed = seal(BASE.times(own.decryptionKey), "text", derivedEntropy(own, "test"));
  assert.equal(openSealed(own.decryptionKey, sealed), "text");
  assert.equal(
    codeOf(() => openSealed(other.decryptionKey, sealed)),
    "bad-key-generation",
  );
  const changed = sealed.replace(/(.)"}$/, (_, last) => `${last === "0" ? 1 : 0}"}`);
  assert.equal(
    codeOf(() => openSealed(own.decryptionKey, changed)),
    "bad-key-generation",
  );
  const short = sealed.replace(/"data":"[0-9a-f]+"/, '"data":"00"');
  assert.equal(
    codeOf(() => openSealed(own.decryptionKey, short)),
    "bad-key-generation",
  );
});

test("randomness is for one use", () => {
  const seed = new TrusteeSeed("2".repeat(22));
  const [one, other] = [derivedEntropy(seed, "a"), derivedEntropy(seed, "b")];
  const draws = [one(64), one(64), other(64)].map(votenet.toHex);
  assert.equal(new Set(draws).size, 3);
  assert.equal(votenet.toHex(derivedEntropy(seed, "a")(64)), draws[0]);
});

test("records from a file hold at most so many bytes", () => {
  assert.equal(
    codeOf(() => readRecord(new Uint8Array(64 * 1024 + 1))),
    "bad-trustee-record",
  );
});
