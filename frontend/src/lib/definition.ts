/** The definition of an election: its shape, its rules, and what follows from it. */
import { toHex } from "./bytes.ts";
import { Fault } from "./fault.ts";
import { prefixed, sha256 } from "./hash.ts";
import { targetOf } from "./header.ts";
import * as limits from "./limits.ts";
import { type Check, type Of, flag, hash, integer, list, nullable, object, oneOf, pattern, text } from "./shape.ts";
import { isLine, isName, isText, lookAlike } from "./text.ts";

const NODE_KEYS = ["cosign_key", "log_key", "node_key", "statement_key"] as const;
const name = text(1, limits.MAX_NAME);
const statement = text(0, limits.MAX_STATEMENT);

const contest = object({
  blank: flag,
  candidates: list(object({ name, statement })),
  description: statement,
  id: pattern(/^[A-Za-z0-9_-]{1,32}$/),
  max: integer(1, limits.MAX_CHOICES),
  method: oneOf(...limits.METHODS),
  min: integer(0, limits.MAX_CHOICES),
  quorum: nullable(object({ percent: integer(1, 100) })),
  seats: integer(1, limits.MAX_CHOICES),
  threshold: nullable(
    object({
      basis: oneOf("cast", "roll"),
      share: oneOf("simple", "absolute", "two-thirds", "three-quarters"),
    }),
  ),
  title: name,
});

export const definition = object({
  authority_key: nullable(hash),
  belenios: text(),
  chain: object({
    bits: integer(1, limits.MAX_U32),
    block_seconds: integer(1, limits.MAX_BLOCK_SECONDS),
    grace_seconds: integer(0, limits.MAX_GRACE_SECONDS),
    max_block_votes: integer(1, limits.MAX_BLOCK_VOTES),
  }),
  closes: nullable(integer()),
  contests: list(contest, 1, limits.MAX_CONTESTS),
  created: integer(0, limits.MAX_U32),
  language: pattern(/^(?=.{2,35}$)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$/),
  nodes: list(
    object({ cosign_key: hash, log_key: hash, name, node_key: hash, statement_key: hash }),
    0,
    limits.MAX_NAMED_NODES,
  ),
  opens: nullable(integer()),
  organiser: statement,
  registration: oneOf("open", "roll"),
  results: oneOf("live", "after-close"),
  roll_root: nullable(hash),
  roll_size: nullable(integer(1)),
  secrecy: oneOf("public", "secret"),
  time_zone: pattern(/^[A-Za-z0-9_+/-]{1,64}$/),
  title: name,
  trustees: nullable(
    object({
      keys: list(object({ key: hash, name }), 1, limits.MAX_TRUSTEE_KEYS),
      record: hash,
      threshold: integer(1, limits.MAX_TRUSTEE_KEYS),
    }),
  ),
  uuid: pattern(/^[1-9A-HJ-NP-Za-km-z]{14}$/),
  version: integer(limits.FORMAT_VERSION, limits.FORMAT_VERSION),
  weighted: flag,
  witnesses: list(
    object({
      key: pattern(/^[!-*,-~]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$/),
      name,
      url: pattern(/^https?:\/\/[!-~]{1,500}$/),
    }),
    0,
    limits.MAX_WITNESSES,
  ),
}) satisfies Check<unknown>;

export type Definition = Of<typeof definition>;
export type Contest = Of<typeof contest>;

/** Of all voters of a secret election together: a count is a logarithm. */
export const MAX_TOTAL_WEIGHT = 1e11;

export const isSecret = ({ secrecy }: Definition): boolean => secrecy === "secret";

/** A definition that keeps all rules but those of secret ballots (`secret_rules.ts`), with its network id. */
export class Election {
  readonly networkId: Uint8Array;
  readonly networkHex: string;
  /** The name of its log, the first line of each checkpoint. */
  readonly origin: string;
  /** The most named nodes that may lie while the others decide. */
  readonly liars: number;
  readonly quorum: number;
  readonly candidates: readonly ReadonlySet<string>[];

