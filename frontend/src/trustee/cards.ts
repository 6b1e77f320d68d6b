/** The two recovery cards of a trustee, to print: the same as those of the command. */
import type { Draft } from "../secret/ceremony/draft.ts";
import { nameOf } from "../secret/ceremony/draft.ts";
import { element, foreign, told } from "./dom.ts";
import type { Words } from "./words.ts";

/** What it means that trustees lose their keys. */
export function costOfLoss(words: Words, { threshold, trustees }: Draft): string {
  const [size, spare] = [trustees.length, trustees.length - threshold];
  if (spare === 0) return words.say("needed.all", { size });
  return words.say(spare === 1 ? "needed.one" : "needed.some", { threshold, size, spare });
}

export const ceremonyNumber = (draft: Draft): string => draft.digest.slice(0, 16);

export function recoveryCards(words: Words, draft: Draft, place: number, groups: readonly string[]): HTMLElement {
  const { threshold, trustees } = draft;
  const half = groups.length / 2;
  const line = (some: readonly string[]) => some.join("-");
  const card = (number: number) =>
    element(
      "section",
      { class: "card", "aria-label": words.say("card.number", { number }) },
      element("p", { class: "card-title" }, words.say("card.number", { number })),
      element("p", {}, foreign(draft.name)),
      told(words, "card.trustee", { place, size: trustees.length, name: nameOf(draft, place) }),
      element(
        "p",
        { class: "code" },
        element("span", {}, `${line(groups.slice(0, half))}-`),
        element("span", {}, line(groups.slice(half))),
      ),
      element("p", {}, words.say("card.text", { threshold })),
      element("p", {}, `${costOfLoss(words, draft)} ${words.say("card.lost")}`),
      element("p", {}, words.say("ceremony", { digest: ceremonyNumber(draft) })),
    );
  return element("div", { class: "cards" }, card(1), card(2));
}
