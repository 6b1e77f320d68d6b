/** How far a file has been read, as a page shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Reading, lines } from "../src/lib/file.ts";

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
