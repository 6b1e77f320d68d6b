/** What is next for the trustee: one thing at a time. */
import { fileName } from "../secret/ceremony/bulletin.ts";
import { ceremonyNumber, recoveryCards } from "./cards.ts";
import type { Desk, WrongCard } from "./desk.ts";
import { type Child, button, element, field, part, save, told } from "./dom.ts";
import type { SentenceName, Words } from "./words.ts";

/** What a trustee can do on the page. */
export interface Acts {
  makeKey(): void;
  confirmCards(typed: string): void;
  typeCard(typed: string): void;
  showCards(): void;
  forget(): void;
}

/** What was wrong with what was typed last, and whether the cards are shown again. */
export interface Typed {
  wrongCard: WrongCard | null;
  wrongGroup: boolean;
  showsCards: boolean;
}

export function turnView(words: Words, desk: Desk, typed: Typed, acts: Acts): HTMLElement[] {
  switch (desk.turn) {
    case "begin":
      return [beginView(words, acts), cardField(words, desk, "type.begin", typed.wrongCard, acts)];
    case "cards":
      return [cardsView(words, typed, acts)];
    case "card": {
      const isRehearsal = desk.bulletin!.waiting()?.step === "rehearsal";
      const isMade = desk.bulletin!.keysOf(desk.place!) !== undefined;
      const why = isRehearsal ? "type.rehearsal" : isMade ? "type.step" : "type.begin";
      return [
        ...handInViews(words, desk),
        cardField(words, desk, why, typed.wrongCard, acts),
        ...kept(words, desk, typed, acts),
      ];
    }
    case "hand-in":
      return [...handInViews(words, desk), ...kept(words, desk, typed, acts)];
    case "wait":
      return [
        part(words.say("wait.title"), element("p", {}, words.say("wait.help"))),
        ...kept(words, desk, typed, acts),
      ];
    case "complete":
      return kept(words, desk, typed, acts);
    default:
      return [];
  }
}

const beginView = (words: Words, acts: Acts): HTMLElement =>
  part(
    words.say("begin.title"),
    element("p", {}, words.say("begin.help")),
    button(words.say("begin.button"), acts.makeKey, { class: "main" }),
    element("p", {}, words.say("begin.again")),
  );

function cardsView(words: Words, typed: Typed, acts: Acts): HTMLElement {
  const texts = { label: words.say("cards.confirm"), button: words.say("cards.confirmButton") };
  return part(
    words.say("cards.title"),
    element("p", {}, words.say("cards.help")),
    button(words.say("cards.print"), () => window.print(), { class: "main" }),
    field(texts, "last-group", acts.confirmCards, typed.wrongGroup ? words.say("cards.wrong") : null),
  );
}

/** The cards, at the end of the page: they alone are printed. */
export function cardsOf(words: Words, desk: Desk, { showsCards }: Typed): HTMLElement[] {
  const { bulletin, place, cardGroups: groups } = desk;
  if (bulletin === null || place === null || groups === null) return [];
  return desk.turn === "cards" || showsCards ? [recoveryCards(words, bulletin.draft, place, groups)] : [];
}

/** A field for the code of a card; `why` it is needed. */
export function cardField(
  words: Words,
  desk: Desk,
  why: SentenceName,
  wrong: WrongCard | null,
  acts: Pick<Acts, "typeCard">,
): HTMLElement {
  const texts = { label: words.say("type.label"), hint: words.say("type.hint"), button: words.say("type.button") };
  return part(
    words.say("type.title"),
    told(words, why, { digest: ceremonyNumber(desk.bulletin!.draft) }),
    field(texts, "card-code", acts.typeCard, wrongCard(words, desk, wrong)),
  );
}

function wrongCard(words: Words, desk: Desk, wrong: WrongCard | null): Child {
  switch (wrong?.kind) {
    case "length":
      return words.say("type.length", { length: wrong.length });
    case "group":
      return words.say("type.group", { group: wrong.group, text: wrong.text });
    case "other":
      return told(words, "type.other", { name: desk.name }, "span");
    default:
      return null;
  }
}

function handInViews(words: Words, desk: Desk): HTMLElement[] {
  const { made } = desk;
  if (made.length === 0) return [];
  const title = made.length === 1 ? words.say("handIn.title") : words.say("handIn.title.many", { count: made.length });
  const files = made.map((record) => {
    const name = fileName(record);
    const act = () => {
      save(name, record.text);
      desk.noteSaved(record);
    };
    return element("p", {}, button(words.say("handIn.button", { file: name }), act, { class: "main" }));
  });
  const worked = made.some((record) => record.step === "rehearsal");
  const isLast = worked || desk.bulletin!.waiting() === null;
  return [
    part(
      title,
      worked ? element("p", { class: "good" }, words.say("handIn.works")) : null,
      element("p", {}, words.say("handIn.help")),
      ...files,
      isLast ? null : told(words, "handIn.next"),
    ),
  ];
}

/** Where the key is in memory: its cards again, and a button that forgets it. */
function kept(words: Words, desk: Desk, typed: Typed, acts: Acts): HTMLElement[] {
  if (desk.key === null) return [];
  const again = button(words.say("cards.show"), acts.showCards);
  const print = button(words.say("cards.print"), () => window.print());
  return [
    element("div", { class: "acts" }, typed.showsCards ? print : again, button(words.say("forget"), acts.forget)),
  ];
}
