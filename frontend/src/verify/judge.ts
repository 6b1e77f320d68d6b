/** Which kind each file is, what it is checked together with, and what comes out. */
import {
  type ArchiveReport,
  type Context,
  type EvidenceReport,
  Fault,
  type NamedFile,
  type ReceiptReport,
  type ResultReport,
  checkArchive,
  checkEvidence,
  checkReceipt,
  checkResult,
  Election,
  hex,
  judgeLogProof,
  oneRecord,
  parseRecord,
  pausedIn,
  pieces,
  wholeFile,
} from "../lib/index.ts";
import { type TestedReport, testedBallot, testedSteps } from "../secret/tested_ballot.ts";

export type Kind = "archive" | "receipt" | "result" | "evidence" | "proof" | "roll" | "tested";

export interface Held extends NamedFile {
  kind: Kind;
  /** The election that it says it is of. */
  network?: string | null;
}

/** A proof of the log, checked for the vote of a receipt. */
export interface ProofReport extends Omit<ReceiptReport, "kind"> {
  kind: "proof";
}
/** A receipt that holds, beside an archive of its election. */
export interface ReceiptInArchive {
  name: string;
  voter: string;
  /** `not-yet`: more votes may come behind this archive. */
  place: "counted" | "not-yet" | "missing";
}

export interface ArchiveWithReceipts extends ArchiveReport {
  receipts: ReceiptInArchive[];
}
export type Report = ArchiveWithReceipts | ReceiptReport | ResultReport | EvidenceReport | ProofReport | TestedReport;

export type Need = "receipt" | "roll";
export type Verdict = { file: Held } & (
  | { outcome: "holds"; report: Report }
  | { outcome: "broken"; report: TestedReport }
  | { outcome: "broken"; fault: Fault }
  | { outcome: "cannot"; need: Need }
  | { outcome: "cannot"; fault: Fault }
  | { outcome: "cannot"; defect: string }
);

const FORMATS: Record<string, Kind> = {
  "votenet-archive": "archive",
  "votenet-receipt": "receipt",
  "votenet-result": "result",
  "votenet-evidence": "evidence",
  "votenet-tested-ballot": "tested",
};
/** Codes that ask for another file. */
const MORE_NEEDED = ["needs-archive", "roll-missing", "several-parts"];

/** A file with its kind and its election, as far as it says them itself. */
export async function heldFile(file: NamedFile): Promise<Held> {
  const text = await textOf(file.blob, file.name);
  const network = /"(?:network_id"\s*:\s*"|certificate"\s*:\s*"votenet\/)([0-9a-f]{64})/.exec(text)?.[1] ?? null;
  return { blob: file.blob, name: file.name, kind: kindOf(text, file.name), network };
}

/** The kind of a file by what is in it; by its name where that does not say. */
function kindOf(text: string, name: string): Kind {
  if (text.startsWith("c2sp.org/tlog-proof@")) return "proof";
  if (/"kind"\s*:\s*"votenet-roll/.test(text)) return "roll";
  const format = /"format"\s*:\s*"([a-z-]*)"/.exec(text)?.[1] ?? "";
  if (Object.hasOwn(FORMATS, format)) return FORMATS[format]!;
  if (/\.tlog-proof$/i.test(name)) return "proof";
  return /\.jsonl(\.gz|\.xz)?$/i.test(name) ? "archive" : "receipt";
}

/** The text of a file; of an archive the first piece alone. */
async function textOf(blob: Blob, name: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  try {
    for await (const piece of pieces(blob, name)) {
      text += decoder.decode(piece, { stream: true });
      if (text.startsWith('{"format":"votenet-archive"')) return text;
    }
  } catch {
    // The check of the file says what is wrong with it.
  }
  return text;
}

/** The newest of a kind among the files that are held, of the same election where one is there. */
function newest(held: readonly Held[], kind: Kind, network?: string | null): Held | null {
  const all = held.filter((each) => each.kind === kind);
  const same = all.filter((each) => each.network === network);
  return same.at(-1) ?? all.at(-1) ?? null;
}

/** What comes out for each file that is more than company for the others. */
export async function* judgeAll(held: readonly Held[], context: Context): AsyncGenerator<Verdict> {
  const subjects = held.filter((each) => each.kind !== "roll");
  for (const file of subjects.length > 0 ? subjects : held) yield await judge(file, held, context);
}

async function judge(file: Held, held: readonly Held[], context: Context): Promise<Verdict> {
  try {
    const roll = newest(held, "roll");
    if (file.kind === "roll") return { file, outcome: "cannot", need: "roll" };
    const receipt = newest(held, "receipt");
    if (file.kind === "proof" && receipt === null) return { file, outcome: "cannot", need: "receipt" };
    const withRoll = { ...context, roll: roll === null ? null : await wholeFile(roll.blob, roll.name) };
    if (file.kind === "tested") return await testedVerdict(file, context);
    return { file, outcome: "holds", report: await reportOf(file, held, withRoll, receipt) };
  } catch (error) {
    if (!(error instanceof Fault)) return { file, outcome: "cannot", defect: String(error) };
    if (MORE_NEEDED.includes(error.code)) return { file, outcome: "cannot", fault: error };
    return { file, outcome: "broken", fault: error };
  }
}

async function reportOf(file: Held, held: readonly Held[], context: Context, receipt: Held | null): Promise<Report> {
  const archive = newest(held, "archive", file.network);
  switch (file.kind) {
    case "archive":
      return archiveReport(file, held, context);
    case "result":
      return checkResult(file, archive === null ? { ...context, roll: null } : context, archive);
    case "evidence":
      return checkEvidence(file, context, archive);
    case "proof":
      return proofReport(file, await checkReceipt(receipt!, context));
    default:
      return checkReceipt(file, context);
  }
}

/** An archive, searched for the votes of all receipts of its election that hold. */
async function archiveReport(file: Held, held: readonly Held[], context: Context): Promise<ArchiveWithReceipts> {
  const own = held.filter((each) => each.kind === "receipt" && each.network === file.network);
  const receipts = new Map<Held, ReceiptReport>();
  for (const each of own) {
    try {
      receipts.set(each, await checkReceipt(each, context));
    } catch (error) {
      if (!(error instanceof Fault)) throw error; // its own verdict says what is wrong with it
    }
  }
  const report = await checkArchive(file, { ...context, sought: [...receipts.values()].map((one) => one.voteId) });
  if (report.finality === "cancelled") return { ...report, receipts: [] };
  const absent = report.finality === "final" ? "missing" : "not-yet";
  const placed = [...receipts].map(([{ name }, { vote, voteId }]): ReceiptInArchive => {
    const place = report.found.includes(voteId) ? "counted" : absent;
    return { name, voter: vote.voter_id, place };
  });
  return { ...report, receipts: placed };
}

/** A ballot that encrypts something else than its device says is as bad as a file that does not hold. */
async function testedVerdict(file: Held, context: Context): Promise<Verdict> {
  const one = parseRecord(await oneRecord(file.blob, file.name), testedBallot);
  const report = await pausedIn(context, testedSteps(one, context.network ?? null));
  return report.same ? { file, outcome: "holds", report } : { file, outcome: "broken", report };
}

async function proofReport(file: Held, receipt: ReceiptReport): Promise<ProofReport> {
  const election = new Election(receipt.definition);
  const proof = new TextDecoder().decode(await wholeFile(file.blob, file.name));
  const signers = judgeLogProof(proof, hex(receipt.voteId), election);
  return { ...receipt, kind: "proof", finality: "final", signedBy: election.names(signers) };
}
