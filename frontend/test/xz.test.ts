/** Damaged .xz files are never taken for whole ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import { type Corpus, corpusBytes, corpusJson, withoutCorpus } from "./corpus.ts";

async function unpacked(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return votenet.wholeFile(new Blob([packed]), "a.xz");
}

test("a packed file with one bit changed is refused", { skip: withoutCorpus }, async () => {
  const { cases } = corpusJson<Corpus>("cases.json");
  const packed = corpusBytes(cases.find(({ name }) => name === "xz/good/preset-6")!.data);
  const plain = corpusBytes(cases.find(({ name }) => name === "good/burst")!.data);
  assert.deepEqual(await unpacked(packed), plain);
  for (let bit = 0; bit < 8 * packed.length; bit += 353) {
    const damaged = packed.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    await assert.rejects(unpacked(damaged), votenet.Fault, `bit ${bit}`);
  }
});
