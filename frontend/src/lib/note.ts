/** Signed notes, checkpoints, certificates and proofs of the log, in the forms of C2SP. */
import { bigEndian, equalBytes, fromBase64, hex, utf8 } from "./bytes.ts";
import type { Election } from "./definition.ts";
import { Fault, demand } from "./fault.ts";
import { sha256 } from "./hash.ts";
import { signatureHolds } from "./keys.ts";
import * as limits from "./limits.ts";
import { codePoints } from "./text.ts";

const COSIGNATURE = 4; // the C2SP type of a cosignature/v1 key
const PROOF_HEADING = "c2sp.org/tlog-proof@v1";
const BASE64 = "[A-Za-z0-9+/=]+";
const NAME = "(?:\\ufeff|[^+\\s\\u0085])+"; // no white space and no plus sign
const SIGNATURE_LINE = new RegExp(`^\u2014 (${NAME}) (${BASE64})$`);

export interface NoteSignature {
  name: string;
  /** Key id (4 bytes) and signature. */
  raw: Uint8Array;
}

/** The text of a signed note, its last newline included, and its signatures. `bad-note` for another form. */
export function readNote(note: string): { body: string; signatures: NoteSignature[] } {
  const split = note.lastIndexOf("\n\n");
  const fits = codePoints(note) <= limits.MAX_NOTE_SIZE && split >= 0 && note.length > split + 2 && note.endsWith("\n");
  demand(fits, "bad-note", "it is not a signed note");
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(note), "bad-note", "it holds a control character");
  const lines = note.slice(split + 2, -1).split("\n");
  const signatures = lines.map((line) => {
    const found = SIGNATURE_LINE.exec(line);
    const raw = found === null ? null : fromBase64(found[2]!);
    const name = found?.[1] ?? "";
    const holds = raw !== null && raw.length >= 5 && codePoints(name) <= limits.MAX_KEY_NAME;
    demand(holds, "bad-note", "a line is not a signature");
    return { name, raw };
  });
  demand(signatures.length <= limits.MAX_NOTE_SIGNATURES, "bad-note", "it has too many signatures");
  return { body: note.slice(0, split + 1), signatures };
}

export interface Checkpoint {
  origin: string;
  size: bigint;
  root: Uint8Array;
  /** Lines behind the root; none in votenet. */
  more: string[];
}

/** The checkpoint in the text of a note. `bad-checkpoint` if it is none. */
export function readCheckpoint(body: string): Checkpoint {
  const lines = body.slice(0, -1).split("\n");
  const [origin, digits, base64, ...more] = lines;
  const [size, root] = [decimal(digits ?? ""), base64 === undefined ? null : fromBase64(base64)];
  if (origin === undefined || size === null || root === null || root.length !== 32 || lines.includes("")) {
    throw new Fault("bad-checkpoint", "it is no checkpoint");
  }
  return { origin, size, root, more };
}

/** A number of the log in decimal without leading zeroes; null for any other text. */
export function decimal(text: string): bigint | null {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) return null;
  const number = BigInt(text);
  return number > limits.MAX_LOG_SIZE ? null : number;
}

/** The named node whose cosignature a line claims to be, or null. */
export function signerOf(line: NoteSignature, election: Election): number | null {
  const found = election.definition.nodes.findIndex((node, index) => {
    const own = `${election.origin}/${index}`;
    if (line.name !== own) return false;
    const id = sha256(utf8(`${own}\n`), Uint8Array.of(COSIGNATURE), hex(node.cosign_key)).subarray(0, 4);
    return equalBytes(line.raw.subarray(0, 4), id);
  });
  return found < 0 ? null : found;
}

/** `bad-cosignature` unless named node `index` made this cosignature of a checkpoint. */
export function checkCosignature(raw: Uint8Array, body: string, index: number, election: Election): void {
  const key = hex(election.definition.nodes[index]!.cosign_key);
  const time = bigEndian(raw.subarray(4, 12));
  const message = utf8(`cosignature/v1\ntime ${time}\n${body}`);
  const holds = raw.length === 76 && time <= limits.MAX_LOG_SIZE && signatureHolds(key, message, raw.subarray(12));
  demand(holds, "bad-cosignature", `node ${index} did not sign the checkpoint`);
}

export interface Certificate {
  size: bigint;
  root: Uint8Array;
  /** The named nodes that cosigned, ascending. */
  signers: number[];
}

/** A certificate of an election: a checkpoint that a quorum of its named nodes cosigned. */
export function readCertificate(note: string, election: Election): Certificate {
  const { body, signatures } = readNote(note);
  const { origin, size, root, more } = readCheckpoint(body);
  const own = origin === election.origin && more.length === 0;
  demand(own, "bad-checkpoint", "it is no checkpoint of this election");
  const signers = new Set<number>();
  for (const line of signatures) {
    const index = signerOf(line, election);
    if (index === null) continue; // of a witness, or of a log key
    checkCosignature(line.raw, body, index, election);
    signers.add(index);
  }
  demand(signers.size > 0, "bad-note", "no named node signed it");
  const enough = signers.size >= election.quorum;
  demand(enough, "bad-certificate", `${signers.size} named nodes signed, ${election.quorum} are needed`);
  return { size, root, signers: [...signers].sort((left, right) => left - right) };
}

export interface LogProof {
  index: bigint;
  path: Uint8Array[];
  certificate: string;
}

/** A C2SP tlog-proof. `bad-proof` for any other text. */
export function readLogProof(proof: string): LogProof {
  const split = proof.indexOf("\n\n");
  const [heading, ...lines] = proof.slice(0, Math.max(0, split)).split("\n");
  const extra = lines[0]?.startsWith("extra ") === true ? fromBase64(lines.shift()!.slice(6)) : undefined;
  const first = lines.shift() ?? "";
  const index = first.startsWith("index ") ? decimal(first.slice(6)) : null;
  const path = lines.map(fromBase64);
  if (
    split < 0 ||
    heading !== PROOF_HEADING ||
    extra === null ||
    extra?.length === 0 ||
    index === null ||
    path.length > limits.MAX_PROOF_HASHES ||
    path.some((each) => each?.length !== 32)
  ) {
    throw new Fault("bad-proof", "it is not a proof of the log");
  }
  return { index, path: path as Uint8Array[], certificate: proof.slice(split + 2) };
}
