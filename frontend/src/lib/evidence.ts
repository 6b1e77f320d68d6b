/** Evidence: the proof that one named node lied. */
import { InForce } from "./amendment.ts";
import { type Context, type NamedFile, finalBooks } from "./archive.ts";
import { compareBytes, compareText, equalBytes, hex, toHex } from "./bytes.ts";
import { type Definition, Election, definition } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { checkFormat, oneRecord } from "./file.ts";
import { type Json, canonical, isObject, parseRecord } from "./json.ts";
import * as limits from "./limits.ts";
import { grownRoots } from "./merkle.ts";
import { checkCosignature, readCheckpoint, readNote, signerOf } from "./note.ts";
import {
  type Check,
  type Of,
  bad,
  hash,
  hashOrNone,
  integer,
  list,
  nodeSignature,
  object,
  oneOf,
  text,
} from "./shape.ts";
import { checkable } from "./secret_rules.ts";
import { checkProofs } from "./secret_votes.ts";
import { acceptance, isAccepted, isInTime, nodeSaid } from "./statement.ts";
import { pausedIn } from "./steps.ts";
import { checkVote, checkVoteSignature, checkVoter, vote, voteId } from "./vote.ts";

const place = { height: integer(), network_id: hash, node: integer(), round: integer() };
const voted = object({ ...place, block: hashOrNone });
const proposed = object({ ...place, block: hash, valid_round: integer(-1) });
const listed = object({
  closes: integer(),
  count: integer(),
  height: integer(),
  network_id: hash,
  node: integer(),
  root: hash,
});

interface Statement {
  network_id: string;
  node: number;
  [name: string]: string | number;
}
interface Signed {
  signature: string;
  statement: Statement;
}

function twoOf(statement: Check<unknown>): Check<{ first: Signed; second: Signed }> {
  const signed = object({ signature: nodeSignature, statement }) as unknown as Check<Signed>;
  return object({ first: signed, second: signed });
}

const twoRoots = object({ first: text(), second: text() });
const badGrowth = object({ new: text(), nodes: list(hash), old: text() });
const brokenAcceptance = object({ acceptance, vote });

/** By kind: the prefix of the statements, what must be equal in both, and what must differ. */
const SIGNED_TWICE = {
  "two-proposals": {
    shape: twoOf(proposed),
    domain: limits.DOMAIN_PROPOSAL,
    equal: ["height", "round"],
    other: "block",
  },
  "two-prevotes": { shape: twoOf(voted), domain: limits.DOMAIN_PREVOTE, equal: ["height", "round"], other: "block" },
  "two-precommits": {
    shape: twoOf(voted),
    domain: limits.DOMAIN_PRECOMMIT,
    equal: ["height", "round"],
    other: "block",
  },
  "two-lists": { shape: twoOf(listed), domain: limits.DOMAIN_CLOSING_LIST, equal: ["closes"], other: "" },
} as const;
type SignedTwice = keyof typeof SIGNED_TWICE;
const KINDS = [
  ...["two-proposals", "two-prevotes", "two-precommits", "two-lists"],
  ...["two-roots", "bad-growth", "broken-acceptance"],
];

const isSignedTwice = (kind: string): kind is SignedTwice => kind in SIGNED_TWICE;

const frame = { definition, format: text(), kind: oneOf(...KINDS), node: integer(), version: integer() };

/** The shape of evidence: that of its proof follows from its kind. */
function evidence(value: Json) {
  if (!isObject(value)) bad("evidence is an object");
  const kind = frame.kind(value["kind"] ?? null);
  const shapes: Record<string, Check<unknown>> = {
    "two-roots": twoRoots,
    "bad-growth": badGrowth,
    "broken-acceptance": brokenAcceptance,
  };
  const proof = isSignedTwice(kind) ? SIGNED_TWICE[kind].shape : shapes[kind]!;
  return object({ ...frame, proof })(value);
}

export interface EvidenceReport {
  kind: "evidence";
  definition: Definition;
  networkId: string;
  lie: string;
  node: number;
  /** The node's name. */
  name: string;
}

