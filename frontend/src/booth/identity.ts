/** Who votes: a voting code, or in an open election a voter id, becomes a voter with a key. */
import { type Api, Refused } from "../api/client.ts";
import { hex, toHex } from "../lib/bytes.ts";
import { type Election, isSecret } from "../lib/definition.ts";
import { publicKey } from "../lib/keys.ts";
import { MAX_VOTER_ID } from "../lib/limits.ts";
import { codePoints, isName } from "../lib/text.ts";
import { groupsOf, readCode, seedOfCode } from "../lib/voting_code.ts";
import type { Vote } from "../lib/vote.ts";
import type { Voter } from "./screen.ts";
import type { Store } from "./store.ts";

export type Found =
  | { ok: true; voter: Voter; voted: boolean }
  /** The roll is not known to the server: the voter id is asked for, too. */
  | { ok: true; voter: null; seed: string; code: string }
  | { ok: false; fault: "length"; length: number }
  | { ok: false; fault: "group"; group: number; text: string }
  | { ok: false; fault: "unknown" };

/** The voter of a typed, pasted or scanned code. Throws where the server does not answer. */
export async function voterOfCode(typed: string, election: Election, api: Pick<Api, "voter">): Promise<Found> {
  const read = readCode(typed);
  if (!read.ok && read.group === 0) return { ok: false, fault: "length", length: read.length };
  if (!read.ok) return { ok: false, fault: "group", group: read.group, text: typedGroup(typed, read.group) };
  const { definition } = election;
  const code = isSecret(definition) ? read.code : "";
  const seed = seedOfCode(read.code, definition.uuid);
  const key = toHex(publicKey(seed));
  try {
    const found = await api.voter(key);
    const { voter_id: id, weight, voted } = found;
    return { ok: true, voter: { id, weight, seed: toHex(seed), key, code }, voted };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.code === "no-roll") return { ok: true, voter: null, seed: toHex(seed), code };
    if (error.code === "not-on-roll") return { ok: false, fault: "unknown" };
    throw error;
  }
}

/** A group of a code as it was typed. */
export function typedGroup(typed: string, group: number): string {
  return groupsOf(typed.replace(/[\s\p{Pd}]/gu, "").toUpperCase())[group - 1] ?? "";
}

/** A code in groups while it is typed: what is there already is not changed but for hyphens and case. */
export function grouped(typed: string): string {
  const plain = typed.replace(/[\s\p{Pd}]/gu, "").toUpperCase();
  const groups = groupsOf(plain).filter((group) => group !== "");
  return groups.join("-") + plain.slice(26);
}

/** What is wrong with a voter id; null for a good one. */
export function faultOfId(id: string): "idEmpty" | "idBad" | null {
  if (id === "") return "idEmpty";
  return isName(id) && codePoints(id) <= MAX_VOTER_ID ? null : "idBad";
}

/** A voter of an open election, with the key that this browser has for the id, or a new one. */
export function voterOfId(id: string, election: Election, store: Store): Voter {
  const kept = store.seed(election.networkHex, id);
  const seed = kept ?? toHex(crypto.getRandomValues(new Uint8Array(32)));
  if (kept === null) store.keepSeed(election.networkHex, id, seed);
  return voterOfSeed(id, seed);
}

export function voterOfSeed(id: string, seed: string, code = ""): Voter {
  return { id, weight: 1, seed, key: toHex(publicKey(hex(seed))), code };
}

/** The key of a vote as a key file of the command line; null where this browser has it no more. */
export function keyFile({ voter_id: owner, voter_key: key }: Vote, election: Election, store: Store): string | null {
  const seed = store.seed(election.networkHex, owner);
  if (seed === null || voterOfSeed(owner, seed).key !== key) return null;
  const file = { kind: "votenet-key-1", owner, public_key: key, secret_seed: seed };
  return `${JSON.stringify(file, null, 1)}\n`;
}
