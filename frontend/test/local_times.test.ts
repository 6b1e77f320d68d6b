/** The reader's local time beside that of the election. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHTML } from "linkedom";
import { addLocalTimes, localTime } from "../src/page/local_times.ts";

const SENTENCE = "= {time} ({zone})";

function inZone<T>(zone: string, work: () => T): T {
  const before = process.env["TZ"];
  process.env["TZ"] = zone;
  try {
    return work();
  } finally {
    if (before === undefined) delete process.env["TZ"];
    else process.env["TZ"] = before;
  }
}

test("a local time is added where the offset differs at that moment", () => {
  const cases: [string, string, string, RegExp | null][] = [
    ["Asia/Jakarta", "2027-05-31T12:00:00+02:00", "en", /^= 17:00 \(UTC\+07:00\)$/],
    ["Asia/Jakarta", "2027-05-31T12:00:00+02:00", "id", /^= 17.00 \(/],
    ["Asia/Jakarta", "2027-05-31T23:30:05+02:00", "id", /^= Sel, 1 Jun\D+04.30.05 \(UTC/],
    ["America/St_Johns", "2027-01-31T00:00:00+00:00", "en", /^= Sat,? 30 Jan\D* 20:30 \(UTC-03:30\)$/],
    ["Europe/Paris", "2027-05-31T12:00:00+02:00", "en", null], // the same hour as in Berlin
    ["Africa/Lagos", "2027-01-31T12:00:00+01:00", "en", null], // as Berlin in winter
    ["Africa/Lagos", "2027-05-31T12:00:00+02:00", "en", /^= 11:00 \(/],
    ["Asia/Jakarta", "no time at all+02:00", "en", null],
    ["Asia/Jakarta", "2027-05-31", "en", null],
  ];
  for (const [zone, written, language, said] of cases) {
    const found = inZone(zone, () => localTime(written, language, SENTENCE));
    if (said === null) assert.equal(found, null, `${zone} ${written}`);
    else assert.match(found!, said);
  }
});

test("the time of the election stays, and the local one stands behind it", () => {
  const { document } = parseHTML(
    `<!doctype html><html lang="en" data-local-time="${SENTENCE}"><body>
    <p>It closes on <time datetime="2027-05-31T12:00:00+00:00">12:00 (UTC)</time>.</p>
    <time>noon</time></body></html>`,
  );
  Object.assign(globalThis, { document });
  inZone("Asia/Jakarta", () => addLocalTimes(document));
  assert.equal(document.querySelector("p")!.textContent, "It closes on 12:00 (UTC) = 19:00 (UTC+07:00).");
  assert.equal(document.querySelectorAll(".local-time").length, 1);
});
