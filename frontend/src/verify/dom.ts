/** Elements of a page, made without markup in texts. */
import { shown } from "../lib/index.ts";
import type { Places, SentenceName, Words } from "./words.ts";

export type Child = Node | string | null;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** A text that somebody else wrote: it cannot turn the direction of the text around it, or hide. */
export const foreign = (text: string): HTMLElement => element("bdi", {}, shown(text));

/** A sentence in which what stands in its places is set apart. */
export function sentence(words: Words, name: SentenceName, places: Places = {}): HTMLElement {
  const parts = words.pieces(name, places).map(({ text, isPlace }) => (isPlace ? foreign(text) : text));
  return element("p", {}, ...parts);
}

/** Terms and what they stand for; those without a value are left out. */
export function facts(pairs: [string, Child][]): HTMLElement {
  const rows = pairs.filter(([, value]) => value !== null && value !== "");
  return element(
    "dl",
    {},
    ...rows.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value))),
  );
}

/** A table with a caption; the first cell of each row is its heading. */
export function table(caption: string, heads: Child[], rows: Child[][]): HTMLElement {
  const head = element("tr", {}, ...heads.map((each) => element("th", { scope: "col" }, each)));
  const body = rows.map(([first, ...rest]) =>
    element("tr", {}, element("th", { scope: "row" }, first ?? ""), ...rest.map((each) => element("td", {}, each))),
  );
  const made = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, head),
    element("tbody", {}, ...body),
  );
  return element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption }, made);
}
