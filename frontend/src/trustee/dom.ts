/** Parts of the trustees' page. */
import { shown } from "../lib/text.ts";
import { type Child, element } from "../verify/dom.ts";
import type { Places, SentenceName, Words } from "./words.ts";

export { type Child, element, facts, foreign } from "../verify/dom.ts";

/** A sentence in which what stands in its places is set apart: it cannot turn the direction of the text, or hide. */
export function told(
  words: Words,
  name: SentenceName,
  places: Places = {},
  tag: "p" | "li" | "h2" | "span" = "p",
): HTMLElement {
  const parts = words
    .pieces(name, places)
    .map(({ text, isPlace }) => (isPlace ? element("bdi", {}, shown(text)) : text));
  return element(tag, {}, ...parts);
}

export function button(text: string, act: () => void, attributes: Record<string, string> = {}): HTMLButtonElement {
  const made = element("button", { type: "button", ...attributes }, text);
  made.addEventListener("click", act);
  return made;
}

/** A part of the page with a heading, which can be given the focus. */
export const part = (heading: Child, ...children: Child[]): HTMLElement =>
  element("section", {}, element("h2", { tabindex: "-1" }, heading), ...children);

/** A form with one field. `wrong`: what is wrong with what was typed; `act` gets what is typed. */
export function field(
  texts: { label: string; hint?: string; button: string },
  id: string,
  act: (typed: string) => void,
  wrong: Child = null,
): HTMLElement {
  const input = element("input", {
    ...{ id, autocomplete: "off", autocapitalize: "characters", spellcheck: "false", maxlength: "200" },
    ...(wrong === null ? {} : { "aria-invalid": "true" }),
    "aria-describedby": `${id}-hint ${id}-wrong`,
  });
  const form = element(
    "form",
    {},
    element("label", { for: id }, texts.label),
    element("p", { class: "quiet", id: `${id}-hint` }, texts.hint ?? ""),
    input,
    element("p", { class: "wrong", id: `${id}-wrong`, role: "alert" }, wrong),
    element("button", { type: "submit" }, texts.button),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = input.value;
    input.value = "";
    act(typed);
  });
  return form;
}

/** Puts a file into the reader's downloads. */
export function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
