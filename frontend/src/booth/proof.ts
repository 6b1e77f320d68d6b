/** Checks what the server says against what named nodes have signed. */
import { InForce } from "../lib/amendment.ts";
import { toHex, utf8 } from "../lib/bytes.ts";
import type { Election } from "../lib/definition.ts";
import { Fault } from "../lib/fault.ts";
import { canonicalText, parseRecord } from "../lib/json.ts";
import { judgeReceipt, receipt } from "../lib/receipt.ts";
import { acceptance, isAccepted, isInTime } from "../lib/statement.ts";
import { type Vote, checkVote, checkVoteSignature, vote, voteId } from "../lib/vote.ts";

/** The server said what no node has signed. `what` is a name of the catalogue. */
export class Contradiction extends Error {
  constructor(
    readonly what: "network" | "change" | "received" | "receipt" | "other-vote" | "changed",
    readonly detail = "",
  ) {
    super(`${what}: ${detail}`);
    this.name = "Contradiction";
  }
}

export interface SignedVote {
  vote: Vote;
  /** The canonical record: what is sent. */
  record: string;
  id: string;
}

export function signedVote(one: Vote): SignedVote {
  return { vote: one, record: canonicalText(one), id: toHex(voteId(one)) };
}

/** A vote out of its record, as it was kept. */
export const readVote = (record: string): SignedVote => signedVote(parseRecord(utf8(record), vote));

/** The names of the nodes whose acceptances hold. Throws where the server names one that has not signed. */
export function provenAcceptances(
  answer: { acceptances: unknown[]; received_by: string[] },
  id: string,
  election: Election,
  force: InForce,
): string[] {
  const proven = new Set<number>();
  for (const one of answer.acceptances) {
    if (!holds(one, id, election, force)) throw new Contradiction("received", "bad-acceptance");
    proven.add((one as { node: number }).node);
  }
  const names = election.names([...proven].sort((left, right) => left - right));
  const unproven = answer.received_by.filter((name) => !names.includes(name));
  if (unproven.length > 0 && election.named) throw new Contradiction("received", unproven.join(", "));
  return names;
}

function holds(one: unknown, id: string, election: Election, force: InForce): boolean {
  try {
    const checked = acceptance(one as never);
    const hash = Uint8Array.from(id.match(/../g)!, (digits) => Number.parseInt(digits, 16));
    return isAccepted(checked, hash, election) && isInTime(checked, force.closes);
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}

export interface Proven {
  finality: "final" | "received" | "chain";
  signedBy: string[];
  height: number | null;
}

/**
 * What a receipt file proves about this very vote. Throws where it does not hold. Null for a receipt of another vote of
 * the same voter, and for one of a cancelled election: the authority has signed that.
 */
export function provenReceipt(file: string, own: SignedVote, election: Election, now: number): Proven | null {
  let found;
  try {
    found = judgeReceipt(parseRecord(utf8(file.replace(/\n$/, "")), receipt), { now, network: election.networkHex });
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === "cancelled") return null;
    throw new Contradiction("receipt", error.code);
  }
  if (found.vote.voter_id !== own.vote.voter_id) throw new Contradiction("other-vote", found.voteId);
  if (found.voteId !== own.id) return null;
  return { finality: found.finality, signedBy: found.signedBy, height: found.block?.height ?? null };
}

/** The vote of a voter as a node showed it: with the id that it named, signed, with choices that this election has. */
export function checkFound(shown: unknown, voterId: string, id: string | null, election: Election): SignedVote {
  try {
    const found = vote(shown as never);
    checkVote(found, election, new InForce(election), false);
    checkVoteSignature(found);
    const signed = signedVote(found);
    if (found.voter_id !== voterId || signed.id !== id) throw new Contradiction("other-vote", signed.id);
    return signed;
  } catch (error) {
    if (error instanceof Fault) throw new Contradiction("changed", error.code);
    throw error;
  }
}

/** A vote as a node showed it: that of this voter and election, or a contradiction. */
export function checkReadBack(shown: unknown, own: SignedVote): Vote {
  let found: Vote;
  try {
    found = vote(shown as never);
  } catch (error) {
    if (error instanceof Fault) throw new Contradiction("changed", error.code);
    throw error;
  }
  if (canonicalText(found) !== own.record) throw new Contradiction("changed", toHex(voteId(found)));
  return found;
}
