/** The trustee's part after the ceremony: the check of the election, and the share of the count. */
import type { OwnCount, OwnElection } from "./counting.ts";
import type { Desk, WrongCard } from "./desk.ts";
import { button, element, part, save, told } from "./dom.ts";
import { cardField } from "./turn_view.ts";
import type { Words } from "./words.ts";

/** What a page has of the election. */
export interface Election {
  own: OwnElection | null;
  count: OwnCount | null;
  share: string | null;
}

interface Acts {
  typeCard(typed: string): void;
  decrypt(): void;
}

export function electionView(
  words: Words,
  desk: Desk,
  held: Election,
  wrong: WrongCard | null,
  acts: Acts,
): HTMLElement[] {
  const { own, count, share } = held;
  if (share !== null) return [shareView(words, desk.place!, share)];
  if (count !== null) return [countView(words, count), actView(words, desk, wrong, acts)];
  if (own !== null) return [ownView(words, own)];
  return [
    part(
      words.say("count.title"),
      element("p", {}, words.say("count.before")),
      element("p", {}, words.say("count.after")),
    ),
  ];
}

const network = (words: Words, { networkId }: OwnElection): HTMLElement[] => [
  element("p", {}, words.say("own.network")),
  element("p", {}, element("code", {}, networkId)),
];

const ownView = (words: Words, own: OwnElection): HTMLElement =>
  part(
    words.say("own.title"),
    told(words, "own.help", { title: own.title, voters: own.voters, nodes: words.list(own.nodes) }),
    own.weighted ? element("p", { class: "wrong" }, words.say("own.weights")) : null,
    ...network(words, own),
  );

const countView = (words: Words, count: OwnCount): HTMLElement =>
  part(
    words.say("count.checked"),
    told(words, "count.votes", { title: count.title, votes: count.votes }),
    ...network(words, count),
    element("p", { class: "wrong" }, words.say("count.once")),
  );

function actView(words: Words, desk: Desk, wrong: WrongCard | null, acts: Acts): HTMLElement {
  if (desk.key === null) return cardField(words, desk, "type.count", wrong, acts);
  return part(words.say("count.act"), button(words.say("count.button"), acts.decrypt, { class: "main" }));
}

function shareView(words: Words, place: number, share: string): HTMLElement {
  const file = `share-${place}.json`;
  return part(
    words.say("share.title"),
    element("p", {}, words.say("share.help")),
    button(words.say("handIn.button", { file }), () => save(file, `${share}\n`), { class: "main" }),
    element("p", {}, words.say("share.next")),
    element("code", {}, `votenet trustee submit ${file}`),
  );
}
