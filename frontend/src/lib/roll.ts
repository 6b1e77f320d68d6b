/** The roll of an election: who may vote, with which key and weight. */
import { compareText, hex, toHex } from "./bytes.ts";
import { type Definition, MAX_TOTAL_WEIGHT, isSecret } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { type Json, decodeText, parseJson } from "./json.ts";
import { keyCanSign } from "./keys.ts";
import * as limits from "./limits.ts";
import { leafHash, treeRoot } from "./merkle.ts";
import { bad, hash, hashOrNone, integer, list, object, oneOf, text } from "./shape.ts";
import type { Steps } from "./steps.ts";
import { isName } from "./text.ts";

export interface RollEntry {
  key: string;
  weight: number;
  /** The public credential as Belenios writes it; empty where ballots are public. */
  credential: string;
}
export type Roll = ReadonlyMap<string, RollEntry>;
type Voter = [id: string, key: string, weight: number, credential: string];

const parts = [text(1, limits.MAX_VOTER_ID), hash, integer(1, limits.MAX_WEIGHT), hashOrNone] as const;

function voter(value: Json): Voter {
  if (!Array.isArray(value) || value.length !== parts.length) bad("a voter has four parts");
  parts.forEach((part, index) => part(value[index]!));
  if (!isName(value[0] as string)) bad("a voter id with a character that it may not have");
  return value as Voter;
}

const rollFile = object({ kind: oneOf(limits.ROLL_FORMAT), root: hash, voters: list(voter, 1) });

/** The voters of a roll file that the definition names. */
export function* rollSteps(raw: Uint8Array, definition: Definition): Steps<Roll> {
  const { voters, root } = yield* readVoters(raw);
  demand(definition.registration === "roll", "roll-not-used", "this election is open to everybody: it has no roll");
  const own = root === definition.roll_root && voters.length === definition.roll_size;
  demand(own, "roll-mismatch", "this is not the roll of the election");
  const weightless = definition.weighted || voters.every(([, , weight]) => weight === 1);
  demand(weightless, "roll-mismatch", "the roll has weights, the election has none");
  const secret = isSecret(definition);
  demand(secret === (voters[0]![3] !== ""), "roll-mismatch", "credentials are for secret ballots, and only for them");
  const countable = !secret || weightOf(voters) <= MAX_TOTAL_WEIGHT;
  demand(countable, "roll-mismatch", "no secret count can hold weights as large as these together");
  return new Map(voters.map(([id, key, weight, credential]) => [id, { key, weight, credential }]));
}

const weightOf = (voters: readonly Voter[]): number => voters.reduce((sum, [, , weight]) => sum + weight, 0);

function* readVoters(raw: Uint8Array): Steps<{ voters: Voter[]; root: string }> {
  try {
    const file = rollFile(parseJson(decodeText(raw)));
    for (const place of [0, 1] as const) {
      const once = new Set(file.voters.map((each) => each[place])).size === file.voters.length;
      if (!once) bad("an id or a key is on the roll twice");
    }
    if (weightOf(file.voters) > limits.MAX_SAFE_INTEGER) bad("the weights together");
    const credentials = file.voters.map((each) => each[3]).filter((each) => each !== "");
    const isWhole = credentials.length === 0 || new Set(credentials).size === file.voters.length;
    if (!isWhole) bad("a credential is missing, or on the roll twice");
    for (const each of credentials) {
      // Belenios writes a point as a number: its last byte comes first.
      if (!keyCanSign(hex(each).reverse())) bad("a credential that is none");
      yield;
    }
    const voters = [...file.voters].sort((left, right) => compareText(left[0], right[0]));
    const root = toHex(treeRoot(voters.map((each) => leafHash(prefixed(limits.DOMAIN_ROLL, each)))));
    if (root !== file.root) bad("its voters do not give the root that it names");
    return { voters, root };
  } catch (error) {
    if (error instanceof Fault) throw new Fault("bad-roll", `the roll file is not valid: ${error.where}`);
    throw error;
  }
}