  constructor(readonly definition: Definition) {
    const fault = contradiction(definition);
    if (fault !== "") throw new Fault("bad-genesis", fault);
    this.networkId = sha256(prefixed(limits.DOMAIN_GENESIS, definition));
    this.networkHex = toHex(this.networkId);
    this.origin = `votenet/${this.networkHex}`;
    const named = definition.nodes.length;
    this.liars = Math.max(0, Math.floor((named - 1) / 3));
    this.quorum = Math.floor((named + this.liars) / 2) + 1;
    this.candidates = definition.contests.map((each) => new Set(each.candidates.map((one) => one.name)));
  }

  get named(): boolean {
    return this.definition.nodes.length > 0;
  }

  names(nodes: readonly number[]): string[] {
    return nodes.map((node) => this.definition.nodes[node]!.name);
  }
}

/** The first rule that a definition of the right shape breaks; empty if it keeps all but those of secret ballots. */
export function contradiction(one: Definition): string {
  const hasRoll = one.registration === "roll";
  const keys = one.nodes.flatMap((node) => NODE_KEYS.map((key) => node[key]));
  const names = [one.title, ...[...one.nodes, ...one.witnesses].map((each) => each.name)];
  const rules: [boolean, string][] = [
    [new Set(one.contests.map((each) => each.id)).size === one.contests.length, "two contests have one id"],
    [!lookAlike(one.contests.map((each) => each.title)), "two contests look the same"],
    [candidatesOf(one) <= limits.MAX_CANDIDATES, "too many candidates"],
    [names.every(isName) && isLine(one.organiser), "a character that no name may have"],
    [!lookAlike(one.nodes.map((node) => node.name)), "two nodes look the same"],
    [new Set(keys).size === keys.length, "a key is given twice"],
    [one.opens === null || one.closes === null || one.opens < one.closes, "it closes before it opens"],
    [hasRoll === (one.roll_root !== null) && hasRoll === (one.roll_size !== null), "a roll, and no roll"],
    [targetOf(one.chain.bits) !== null, "bits that stand for no target"],
    [hasRoll || !one.weighted, "weights without a roll"],
    [one.results === "live" || one.closes !== null, "results after a closing that never comes"],
    [isSecret(one) || (one.belenios === "" && one.trustees === null), "trustees of public ballots"],
  ];
  const contests = one.contests.map((each) => contradictionOf(each, hasRoll)).find((fault) => fault !== "");
  return contests ?? rules.find(([holds]) => !holds)?.[1] ?? "";
}

const candidatesOf = (one: Definition): number => one.contests.reduce((sum, each) => sum + each.candidates.length, 0);

function contradictionOf(one: Contest, hasRoll: boolean): string {
  const names = one.candidates.map((each) => each.name);
  const most = { stv: limits.MAX_STV_CANDIDATES, schulze: limits.MAX_SCHULZE_CANDIDATES } as Record<string, number>;
  const oneChoice = one.method === "plurality" || one.method === "motion";
  const oneSeat = oneChoice || one.method === "instant-runoff";
  const rules: [boolean, string][] = [
    [names.length >= 1 && names.length <= (most[one.method] ?? limits.MAX_CANDIDATES), "how many candidates"],
    [[one.title, ...names].every(isName), "a character that no name may have"],
    [[one.description, ...one.candidates.map((each) => each.statement)].every(isText), "a character of a text"],
    [!lookAlike(names), "two candidates look the same"],
    [1 <= one.min && one.min <= one.max && one.max <= names.length, "how many choices"],
    [one.seats < Math.max(2, names.length), "as many seats as candidates"],
    [!oneChoice || one.max === 1, "this method has one choice"],
    [!oneSeat || one.seats === 1, "this method has one seat"],
    [keepsMotion(one, hasRoll), "what a motion needs"],
  ];
  const broken = rules.find(([holds]) => !holds);
  return broken === undefined ? "" : `contest ${one.id}: ${broken[1]}`;
}

/** Whether threshold and quorum fit: those of a motion, none of any other contest. */
function keepsMotion(one: Contest, hasRoll: boolean): boolean {
  if (one.method !== "motion") return one.threshold === null && one.quorum === null;
  if (one.threshold === null || one.candidates.length < 2 || one.candidates.length > 3) return false;
  const ofRoll = one.threshold.basis === "roll";
  if (ofRoll && one.threshold.share === "simple") return false;
  return hasRoll || (!ofRoll && one.quorum === null);
}
