/** Receipts: the proof that one vote is on the chain, or was received. */
import { type Amendment, InForce, amendments, takeAmendments } from "./amendment.ts";
import type { Context, NamedFile } from "./archive.ts";
import { checkHours } from "./block.ts";
import { equalBytes, hex, toHex } from "./bytes.ts";
import { type Definition, Election, definition } from "./definition.ts";
import { demand } from "./fault.ts";
import { checkFormat, oneRecord } from "./file.ts";
import { HeaderChain, checkDigits } from "./header.ts";
import { parseRecord } from "./json.ts";
import { FORMAT_VERSION, MAX_NAMED_NODES, RECEIPT_FORMAT } from "./limits.ts";
import { pathRoot } from "./merkle.ts";
import { readCertificate, readLogProof } from "./note.ts";
import { type Roll, rollSteps } from "./roll.ts";
import { checkable } from "./secret_rules.ts";
import { checkProofs } from "./secret_votes.ts";
import { type Of, hash, integer, list, nullable, object, text } from "./shape.ts";
import { acceptance, checkAcceptances } from "./statement.ts";
import { type Steps, finished, pausedIn } from "./steps.ts";
import { type Vote, checkVote, checkVoteSignature, vote, voteId } from "./vote.ts";

const chainProof = object({ headers: list(text()), path: list(hash), position: integer(), size: integer() });

export const receipt = object({
  acceptances: list(acceptance, 0, MAX_NAMED_NODES),
  amendments,
  chain: nullable(chainProof),
  definition,
  format: text(),
  proof: text(),
  version: integer(),
  vote,
});
export type Receipt = Of<typeof receipt>;

export interface ReceiptReport {
  kind: "receipt";
  definition: Definition;
  networkId: string;
  amendments: Amendment[];
  closes: number | null;
  vote: Vote;
  voteId: string;
  roll: "open" | "checked" | "not-checked";
  /** `final`: signed by a quorum; `received`: promised by these nodes; `chain`: in a block that anybody may rewrite. */
  finality: "final" | "received" | "chain";
  signedBy: string[];
  /** Of a received vote: whether so many nodes promise it that it counts unless more than f lie. */
  promised: boolean;
  /** Of a vote on a chain without named nodes. */
  block: { height: number; hash: string } | null;
}

/** Everything that a receipt file claims. */
export async function checkReceipt(file: NamedFile, context: Context): Promise<ReceiptReport> {
  const one = parseRecord(await oneRecord(file.blob, file.name), receipt);
  const { roll } = context;
  const judges: Judges = {
    electionOf: checkable,
    rollOf: function* (made) {
      return roll == null ? null : yield* rollSteps(roll, made);
    },
    checkProofs,
  };
  return pausedIn(context, receiptSteps(one, context, judges));
}

/** What a receipt is judged by, beside itself. */
interface Judges {
  electionOf(made: Definition): Election;
  rollOf(made: Definition): Steps<Roll | null>;
  checkProofs(one: Vote, election: Election): Steps<void>;
}

/**
 * The same for a receipt of the right shape, and of an election that is known: without its roll, the rules of a
 * definition with secret ballots, and the proofs of an encrypted one.
 */
export const judgeReceipt = (one: Receipt, context: Context): ReceiptReport =>
  finished(receiptSteps(one, context, KNOWN));

const KNOWN: Judges = {
  electionOf: (made) => new Election(made),
  *rollOf() {
    return null;
  },
  *checkProofs() {},
};

function* receiptSteps(one: Receipt, context: Context, judges: Judges): Steps<ReceiptReport> {
  checkFormat(one, RECEIPT_FORMAT, FORMAT_VERSION);
  const election = judges.electionOf(one.definition);
  const own = (context.network ?? election.networkHex) === election.networkHex;
  demand(own, "network-mismatch", `the receipt is of network ${election.networkHex}`);
  const roll = yield* judges.rollOf(one.definition);
  const carried = [one.chain !== null, one.proof !== "", one.acceptances.length > 0];
  const fits = carried.filter(Boolean).length === 1 && (one.chain !== null) !== election.named;
  demand(fits, "bad-receipt", "it does not carry the one kind of proof that the election calls for");
  const force = takeAmendments(one.amendments, new InForce(election, roll));
  checkVote(one.vote, election, force);
  checkVoteSignature(one.vote);
  yield* judges.checkProofs(one.vote, election);
  const id = voteId(one.vote);
  return {
    kind: "receipt",
    definition: one.definition,
    networkId: election.networkHex,
    amendments: one.amendments,
    closes: force.closes,
    vote: one.vote,
    voteId: toHex(id),
    roll: one.definition.registration === "open" ? "open" : roll === null ? "not-checked" : "checked",
    ...{ signedBy: [], promised: false, block: null },
    ...judgeProof(one, id, election, force, context.now),
  };
}

type Proven = Pick<ReceiptReport, "finality"> & Partial<ReceiptReport>;

function judgeProof(one: Receipt, id: Uint8Array, election: Election, force: InForce, now: number): Proven {
  if (one.chain !== null) return judgeChain(one.chain, id, election, now);
  if (one.proof !== "") return { finality: "final", signedBy: election.names(judgeLogProof(one.proof, id, election)) };
  const nodes = checkAcceptances(one.acceptances, id, election, force.closes);
  const enough = one.definition.nodes.length - election.quorum + 2 * election.liars + 1;
  return { finality: "received", signedBy: election.names(nodes), promised: nodes.length >= enough };
}

/** The named nodes that signed the log which holds this leaf. */
export function judgeLogProof(proof: string, leaf: Uint8Array, election: Election): number[] {
  const { index, path, certificate } = readLogProof(proof);
  const { size, root, signers } = readCertificate(certificate, election);
  const found = pathRoot(leaf, index, size, path);
  const leads = found !== null && equalBytes(found, root);
  demand(leads, "bad-proof", "the path does not lead from the vote to the certificate");
  return signers;
}

function judgeChain(chain: Of<typeof chainProof>, id: Uint8Array, election: Election, now: number): Proven {
  for (const digits of chain.headers) checkDigits(digits);
  const headers = new HeaderChain(election, now);
  let last = null;
  for (const digits of chain.headers) last = headers.add(digits);
  demand(last !== null, "broken-chain", "there are no headers");
  checkHours(last.time, election);
  const found = pathRoot(id, BigInt(chain.position), BigInt(chain.size), chain.path.map(hex));
  const leads = found !== null && equalBytes(found, last.root);
  demand(leads, "bad-merkle-path", "the path does not lead from the vote to the last header");
  return { finality: "chain", block: { height: headers.height, hash: toHex(headers.tip) } };
}
