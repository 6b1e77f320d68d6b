/** The built page as a reader uses it: files are chosen, the language is changed, a network id is typed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseHTML } from "linkedom";
import { type Corpus, corpusBytes, corpusJson, withoutCorpus } from "./corpus.ts";

const html = readFileSync(join(process.env["FRONTEND"]!, "../src/votenet/web/static/verify.html"), "utf8");

/** The page, started: its script runs with what a browser gives it. */
function opened() {
  const { document, window } = parseHTML(html);
  const script = document.querySelector("script")!.textContent!;
  const run = new Function("document", "navigator", "Node", script) as (...given: unknown[]) => void;
  run(document, { languages: ["en"] }, window.Node);
  const event = (name: string) => new window.Event(name, { bubbles: true });
  return {
    text: () => document.querySelector("#page")!.textContent!,
    lang: () => document.documentElement.lang,
    choose(...files: File[]) {
      const input = document.querySelector("#files")!;
      Object.defineProperty(input, "files", { value: files, configurable: true });
      input.dispatchEvent(event("change"));
    },
    press(selector: string) {
      document.querySelector(selector)!.dispatchEvent(event("click"));
    },
    type(network: string) {
      const input = document.querySelector("#network") as unknown as {
        value: string;
        dispatchEvent(event: unknown): void;
      };
      input.value = network;
      input.dispatchEvent(event("change"));
    },
    drop(...files: File[]) {
      const dropped = event("drop");
      Object.defineProperty(dropped, "dataTransfer", { value: { files } });
      document.dispatchEvent(dropped);
      return dropped.defaultPrevented;
    },
  };
}

type Page = ReturnType<typeof opened>;

/** Waits until the page says something; the signal of the test ends the wait. */
async function until(page: Page, pattern: RegExp, signal: AbortSignal): Promise<void> {
  while (!pattern.test(page.text())) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function corpusFile(name: string, as: string): File {
  const one = corpusJson<Corpus>("cases.json").cases.find((each) => each.name === name)!;
  return new File([corpusBytes(one.data)], as);
}

const timeout = 600_000;
const skip = withoutCorpus;

test("a receipt is chosen, in two languages", { skip, timeout }, async ({ signal }) => {
  const page = opened();
  assert.match(page.text(), /Check a receipt or a result/);
  page.choose(corpusFile("named-receipt-good/final", "receipt.json"));
  await until(page, /This file holds.*The vote is final\. 4 of 5 named nodes/s, signal);
  page.press("button[lang=id]");
  await until(page, /Berkas ini benar.*Suara ini final\./s, signal);
  assert.equal(page.lang(), "id");
});

test("a network id is compared", { skip, timeout }, async ({ signal }) => {
  const page = opened();
  page.choose(corpusFile("named-receipt-good/final", "receipt.json"));
  await until(page, /Compare this one with the id that the organisers published/, signal);
  page.type("ab".repeat(32));
  await until(page, /does not hold.*network-mismatch/s, signal);
  page.type("abc");
  await until(page, /A network id has 64 characters/, signal);
});

test("a broken archive is dropped", { skip, timeout }, async ({ signal }) => {
  const page = opened();
  assert.ok(page.drop(corpusFile("archive/choice-flipped", "election.jsonl")));
  await until(page, /This file does not hold.*bad-merkle-root.*line 5/s, signal);
});

test("an archive is counted again", { skip, timeout }, async ({ signal }) => {
  const page = opened();
  page.choose(corpusFile("good/archive.gz", "election.jsonl.gz"));
  await until(page, /This file holds.*its result is never final.*Ahead so far.*Rounds.*Round 1/s, signal);
});
