/** The screens of the booth, and what a reload of the page brings back. */
import type { Pick } from "./choices.ts";
import type { FirstVote } from "./caster.ts";
import type { Contradiction } from "./proof.ts";
import type { Places, SentenceName } from "./words.ts";

/** A sentence that stands in the screen, and is read out. */
export interface Notice {
  name: SentenceName;
  places: Places;
}

/** What the server said that no signature bears out. */
export interface Lie {
  what: Contradiction["what"];
  detail: string;
}

export type Screen =
  | { kind: "loading" | "code" | "id" | "welcome" | "review" | "casting" | "after" }
  | { kind: "contest"; index: number }
  /** A ballot was tested: it is never cast. */
  | { kind: "tested"; file: string; fingerprint: string }
  /** A vote of this voter is there. `otherTab`: another tab of this browser cast it; `unlike`: not the one signed here. */
  | { kind: "used"; first: FirstVote; otherTab: boolean; unlike: boolean }
  | { kind: "before" | "closed" }
  /** `proven`: the authority's signature was checked here; else it is the word of the server. */
  | { kind: "cancelled"; proven: boolean }
  | { kind: "unreachable" | "defect" }
  /** `kept`: it may be counted later, and is sent again. */
  | { kind: "refused"; code: string; kept: boolean }
  | ({ kind: "lie" } & Lie);

export type Step =
  "loading" | "identity" | "contest" | "review" | "tested" | "casting" | "received" | "final" | "error";

/** The screens on which a vote is still to be cast. */
export const isBallot = (screen: Screen): boolean =>
  ["code", "id", "welcome", "contest", "review", "tested"].includes(screen.kind);

export interface Voter {
  id: string;
  weight: number;
  /** Of the voter's key, in hexadecimal. */
  seed: string;
  /** What encrypts a secret ballot; empty in elections with public ones. */
  code: string;
  /** The public key, in hexadecimal. */
  key: string;
}

/** What is kept for a reload of the tab. */
export interface Session {
  network: string;
  voter: Voter;
  picks: readonly Pick[];
  screen: { kind: "welcome" | "review" } | { kind: "contest"; index: number };
  /** The record that was cast. */
  cast: string | null;
}

export function readSession(text: string | null, network: string): Session | null {
  if (text === null) return null;
  try {
    const found = JSON.parse(text) as Session;
    return found.network === network ? found : null;
  } catch {
    return null;
  }
}
