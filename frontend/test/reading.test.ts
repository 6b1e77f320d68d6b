/** How far a file has been read, as a page shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Fault } from "../src/lib/fault.ts";
import { Reading, lines, wholeFile } from "../src/lib/file.ts";

const TEXT = Array.from({ length: 4000 }, (_, number) => `${"line ".repeat(number % 50)}${number}\n`).join("");

for (const [name, raw] of [
  ["plain.jsonl", Buffer.from(TEXT)],
  ["packed.jsonl.gz", gzipSync(TEXT)],
] as const) {
  test(`the share that is done grows to one: ${name}`, async () => {
    const reading = new Reading(raw.length);
    assert.equal(reading.done(0), 0);
    let last = 0;
    let taken = 0;
    for await (const line of lines(new Blob([raw]), name, reading)) {
      const [begun, ended] = [reading.done(0), reading.done(1)];
      assert.ok(begun < ended && ended <= 1);
      taken += line.length;
      if (name.startsWith("plain")) assert.ok(Math.abs(ended - taken / raw.length) < 0.001 && begun >= last);
      last = ended;
    }
    assert.equal(last, 1);
  });
}

const PARTS = [gzipSync("first\n"), gzipSync("the second\n")];
const isSeveralParts = (error: unknown): boolean => error instanceof Fault && error.code === "several-parts";

test("a gzip file of several parts is refused, as no browser unpacks the second one", async () => {
  await assert.rejects(wholeFile(new Blob(PARTS), "a.gz"), isSeveralParts);
});

/** What browsers do behind the first part: an error in words of their own; "" for one that would end there. */
for (const words of [
  "Junk found after end of compressed data.",
  "Unexpected input after the end of stream",
  "Extra bytes past the end.",
  "",
]) {
  test(`the first part of a gzip file is not taken for all of it: ${words || "no error"}`, async (t) => {
    class FirstPart extends TransformStream<Uint8Array, Uint8Array> {
      constructor() {
        let isFirst = true;
        super({
          transform(_, made) {
            if (isFirst) made.enqueue(new TextEncoder().encode("first\n"));
            isFirst = false;
            if (words !== "") made.error(new TypeError(words));
          },
        });
      }
    }
    const own = globalThis.DecompressionStream;
    t.after(() => (globalThis.DecompressionStream = own));
    globalThis.DecompressionStream = FirstPart as unknown as typeof DecompressionStream;
    await assert.rejects(wholeFile(new Blob(PARTS), "a.gz"), isSeveralParts);
    if (words === "") assert.equal((await wholeFile(new Blob([PARTS[0]!]), "a.gz")).length, 6);
  });
}
