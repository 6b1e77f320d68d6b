/** The way from a vote to the root of its block, checked in the browser that shows it. */
import {
  Fault,
  checkVoteSignature,
  demand,
  doubleHash,
  equalBytes,
  hex,
  parseRecord,
  pathRoot,
  toHex,
  vote,
  voteId,
} from "../lib/index.ts";

/** What a page shows of a vote; hashes in hexadecimal digits. */
export interface ShownPath {
  /** The vote as canonical JSON. */
  record: string;
  vote_id: string;
  position: number;
  size: number;
  path: string[];
  merkle_root: string;
  /** The header of the block, and its hash. */
  header: string;
  block: string;
}

const ROOT_AT = 36;

/** The first thing that is wrong with it; null if all of it holds. */
export function faultOf(shown: ShownPath): Fault | null {
  try {
    check(shown);
    return null;
  } catch (error) {
    if (error instanceof Fault) return error;
    return new Fault("bad-record", String(error));
  }
}

function check(shown: ShownPath): void {
  const one = parseRecord(new TextEncoder().encode(shown.record), vote);
  const id = voteId(one);
  demand(toHex(id) === shown.vote_id, "bad-vote", "the vote has another id");
  checkVoteSignature(one);
  const root = pathRoot(id, BigInt(shown.position), BigInt(shown.size), shown.path.map(hex));
  const leads = root !== null && toHex(root) === shown.merkle_root;
  demand(leads, "bad-merkle-path", "the path does not lead from the vote to the root");
  const header = hex(shown.header);
  demand(equalBytes(header.subarray(ROOT_AT, ROOT_AT + 32), root!), "bad-merkle-root", "the header has another root");
  demand(toHex(doubleHash(header)) === shown.block, "broken-chain", "the block has another hash");
}
