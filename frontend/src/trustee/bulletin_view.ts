/** Where a ceremony stands, for the trustee. */
import type { Fault } from "../lib/fault.ts";
import { type Bulletin, STEPS, fileName } from "../secret/ceremony/bulletin.ts";
import { nameOf } from "../secret/ceremony/draft.ts";
import { ceremonyNumber, costOfLoss } from "./cards.ts";
import { element, facts, foreign, part, told } from "./dom.ts";
import type { Words } from "./words.ts";

/** Codes of files that are broken, whatever the document is. */
const DAMAGED = ["bad-document", "not-canonical", "bad-point", "bad-scalar", "bad-credential", "not-json"];

/** The sentence for the code of a fault. */
export function sentenceOf(words: Words, code: string): string {
  if (DAMAGED.includes(code)) return words.say("codes.damaged");
  const own = `codes.${code}`;
  return words.has(own) ? words.say(own) : words.verifierCode(code) || words.say("codes.other");
}

/** What is wrong: the sentence, and what the program says. */
export const faultView = (words: Words, { code, where }: Fault): HTMLElement =>
  element(
    "div",
    { class: "fault" },
    element("p", {}, sentenceOf(words, code)),
    element("p", { class: "quiet" }, foreign(where)),
    told(words, "fault.code", { code }),
  );

export function bulletinView(words: Words, bulletin: Bulletin): HTMLElement[] {
  const { draft } = bulletin;
  const steps = STEPS.map((step): [string, string | HTMLElement] => {
    const done = bulletin.ofStep(step).map(({ place }) => nameOf(draft, place));
    return [words.say(`step.${step}`), done.length === 0 ? words.say("nobody") : foreign(words.list(done))];
  });
  const waiting = bulletin.equivocations.length > 0 ? null : bulletin.waiting();
  const names = waiting?.places.map((place) => nameOf(draft, place)) ?? [];
  const status = part(
    foreign(draft.name),
    element("p", {}, costOfLoss(words, draft)),
    element("p", { class: "quiet" }, words.say("ceremony", { digest: ceremonyNumber(draft) })),
    element("h3", {}, words.say("stepsTitle")),
    facts(steps),
    waiting && told(words, "waiting", { names: words.list(names) }),
  );
  return [status, ...endedView(words, bulletin), ...refusedView(words, bulletin), ...spokenView(words, bulletin)];
}

function endedView(words: Words, bulletin: Bulletin): HTMLElement[] {
  if (bulletin.equivocations.length === 0) return [];
  const ended = bulletin.equivocations.map(({ place, step, records: [first, second] }) =>
    told(words, "ended", {
      name: nameOf(bulletin.draft, place),
      step: words.say(`step.${step}`),
      first: fileName(first),
      second: fileName(second),
    }),
  );
  const made = part(words.say("endedTitle"), ...ended);
  made.className = "bad";
  return [made];
}

function refusedView(words: Words, { refused }: Bulletin): HTMLElement[] {
  if (refused.length === 0) return [];
  const items = refused.map(({ source, fault }) => {
    const item = told(words, "refused", { file: source, why: sentenceOf(words, fault.code) }, "li");
    item.append(element("p", { class: "quiet" }, foreign(`${fault.where} [${fault.code}]`)));
    return item;
  });
  return [part(words.say("refusedTitle"), element("ul", {}, ...items))];
}

function spokenView(words: Words, bulletin: Bulletin): HTMLElement[] {
  if (!bulletin.isWhole("key") || bulletin.equivocations.length > 0) return [];
  const numbers = element("p", { class: "spoken" }, bulletin.spoken());
  return [part(words.say("spokenTitle"), numbers, element("p", {}, words.say("spoken")))];
}
