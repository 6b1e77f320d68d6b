/** What a voter picks in one contest, and the rules for it. */
import type { Contest } from "../lib/definition.ts";

/** The choices in one contest, in order. `blank`: the voter said that none is meant. */
export interface Pick {
  choices: string[];
  blank: boolean;
}

export const NOTHING: Pick = { choices: [], blank: false };

/** How a contest is answered: one of a list, several of it, or names in an order. */
export type Manner = "one" | "several" | "ranked";

const RANKED = ["instant-runoff", "stv", "schulze"];

export function mannerOf(contest: Contest): Manner {
  if (contest.max === 1) return "one";
  return RANKED.includes(contest.method) ? "ranked" : "several";
}

/** A pick with a name more or less; null where no more names fit. */
export function toggled(contest: Contest, pick: Pick, name: string): Pick | null {
  if (pick.choices.includes(name)) return { choices: pick.choices.filter((each) => each !== name), blank: false };
  if (mannerOf(contest) === "one") return { choices: [name], blank: false };
  if (pick.choices.length >= contest.max) return null;
  return { choices: [...pick.choices, name], blank: false };
}

/** A pick with a name moved by so many places. */
export function moved(pick: Pick, name: string, by: number): Pick {
  const from = pick.choices.indexOf(name);
  const to = from + by;
  if (from < 0 || to < 0 || to >= pick.choices.length) return pick;
  const choices = pick.choices.filter((each) => each !== name);
  choices.splice(to, 0, name);
  return { choices, blank: false };
}

/** Why a pick is no answer yet; null if it is one. */
export function missing(contest: Contest, pick: Pick): "nothing" | "too-few" | null {
  if (pick.choices.length === 0) return pick.blank && contest.blank ? null : "nothing";
  return pick.choices.length < contest.min ? "too-few" : null;
}

/** How many more names a voter could have chosen where that is worth a note: never in an order. */
export function unused(contest: Contest, pick: Pick): number {
  const all = contest.max === contest.candidates.length;
  if (pick.blank || all || mannerOf(contest) === "ranked") return 0;
  return contest.max - pick.choices.length;
}

/** The name of the sentence that says how many to choose. */
export function howMany(contest: Contest): "one" | "any" | "exactly" | "upTo" | "between" | "order" | "orderUpTo" {
  const all = contest.max >= contest.candidates.length;
  const manner = mannerOf(contest);
  if (manner === "one") return "one";
  if (manner === "ranked") return all ? "order" : "orderUpTo";
  if (contest.min === contest.max) return "exactly";
  if (contest.min > 1) return "between";
  return all ? "any" : "upTo";
}
