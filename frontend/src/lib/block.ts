/** A block of an archive: its shape, and the rules for the block as a whole. */
import { compareBytes, equalBytes, toHex } from "./bytes.ts";
import { type Amendment, amendment } from "./amendment.ts";
import type { Election } from "./definition.ts";
import { demand } from "./fault.ts";
import { type Json, canonical, isObject } from "./json.ts";
import * as limits from "./limits.ts";
import { leafHash, treeRoot } from "./merkle.ts";
import { type Of, bad, hash, integer, list, nodeSignature, nullable, object, oneOf, text } from "./shape.ts";
import { nodeSaid } from "./statement.ts";
import { type Vote, vote } from "./vote.ts";

const closingList = object({
  closes: integer(),
  count: integer(),
  height: integer(),
  kind: oneOf("closing-list"),
  network_id: hash,
  node: integer(),
  root: hash,
  signature: nodeSignature,
});
export type ClosingList = Of<typeof closingList>;
const notCounted = object({ kind: oneOf("not-counted"), vote });
export type NotCounted = Of<typeof notCounted>;
export type BlockRecord = Amendment | ClosingList | NotCounted;

function blockRecord(value: Json): BlockRecord {
  if (!isObject(value)) bad("a record is an object");
  const kinds = { amendment, "closing-list": closingList, "not-counted": notCounted } as const;
  const check = kinds[oneOf("amendment", "closing-list", "not-counted")(value["kind"] ?? null)];
  if (canonical(value).length > limits.MAX_RECORD_BYTES) bad("a record of too many bytes");
  return check(value);
}

const closing = object({ bits: text(), ids: text() });
export type ClosingIds = Of<typeof closing>;
const miner = object({ node: integer(), signature: nodeSignature });

export const blockLine = object({
  closing: nullable(closing),
  header: text(),
  miner: nullable(miner),
  records: list(blockRecord, 0, limits.MAX_OTHER_RECORDS),
  votes: list(vote),
});
export type BlockLine = Of<typeof blockLine>;

/** `closed` or `not-open` unless a block with votes may have this time. */
export function checkHours(time: number, election: Election): void {
  const { opens, closes } = election.definition;
  demand(opens === null || time >= opens, "not-open", "the block is from before the opening");
  const open = election.named || closes === null || time < closes;
  demand(open, "closed", "the block is from after the closing");
}

/** `bad-miner` unless the named node that found a block signed it. */
export function checkMiner(one: BlockLine["miner"], tip: Uint8Array, height: number, election: Election): void {
  demand((one !== null) === election.named, "bad-miner", "a block of named nodes has a signature, any other none");
  if (one === null) return;
  const statement = { block: toHex(tip), height };
  const holds = nodeSaid(election, limits.DOMAIN_BLOCK, one.node, statement, one.signature);
  demand(holds, "bad-miner", `node ${one.node} did not sign the block`);
}

/** The votes and the other records of a block, with their ids and their bytes. */
export class Body {
  readonly votes: readonly Vote[];
  readonly others: readonly BlockRecord[];
  readonly amendments: readonly Amendment[];
  readonly closingLists: readonly ClosingList[];
  readonly notCounted: readonly Vote[];
  /** Of the votes, then of the other records, in block order. */
  readonly ids: readonly Uint8Array[];
  readonly sizes: readonly number[];
  readonly bytes: number;

  constructor(line: BlockLine) {
    this.votes = line.votes;
    this.others = line.records;
    this.amendments = line.records.filter((each) => each.kind === "amendment");
    this.closingLists = line.records.filter((each) => each.kind === "closing-list");
    this.notCounted = line.records.filter((each) => each.kind === "not-counted").map((each) => each.vote);
    const records = [...line.votes, ...line.records].map(canonical);
    this.ids = records.map(leafHash);
    this.sizes = records.map((record) => record.length);
    this.bytes = this.sizes.reduce((sum, size) => sum + size, 0);
  }

  check(root: Uint8Array, time: number, election: Election): void {
    const count = this.votes.length;
    demand(equalBytes(treeRoot(this.ids), root), "bad-merkle-root", "these are not the records of the header");
    const fits = count <= election.definition.chain.max_block_votes && this.bytes <= limits.MAX_BLOCK_BYTES;
    demand(fits, "block-too-large", `${count} votes, ${this.bytes} bytes`);
    demand(this.isOrdered(), "bad-order", "the votes or records are not in their order");
    const voters = new Set(this.votes.map((each) => each.voter_id));
    demand(voters.size === count, "voter-twice", "two votes of a voter in one block");
    if (count > 0) checkHours(time, election);
  }

  private isOrdered(): boolean {
    const count = this.votes.length;
    const kinds = this.others.map((each) => each.kind);
    return this.ids.every((id, at) => {
      if (at === 0 || at === count) return true;
      const ascends = compareBytes(this.ids[at - 1]!, id) < 0;
      const [before, kind] = [kinds[at - count - 1], kinds[at - count]];
      return at < count || before === kind ? ascends : before! < kind!;
    });
  }
}
