/** What named nodes sign, and their acceptances of a vote. */
import { hex, toHex } from "./bytes.ts";
import type { Election } from "./definition.ts";
import { demand } from "./fault.ts";
import { prefixed } from "./hash.ts";
import { signatureHolds } from "./keys.ts";
import { DOMAIN_ACCEPTANCE } from "./limits.ts";
import { pathRoot } from "./merkle.ts";
import { type Of, hash, integer, list, nodeSignature, object } from "./shape.ts";

export const acceptance = object({
  count: integer(),
  index: integer(),
  node: integer(),
  path: list(hash),
  signature: nodeSignature,
  time: integer(),
});
export type Acceptance = Of<typeof acceptance>;

/** Whether a named node signed a statement; the network id and the node's number are filled in. */
export function nodeSaid(
  election: Election,
  domain: string,
  node: number,
  statement: object,
  signature: string,
): boolean {
  const named = election.definition.nodes[node];
  if (named === undefined) return false;
  const message = prefixed(domain, { ...statement, network_id: election.networkHex, node });
  return signatureHolds(hex(named.statement_key), message, hex(signature));
}

/** Whether a named node signed that it received a vote. */
export function isAccepted(one: Acceptance, voteId: Uint8Array, election: Election): boolean {
  const root = pathRoot(voteId, BigInt(one.index), BigInt(one.count), one.path.map(hex));
  if (root === null) return false;
  const statement = { count: one.count, root: toHex(root), time: one.time };
  return nodeSaid(election, DOMAIN_ACCEPTANCE, one.node, statement, one.signature);
}

export const isInTime = (one: Acceptance, closes: number | null): boolean => closes === null || one.time < closes;

/** The named nodes that accepted a vote before the closing; `bad-acceptance` if one did not. */
export function checkAcceptances(
  acceptances: readonly Acceptance[],
  voteId: Uint8Array,
  election: Election,
  closes: number | null,
): number[] {
  const nodes = acceptances.map((one) => one.node);
  const ordered = nodes.every((node, at) => at === 0 || nodes[at - 1]! < node);
  demand(ordered, "bad-acceptance", "each node accepts once, in the order of the nodes");
  for (const one of acceptances) {
    const holds = isAccepted(one, voteId, election) && isInTime(one, closes);
    demand(holds, "bad-acceptance", `node ${one.node} did not accept the vote in time`);
  }
  return nodes;
}
