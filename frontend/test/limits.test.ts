/** The tables of docs/audit.md and this library name the same limits and characters. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as votenet from "../src/lib/index.ts";
import en from "../src/catalogue/en.json";
import id from "../src/catalogue/id.json";

const read = (name: string) => readFileSync(join(process.env["FRONTEND"]!, "../docs", name), "utf8");
const [audit, secret] = [read("audit.md"), read("secret-ballots.md")];

/** Name to the other cells of a row, out of the tables under a heading; a row may have several names. */
function rows(heading: string, page = audit): Map<string, string[]> {
  const part = page.split(`${heading}\n`)[1]!.split("\n#")[0]!;
  const found = part.split("\n").filter((line) => line.startsWith("| `"));
  const cells = found.map((line) =>
    line
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) => cell.trim()),
  );
  return new Map(
    cells.flatMap(([names, ...rest]) => names!.split(", ").map((name) => [name.replaceAll("`", ""), rest] as const)),
  );
}

test("limits are those of the page", () => {
  const own = votenet.limits as Record<string, unknown>;
  const table = rows("### Limits");
  for (const [name, [value]] of table) {
    const quoted = [...value!.matchAll(/`([^`]*)`/g)].map((found) => found[1]!.replaceAll("\\n", "\n"));
    const expected = quoted.length > 1 ? quoted : (quoted[0] ?? value!.replaceAll(",", ""));
    const ours = own[name];
    assert.deepEqual(Array.isArray(ours) ? [...ours] : String(ours), expected, name);
  }
  assert.deepEqual(new Set(Object.keys(own)), new Set(table.keys()));
});

test("characters are those of the page", () => {
  const own = votenet.CHARACTERS as Record<string, readonly (readonly [number, number])[]>;
  const table = rows("### Characters");
  const planes = Array.from(
    { length: 17 },
    (_, plane) => [plane * 0x10000 + 0xfffe, plane * 0x10000 + 0xffff] as const,
  );
  for (const [name, [cell]] of table) {
    const ranges = [...cell!.split(", and ")[0]!.matchAll(/U\+([0-9A-F]{4,6})(?:–([0-9A-F]{4,6}))?/g)].map(
      ([, first, last]) => [Number.parseInt(first!, 16), Number.parseInt(last ?? first!, 16)] as const,
    );
    const all = cell!.includes("of each of the 17 planes") ? [...ranges, ...planes] : ranges;
    assert.deepEqual(own[name]!.map(String), all.map(String), name);
  }
  assert.deepEqual(new Set(Object.keys(own)), new Set(table.keys()));
});

test("each code of the pages is explained in both languages", () => {
  const codes = new Map([...rows("## Codes"), ...rows("## Votes", secret)]);
  const notOfFiles = ["bad-key", "bad-tile", "witness-refused", "abandoned"];
  const rolls = ["bad-roll", "roll-missing", "roll-mismatch", "roll-not-used"];
  const expected = [...codes.keys()]
    .filter((code) => !notOfFiles.includes(code))
    .concat(rolls)
    .sort();
  for (const catalogue of [en, id]) assert.deepEqual(Object.keys(catalogue.codes).sort(), expected);
});

test("both catalogues have the same sentences with the same places", () => {
  const flat = (value: unknown, path = ""): [string, string[]][] =>
    typeof value === "string"
      ? [[path, [...value.matchAll(/\{(\w+)\}/g)].map((found) => found[1]!).sort()]]
      : Object.entries(value as object).flatMap(([name, each]) => flat(each, `${path}.${name}`));
  assert.deepEqual(flat(en).sort(), flat(id).sort());
});
