/** What the views share: the booth, its words, and what cannot be said in a template. */
import { type TemplateResult, html, nothing } from "lit-html";
import type { Contest } from "../lib/definition.ts";
import type { Booth } from "./booth.ts";
import type { Kiosk } from "./kiosk.ts";
import { type Words, foreign } from "./words.ts";

export interface Scene {
  booth: Booth;
  words: Words;
  /** Null where each voter has a device. */
  kiosk: Kiosk | null;
  /** The name of the file that was kept; null before. */
  kept: string | null;
  /** Hands a file to the browser to keep. */
  keepFile(name: string, text: string): void;
}

export type View = TemplateResult;

/** The heading of a screen; it gets the focus when the screen comes. */
export const heading = (...parts: unknown[]): View => html`<h1 id="booth-title" tabindex="-1">${parts}</h1>`;

/** The sentence that stands in a screen and was read out. */
export function notice({ booth, words }: Scene, id = "booth-notice"): View | typeof nothing {
  const { notice: found } = booth;
  if (found === null) return nothing;
  return html`<p class="booth-notice" id=${id}>${words.show(found.name, found.places)}</p>`;
}

/** The organisers' texts: blank lines divide paragraphs. */
export function paragraphs(text: string): View[] {
  const parts = text.split(/\n\s*\n/).filter((part) => part.trim() !== "");
  return parts.map((part) => html`<p class="booth-text">${foreign(part)}</p>`);
}

/** Who votes here, and the way back to the start. */
export function whoVotes(scene: Scene): View | typeof nothing {
  const { voter } = scene.booth;
  if (voter === null) return nothing;
  return html`<p class="booth-who">
    <span>${scene.words.show("youVoteAs", { name: voter.id })}</span>
    <button type="button" class="booth-link" @click=${() => scene.booth.startAgain()}>
      ${scene.words.say("notYou")}
    </button>
  </p>`;
}

/** What was chosen in a contest: a list in order where the order counts. */
export function chosen(words: Words, choices: readonly string[], isOrder: boolean): View {
  if (choices.length === 0) return html`<p class="booth-blank">${words.say("review.blank")}</p>`;
  const items = choices.map((choice) => html`<li>${foreign(choice)}</li>`);
  return isOrder
    ? html`<ol class="booth-chosen">
        ${items}
      </ol>`
    : html`<ul class="booth-chosen">
        ${items}
      </ul>`;
}

/** "Choose up to 2". */
export function howManyWords(words: Words, contest: Contest, name: string): string {
  return words.say(`contest.${name}` as "contest.one", { min: contest.min, max: contest.max });
}
