/**
 * Checks what a page of the election shows, with the code of verify.html.
 *
 * `#check` gets a place for files; its `data-network` is the id of the election. A section with `data-path` (a
 * `ShownPath` as JSON) gets a sentence that says whether the path holds.
 */
import { Checker } from "../verify/checker.ts";
import { element, sentence } from "../verify/dom.ts";
import { preferred, wordsOf } from "../verify/words.ts";
import style from "./check.css";
import { type ShownPath, faultOf } from "./path.ts";

const words = wordsOf(preferred([document.documentElement.lang]));
const sheet = new CSSStyleSheet();
sheet.replaceSync(style);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

const place = document.getElementById("check");
if (place !== null) {
  const network = place.dataset.network || null;
  const checker = new Checker(words, () => ({ network, anchor: network === null ? "none" : "page" }));
  place.replaceChildren(...checker.intake(), ...checker.outcome());
}

for (const section of document.querySelectorAll<HTMLElement>("section[data-path]")) {
  const said = element("div", { role: "status" });
  section.append(said);
  const fault = faultOf(JSON.parse(section.dataset.path!) as ShownPath);
  said.className = fault === null ? "path-holds" : "path-broken";
  said.append(sentence(words, fault === null ? "path.checked" : "path.broken", { why: fault?.where ?? "" }));
}