/** That a file proves the lie of a named node. `archive`: that of the election, for a broken acceptance. */
export async function checkEvidence(
  file: NamedFile,
  context: Context,
  archive: NamedFile | null = null,
): Promise<EvidenceReport> {
  const one = parseRecord(await oneRecord(file.blob, file.name), evidence);
  checkFormat(one, limits.EVIDENCE_FORMAT, limits.EVIDENCE_VERSION);
  const election = checkable(one.definition);
  const own = (context.network ?? election.networkHex) === election.networkHex;
  demand(own, "network-mismatch", `the evidence is of network ${election.networkHex}`);
  prove(one.node < one.definition.nodes.length, `there is no named node ${one.node}`);
  if (isSignedTwice(one.kind)) {
    const { first, second } = one.proof as { first: Signed; second: Signed };
    judgeSignedTwice(first, second, one.node, one.kind, election);
  } else if (one.kind === "two-roots") {
    judgeTwoRoots(one.proof as Of<typeof twoRoots>, one.node, election);
  } else if (one.kind === "bad-growth") {
    judgeGrowth(one.proof as Of<typeof badGrowth>, one.node, election);
  } else {
    await judgeAcceptance(one.proof as Of<typeof brokenAcceptance>, one.node, election, archive, context);
  }
  return {
    kind: "evidence",
    definition: one.definition,
    networkId: election.networkHex,
    lie: one.kind,
    node: one.node,
    name: one.definition.nodes[one.node]!.name,
  };
}

const prove = (condition: boolean, where: string): void => demand(condition, "bad-evidence", where);

function judgeSignedTwice(first: Signed, second: Signed, node: number, kind: SignedTwice, election: Election): void {
  const { domain, equal, other } = SIGNED_TWICE[kind];
  for (const { signature, statement } of [first, second]) {
    const own = statement.network_id === election.networkHex && statement.node === node;
    prove(own, "a statement is of another node or network");
    prove(nodeSaid(election, domain, node, statement, signature), `node ${node} did not sign a statement`);
  }
  const [one, two] = [first.statement, second.statement];
  prove(compareBytes(canonical(one), canonical(two)) < 0, "the statements are equal, or not in their order");
  const same = equal.every((name) => one[name] === two[name]);
  const differ = other === "" || one[other] !== two[other];
  prove(same && differ, "an honest node may sign both of these statements");
}

/** A checkpoint with one signature, that of this named node. */
function cosigned(note: string, index: number, election: Election): { size: bigint; root: Uint8Array } {
  const { body, signatures } = readNote(note);
  const line = signatures[0]!;
  prove(signatures.length === 1, "the checkpoint has other signatures than that of the node");
  const signer = signerOf(line, election);
  demand(signer !== null, "bad-cosignature", "no named node signed the checkpoint");
  checkCosignature(line.raw, body, signer, election);
  prove(signer === index, `node ${signer} signed this, not ${index}`);
  const { origin, size, root, more } = readCheckpoint(body);
  prove(origin === election.origin && more.length === 0, "the checkpoint is of another log, or has more lines");
  return { size, root };
}

function judgeTwoRoots(proof: Of<typeof twoRoots>, node: number, election: Election): void {
  const [first, second] = [cosigned(proof.first, node, election), cosigned(proof.second, node, election)];
  prove(compareText(proof.first, proof.second) < 0, "the checkpoints are equal, or not in their order");
  const lied = first.size === second.size && !equalBytes(first.root, second.root);
  prove(lied, "an honest node may cosign both of these checkpoints");
}

function judgeGrowth(proof: Of<typeof badGrowth>, node: number, election: Election): void {
  const [old, grown] = [cosigned(proof.old, node, election), cosigned(proof.new, node, election)];
  const roots = grownRoots(old.size, grown.size, proof.nodes.map(hex));
  const leads = roots !== null && equalBytes(roots.new, grown.root);
  prove(leads, "the hashes do not lead to the root of the larger checkpoint");
  prove(!equalBytes(roots!.old, old.root), "the larger checkpoint continues the smaller one");
}

async function judgeAcceptance(
  proof: Of<typeof brokenAcceptance>,
  node: number,
  election: Election,
  archive: NamedFile | null,
  context: Context,
): Promise<void> {
  const id = voteId(proof.vote);
  await asEvidence(async () => {
    checkVote(proof.vote, election, new InForce(election));
    checkVoteSignature(proof.vote);
  });
  const holds = proof.acceptance.node === node && isAccepted(proof.acceptance, id, election);
  prove(holds, `node ${node} did not accept the vote`);
  if (archive === null) throw new Fault("needs-archive", "this proves the lie only with the archive of the election");
  const books = await finalBooks(archive, election, context);
  prove(isInTime(proof.acceptance, books.force.closes), `node ${node} accepted the vote after the closing`);
  await asEvidence(async () => checkVoter(proof.vote, books.force));
  const own = books.closing.lists.get(node);
  prove(own !== undefined && !own.has(toHex(id)), `node ${node} has no list, or the vote stands in it`);
  prove(!books.voters.has(proof.vote.voter_id), `a vote of ${proof.vote.voter_id} is counted`);
  // An honest node would have taken it.
  await asEvidence(() => pausedIn(context, checkProofs(proof.vote, election)));
}

/** Does `check`; its fault is one of the evidence. */
async function asEvidence(check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    throw error instanceof Fault ? new Fault("bad-evidence", error.where) : error;
  }
}
