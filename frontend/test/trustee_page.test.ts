/** The trustees' page on a document: whose share it offers, and names that others wrote. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseHTML } from "linkedom";
import type { Election } from "../src/trustee/count_view.ts";
import { Desk } from "../src/trustee/desk.ts";
import { TrusteePage } from "../src/trustee/page.ts";
import { cardField } from "../src/trustee/turn_view.ts";
import { wordsOf } from "../src/trustee/words.ts";
import { repositoryJson } from "./corpus.ts";
import { streamOf } from "./secret_parts.ts";
import { utf8 } from "../src/lib/index.ts";

interface Ceremony {
  draft: string;
  codes: string[];
  records: { file: string; text: string }[];
}
const [ceremony] = repositoryJson<{ ceremonies: Ceremony[] }>("tests/vectors/ceremony.json").ceremonies as [Ceremony];

const { document, window } = parseHTML(`<!doctype html><html><head><title></title></head><body></body></html>`);
// A browser chooses the option; linkedom's select has no such setter.
Object.defineProperty(window.HTMLSelectElement.prototype, "value", { value: "", writable: true });
Object.assign(globalThis, { document, window, Node: window.Node, HTMLElement: window.HTMLElement });

/** What a reader does on the page. */
interface Handled {
  take(files: File[]): void;
  choose(place: number): void;
  acts: { typeCard(typed: string): void; decrypt(): void; forget(): void };
  election: Election;
  queue: Promise<void>;
}

const counted = { title: "Board", networkId: "ab", voters: 3, nodes: [], weighted: false, votes: 2 };

/** A page on which the first trustee has decrypted the count. */
async function decrypted(): Promise<Handled> {
  const page = new TrusteePage(document.createElement("div"), "en") as unknown as Handled;
  page.take([
    new File([ceremony.draft], "draft.json"),
    ...ceremony.records.map(({ file, text }) => new File([text], file)),
  ]);
  page.choose(1);
  await page.queue;
  const count = { ...counted, share: () => "a share" };
  page.election = { own: count, count, share: null };
  page.acts.typeCard(ceremony.codes[0]!);
  page.acts.decrypt();
  await page.queue;
  assert.equal(page.election.share, "a share");
  return page;
}

test("the share of one trustee is not offered under the name of another", async () => {
  const page = await decrypted();
  page.choose(2);
  await page.queue;
  assert.deepEqual([page.election.share, page.election.count?.votes], [null, 2]);
});

test("the share is forgotten with the key", async () => {
  const page = await decrypted();
  page.acts.forget();
  await page.queue;
  assert.deepEqual([page.election.share, page.election.count?.votes], [null, 2]);
});

test("a trustee's name is set apart where a card is not that of the trustee", () => {
  const desk = new Desk(streamOf("page"));
  desk.take([{ name: "draft.json", raw: utf8(ceremony.draft) }]);
  desk.choose(1);
  for (const language of ["en", "id"] as const) {
    const view = cardField(wordsOf(language), desk, "type.begin", { kind: "other" }, { typeCard: () => undefined });
    assert.equal(view.querySelector("#card-code-wrong bdi")?.textContent, desk.name);
  }
});
