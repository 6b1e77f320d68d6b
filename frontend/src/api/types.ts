/** What the pages' server answers. These are its words: what counts is checked with the library. */
import type { Acceptance, Amendment, Json, Vote } from "../lib/index.ts";

export type ElectionState = "before" | "open" | "closed" | "final" | "cancelled";

/** The small state: the answer of `state`, and the data of each event. */
export interface LiveState {
  network_id: string;
  state: ElectionState;
  opens: number | null;
  closes: number | null;
  height: number;
  final_height: number;
  named: number;
  nodes_up: number;
  /** Unix seconds of the server's clock. */
  at: number;
}

export interface ElectionAnswer {
  network_id: string;
  definition: Json;
  amendments: Amendment[];
  opens: number | null;
  closes: number | null;
  state: ElectionState;
}

export interface VoterAnswer {
  voter_id: string;
  weight: number;
  voted: boolean;
}

export interface CastAnswer {
  vote_id: string;
  voter_id: string;
  received_by: string[];
  received: number;
  of: number;
  acceptances: Acceptance[];
  node: string;
  state: string;
}

export interface VoteAnswer {
  voter_id: string;
  state: "unknown" | "received" | "in-block" | "final";
  vote_id: string | null;
  height: number | null;
  /** When it was signed, Unix seconds. */
  time: number | null;
  /** The record: while the vote is in no block, only where the node was asked to read it back. */
  vote: Vote | null;
  /** The address of the node that was asked. */
  node: string | null;
  signed_by: string[];
}

export interface EnrolmentAnswer {
  voter_id: string;
  state: "waiting" | "on-roll";
}

export interface NodeAnswer {
  address: string;
  name: string;
}
