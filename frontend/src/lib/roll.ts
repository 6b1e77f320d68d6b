/** The roll of an election: who may vote, with which key and weight. */
import { compareText, toHex } from "./bytes.ts";
import type { Definition } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { type Json, decodeText, parseJson } from "./json.ts";
import { DOMAIN_ROLL, MAX_SAFE_INTEGER, MAX_VOTER_ID, MAX_WEIGHT, ROLL_FORMAT } from "./limits.ts";
import { leafHash, treeRoot } from "./merkle.ts";
import { bad, hash, integer, list, object, oneOf, text } from "./shape.ts";
import { isName } from "./text.ts";

export interface RollEntry {
  key: string;
  weight: number;
}
export type Roll = ReadonlyMap<string, RollEntry>;
type Voter = [id: string, key: string, weight: number, credential: string];

const parts = [text(1, MAX_VOTER_ID), hash, integer(1, MAX_WEIGHT), text(0, 0)] as const;

function voter(value: Json): Voter {
  if (!Array.isArray(value) || value.length !== parts.length) bad("a voter has four parts");
  parts.forEach((part, index) => part(value[index]!));
  if (!isName(value[0] as string)) bad("a voter id with a character that it may not have");
  return value as Voter;
}

const rollFile = object({ kind: oneOf(ROLL_FORMAT), root: hash, voters: list(voter, 1) });

/** The voters of a roll file that the definition names. */
export function readRoll(raw: Uint8Array, definition: Definition): Roll {
  const { voters, root } = readVoters(raw);
  demand(definition.registration === "roll", "roll-not-used", "this election is open to everybody: it has no roll");
  const own = root === definition.roll_root && voters.length === definition.roll_size;
  demand(own, "roll-mismatch", "this is not the roll of the election");
  const weightless = definition.weighted || voters.every(([, , weight]) => weight === 1);
  demand(weightless, "roll-mismatch", "the roll has weights, the election has none");
  return new Map(voters.map(([id, key, weight]) => [id, { key, weight }]));
}

function readVoters(raw: Uint8Array): { voters: Voter[]; root: string } {
  try {
    const file = rollFile(parseJson(decodeText(raw)));
    for (const place of [0, 1] as const) {
      const once = new Set(file.voters.map((each) => each[place])).size === file.voters.length;
      if (!once) bad("an id or a key is on the roll twice");
    }
    if (file.voters.reduce((sum, [, , weight]) => sum + weight, 0) > MAX_SAFE_INTEGER) bad("the weights together");
    const voters = [...file.voters].sort((left, right) => compareText(left[0], right[0]));
    const root = toHex(treeRoot(voters.map((each) => leafHash(prefixed(DOMAIN_ROLL, each)))));
    if (root !== file.root) bad("its voters do not give the root that it names");
    return { voters, root };
  } catch (error) {
    if (error instanceof Fault) throw new Fault("bad-roll", `the roll file is not valid: ${error.where}`);
    throw error;
  }
}
