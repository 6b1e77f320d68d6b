/** The count of a contest on the page: tables, rounds, and a sentence for each. */
import type { Contest, ContestCount, Counted, Round } from "../lib/index.ts";
import { type Child, element, facts, foreign, sentence, table } from "./dom.ts";
import type { Words } from "./words.ts";

/** At most so many counts of rounds are shown for a contest, the latest. */
const MOST_COUNTS = 2000;
const MOST_IN_MATRIX = 40;
const RANKED = ["instant-runoff", "stv", "schulze"];

type Told = Omit<Counted, "state"> & { state: string };

export function contestView(
  words: Words,
  contest: Contest,
  counted: Told,
  rest: Omit<ContestCount, "counted"> | null,
  { final, isSecret }: { final: boolean; isSecret: boolean },
): HTMLElement {
  const { say } = words;
  const votes = RANKED.includes(contest.method) ? say("count.firstChoices") : say("count.votes");
  const rows = counted.counts.map(([name, number]): Child[] => [
    foreign(name),
    words.number(number),
    words.share(number, counted.weight),
  ]);
  const places = { votes: words.number(counted.votes), blank: words.number(counted.blank) };
  return element(
    "section",
    {},
    element("h3", {}, foreign(contest.title)),
    contest.description === "" ? null : element("p", {}, foreign(contest.description)),
    element("p", { class: "quiet" }, say(`method.${contest.method}`)),
    outcome(words, counted, final),
    rows.length === 0 ? null : table(contest.title, [say("count.candidate"), votes, say("count.share")], rows),
    element("p", {}, say(isBlankWeighed(counted, isSecret) ? "count.ballotsWeighed" : "count.ballots", places)),
    counted.weight === counted.votes
      ? null
      : element("p", {}, say("count.weight", { weight: words.number(counted.weight) })),
    counted.quota === "" ? null : element("p", {}, say("count.quota", { quota: words.number(BigInt(counted.quota)) })),
    conditions(words, counted),
    rest === null ? null : roundsView(words, rest.rounds, final),
    rest === null ? null : matrixView(words, contest, rest.matrix),
  );
}

/** Whether `blank` is a weight: sums of secret ballots do not tell how many of them are blank. */
const isBlankWeighed = ({ blank, counts, votes, weight }: Told, isSecret: boolean): boolean =>
  isSecret && weight !== votes && blank > 0 && counts.some(([, number]) => number > 0);

function outcome(words: Words, counted: Told, final: boolean): HTMLElement {
  const state = counted.state as Counted["state"];
  const places = { names: words.list(counted.winners), tied: words.list(counted.tied) };
  const made = sentence(words, final ? `state.${state}` : `soFar.${state}`, places);
  made.className = "outcome";
  return made;
}

function conditions(words: Words, counted: Told): HTMLElement | null {
  if (counted.conditions.length === 0) return null;
  return facts(
    counted.conditions.map((each) => {
      const places = { needed: words.number(each.needed), got: words.number(each.got) };
      const met = words.say(each.met ? "count.met" : "count.missed");
      return [words.say(`count.${each.name}`), `${met}: ${words.say("count.needed", places)}`];
    }),
  );
}

function roundsView(words: Words, rounds: readonly Round[], final: boolean): HTMLElement | null {
  if (rounds.length < 2) return null;
  let room = MOST_COUNTS;
  const shown = rounds.filter((_, at) => {
    room -= rounds[rounds.length - 1 - at]!.votes.length;
    return room >= 0;
  }).length;
  const first = Math.max(0, rounds.length - Math.max(1, shown));
  const told = rounds.slice(first);
  const names = told[0]!.votes.map(([name]) => name);
  const votes = told.map((round) => new Map(round.votes));
  const rows = names.map((name): Child[] => [foreign(name), ...votes.map((each) => decimal(words, each.get(name)))]);
  const number = (at: number) => words.number(first + at + 1);
  const heads = [
    words.say("count.candidate"),
    ...told.map((_, at) => words.say("count.round", { number: number(at) })),
  ];
  return element(
    "div",
    {},
    table(words.say("count.rounds"), heads, rows),
    first === 0 ? null : element("p", {}, words.say("count.leftOut", { count: words.number(first) })),
    ...told.flatMap((round, at) => roundSentences(words, round, number(at), final)),
  );
}

function roundSentences(words: Words, round: Round, number: string, final: boolean): HTMLElement[] {
  const made: HTMLElement[] = [];
  const names = (list: readonly string[]) => ({ number, names: words.list(list) });
  if (round.elected.length > 0)
    made.push(sentence(words, final ? "count.elected" : "count.reached", names(round.elected)));
  if (round.handedOn.length > 0) made.push(sentence(words, "count.handedOn", names(round.handedOn)));
  return made;
}

/** Votes that the library writes as decimal text, in the reader's digits; empty for a candidate who is out. */
function decimal(words: Words, votes: string | undefined): string {
  if (votes === undefined) return "";
  const [whole, parts] = votes.split(".") as [string, string?];
  const point = (1.5).toLocaleString(words.language).charAt(1);
  return words.number(BigInt(whole)) + (parts === undefined || /^0*$/.test(parts) ? "" : point + parts);
}

function matrixView(words: Words, contest: Contest, matrix: readonly bigint[][]): HTMLElement | null {
  if (matrix.length === 0 || matrix.length > MOST_IN_MATRIX) return null;
  const names = contest.candidates.map(({ name }) => name);
  const rows = matrix.map((row, one): Child[] => [
    foreign(names[one]!),
    ...row.map((votes, other) => (one === other ? "" : words.number(votes))),
  ]);
  return table(words.say("count.matrix"), [words.say("count.candidate"), ...names.map(foreign)], rows);
}
