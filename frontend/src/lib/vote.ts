/** A vote: its record, its id, its signature and its rules. */
import { type Election, isSecret } from "./definition.ts";
import { fromHex, toHex } from "./bytes.ts";
import { Fault, demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { type Json, canonical, isObject } from "./json.ts";
import { publicKey, sign, signatureHolds } from "./keys.ts";
import * as limits from "./limits.ts";
import { leafHash } from "./merkle.ts";
import { bad, integer, list, object, text } from "./shape.ts";
import { isName } from "./text.ts";
import type { InForce } from "./amendment.ts";

const members = {
  choices: list(list(text(1, limits.MAX_NAME), 0, limits.MAX_CHOICES), 0, limits.MAX_CONTESTS),
  network_id: text(64, 64),
  signature: text(128, 128),
  time: integer(),
  voter_id: text(1, limits.MAX_VOTER_ID),
  voter_key: text(64, 64),
};
const withoutBallot = object(members);
const withBallot = object({ ...members, ballot: text() });

export interface Vote {
  choices: string[][];
  network_id: string;
  signature: string;
  time: number;
  voter_id: string;
  voter_key: string;
  /** Of votes in secret elections alone. */
  ballot?: string;
}

/** The shape of a vote. */
export function vote(value: Json): Vote {
  if (!isObject(value)) bad("a vote is an object");
  if (!("ballot" in value)) return withoutBallot(value);
  if (value["ballot"] === "") throw new Fault("not-canonical", "an empty ballot is left out");
  return withBallot(value);
}

/** The bytes that a voter signs. */
export function voteMessage(one: Omit<Vote, "signature">): Uint8Array {
  const { signature: _, ...unsigned } = one as Vote;
  return prefixed(limits.DOMAIN_VOTE, unsigned);
}

/** A vote for the election `networkHex`, signed with the key of a 32-byte seed. `ballot`: where ballots are secret. */
export function signVote(
  seed: Uint8Array,
  networkHex: string,
  voterId: string,
  choices: string[][],
  time: number,
  ballot?: string,
): Vote {
  const unsigned = {
    ...(ballot === undefined ? {} : { ballot }),
    choices,
    network_id: networkHex,
    time,
    voter_id: voterId,
    voter_key: toHex(publicKey(seed)),
  };
  return { ...unsigned, signature: toHex(sign(seed, voteMessage(unsigned))) };
}

export const voteRecord = (one: Vote): Uint8Array => canonical(one);
export const voteId = (one: Vote): Uint8Array => leafHash(voteRecord(one));

/** The rules of a vote but for its signature and the proofs of its ballot. One that does not count (`counts`) may have a key of before. */
export function checkVote(one: Vote, election: Election, force: InForce, counts = true): void {
  const who = `the vote of ${one.voter_id}`;
  demand(one.network_id === election.networkHex, "network-mismatch", `${who} is of another network`);
  const secret = isSecret(election.definition);
  const most = secret ? limits.MAX_RECORD_BYTES : limits.MAX_VOTE_BYTES;
  demand(voteRecord(one).length <= most, "vote-too-large", who);
  const keys = one.signature + one.voter_key;
  demand(isName(one.voter_id) && keys === keys.toLowerCase(), "bad-vote", who);
  const fits = secret ? one.ballot !== undefined && one.choices.length === 0 : one.ballot === undefined;
  demand(fits, "bad-vote", who);
  if (!secret) checkOpenChoices(one, election, who);
  if (counts || !isReplaced(one, force)) checkVoter(one, force);
}

function checkOpenChoices(one: Vote, election: Election, who: string): void {
  const { contests } = election.definition;
  demand(one.choices.length === contests.length, "bad-choices", who);
  for (const [index, choices] of one.choices.entries()) {
    const contest = contests[index]!;
    const where = `${who} in contest ${contest.id}`;
    if (choices.length === 0 && contest.blank) continue;
    const fits = contest.min <= choices.length && choices.length <= contest.max;
    demand(fits && new Set(choices).size === choices.length, "bad-choices", where);
    const known = election.candidates[index]!;
    demand(
      choices.every((choice) => known.has(choice)),
      "unknown-candidate",
      where,
    );
  }
}

/** That the voter is on the roll in force with this key and this credential, as far as that is known here. */
export function checkVoter(one: Vote, force: InForce): void {
  const key = force.keyOf(one.voter_id);
  demand(key !== undefined || force.roll === null, "not-on-roll", `${one.voter_id} is not on the roll`);
  demand(key === undefined || key === one.voter_key, "wrong-key", `${one.voter_id} has another key on the roll`);
  const credential = force.credentialOf(one.voter_id);
  if (credential === undefined || one.ballot === undefined) return;
  const same = namedCredential(one.ballot) === credential;
  demand(same, "unknown-credential", `${one.voter_id} has another credential on the roll`);
}

/** The credential that a ballot says it is made with. Its proofs are checked later, and all else of its spelling. */
function namedCredential(ballot: string): string {
  try {
    const { credential } = JSON.parse(ballot) as { credential: unknown };
    if (typeof credential === "string") return credential;
  } catch {
    // It is none.
  }
  throw new Fault("bad-document", "the ballot names no credential");
}

/** Whether an amendment gave the voter another key than that of the vote. */
export function isReplaced(one: Vote, force: InForce): boolean {
  return (force.keys.get(one.voter_id) ?? one.voter_key) !== one.voter_key;
}

export function checkVoteSignature(one: Vote): void {
  const [key, signature] = [fromHex(one.voter_key), fromHex(one.signature)];
  const holds = key !== null && signature !== null && signatureHolds(key, voteMessage(one), signature);
  demand(holds, "bad-signature", `the vote of ${one.voter_id}`);
}
