/** The end of an election with named nodes: the closing block, and the late votes behind it. */
import type { InForce } from "./amendment.ts";
import type { Body, ClosingIds, ClosingList } from "./block.ts";
import { compareBytes, fromBase64, littleEndian, toHex } from "./bytes.ts";
import type { Election } from "./definition.ts";
import { demand } from "./fault.ts";
import { canonical } from "./json.ts";
import { DOMAIN_CLOSING_LIST, MAX_BLOCK_BYTES, MAX_CLOSING_IDS } from "./limits.ts";
import { leafHash, treeRoot } from "./merkle.ts";
import { nodeSaid } from "./statement.ts";
import { isReplaced } from "./vote.ts";

interface ListedId {
  id: Uint8Array;
  hex: string;
  /** One bit for each list: whether the id stands in it. */
  bits: bigint;
}

export class Closing {
  /** By node: the ids in its list, in hexadecimal. */
  readonly lists = new Map<number, ReadonlySet<string>>();
  /** The ids that the blocks behind the closing block hold, ascending; null before the closing. */
  late: string[] | null = null;
  taken = 0;
  /** What the block before left free: votes and bytes. */
  private room = { votes: 0, bytes: 0 };

  constructor(private readonly election: Election) {}

  get over(): boolean {
    return this.late !== null && this.taken === this.late.length;
  }

  /** Checks the place of a block, and the block if it closes the election or stands behind that. */
  add(
    body: Body,
    closing: ClosingIds | null,
    height: number,
    force: InForce,
    isOnChain: (id: string) => boolean,
    hasVoted: (voter: string) => boolean,
  ): void {
    demand(!force.cancelled, "cancelled", "the election was cancelled in a block before");
    const closes = closing !== null || body.closingLists.length > 0;
    const late = closes || (this.late !== null && !this.over);
    demand(!late || body.amendments.length === 0, "bad-amendment", "an amendment in the closing block, or after it");
    if (this.late !== null) {
      demand(!closes, "bad-closing", "the election has been closed before");
      demand(!this.over, "closed", "the election has ended");
      this.take(body, force, hasVoted);
    } else if (closes) {
      this.late = this.close(body, closing, height, force).filter((id) => !isOnChain(id));
    } else {
      demand(body.notCounted.length === 0, "bad-late-votes", "votes are left out before the closing");
    }
  }

  /** The ids that a closing block counts, ascending. */
  private close(body: Body, closing: ClosingIds | null, height: number, force: InForce): string[] {
    const { election } = this;
    demand(election.named && force.closes !== null, "bad-closing", "this election has no closing block");
    const lists = [...body.closingLists].sort((left, right) => left.node - right.node);
    const alone = closing !== null && lists.length === body.others.length && body.votes.length === 0;
    demand(alone, "bad-closing", "a closing block holds closing lists and their ids, and no votes");
    const nodes = new Set(lists.map((each) => each.node));
    const enough = nodes.size === lists.length && nodes.size >= election.quorum;
    demand(enough, "bad-closing", `lists of ${election.quorum} different nodes are needed`);
    const ids = listedIds(closing, lists.length);
    for (const [place, each] of lists.entries()) {
      const own = ids.filter(({ bits }) => ((bits >> BigInt(place)) & 1n) === 1n);
      this.checkList(each, own, height, force);
      this.lists.set(each.node, new Set(own.map((one) => one.hex)));
    }
    return ids.filter(({ bits }) => bitCount(bits) > election.liars).map((one) => one.hex);
  }

  private checkList(each: ClosingList, own: readonly ListedId[], height: number, force: InForce): void {
    const same =
      each.network_id === this.election.networkHex &&
      each.closes === force.closes &&
      each.height <= height &&
      each.count === own.length &&
      each.root === toHex(treeRoot(own.map((one) => one.id)));
    demand(same, "bad-closing", `the list of node ${each.node} is another one`);
    const { closes, count, height: at, root } = each;
    const statement = { closes, count, height: at, root };
    const signed = nodeSaid(this.election, DOMAIN_CLOSING_LIST, each.node, statement, each.signature);
    demand(signed, "bad-closing", `node ${each.node} did not sign its list`);
  }

  /** Checks that a block holds the next late votes, as many as fit, each where it belongs. */
  private take(body: Body, force: InForce, hasVoted: (voter: string) => boolean): void {
    const limit = this.election.definition.chain.max_block_votes;
    const votes = [...body.votes, ...body.notCounted];
    const held = votes.map((vote, at) => ({
      id: toHex(leafHash(canonical(vote))),
      vote,
      counts: at < body.votes.length,
      size: body.sizes[at]!,
    }));
    held.sort((left, right) => (left.id < right.id ? -1 : 1));
    const next = this.late!.slice(this.taken, this.taken + held.length);
    const fits = held.length > 0 && held.length === next.length && held.every((one, at) => one.id === next[at]);
    demand(fits, "bad-late-votes", "these are not the next votes that the closing counts");
    const hadRoom = this.room.votes >= 1 && this.room.bytes >= held[0]!.size;
    demand(!hadRoom, "bad-late-votes", "the first of these votes had room in the block before");
    demand(held.length <= limit, "bad-late-votes", `${held.length} votes, ${limit} fit`);
    const here = new Set<string>();
    for (const { vote, counts } of held) {
      const voter = vote.voter_id;
      const mayCount = !here.has(voter) && !hasVoted(voter) && !isReplaced(vote, force);
      demand(counts === mayCount, "bad-late-votes", `of the votes of ${voter} the first counts, no other`);
      if (counts) here.add(voter);
    }
    this.taken += held.length;
    this.room = { votes: limit - held.length, bytes: MAX_BLOCK_BYTES - body.bytes };
  }
}

function bitCount(bits: bigint): number {
  let count = 0;
  for (let rest = bits; rest > 0n; rest &= rest - 1n) count++;
  return count;
}

/** The ids of a closing block, each with the lists that it stands in. */
function listedIds(closing: ClosingIds, lists: number): ListedId[] {
  const [ids, bits] = [fromBase64(closing.ids), fromBase64(closing.bits)];
  const whole = ids !== null && bits !== null && ids.length % 32 === 0;
  demand(whole, "bad-closing", "ids and bits are written in base64");
  const [count, width] = [ids.length / 32, Math.ceil(lists / 8)];
  demand(count <= MAX_CLOSING_IDS && bits.length === width * count, "bad-closing", "each id has its bits");
  const found = Array.from({ length: count }, (_, at) => {
    const id = ids.subarray(32 * at, 32 * at + 32);
    return { id, hex: toHex(id), bits: littleEndian(bits.subarray(width * at, width * at + width)) };
  });
  const ascend = found.every((one, at) => at === 0 || compareBytes(found[at - 1]!.id, one.id) < 0);
  demand(ascend, "bad-closing", "the ids do not ascend");
  const listed = found.every((one) => one.bits > 0n && one.bits >> BigInt(lists) === 0n);
  demand(listed, "bad-closing", "an id stands in no list, or in one that is not there");
  return found;
}
