/** A trustee's share of the decryption: Belenios' partial decryption, and one more proof about all of it. */
import { concat, hex, toHex, utf8 } from "../lib/bytes.ts";
import { Fault, demand } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";
import { integer, list, object, text } from "../lib/shape.ts";
import type { Steps } from "../lib/steps.ts";
import { proofShape, readProof } from "./ballot.ts";
import { readDocument } from "./documents.ts";
import type { SecretElection } from "./election.ts";
import { type Element, IDENTITY, hashToScalar, parseSum } from "./group.ts";
import { type Proof, knowledgeHolds } from "./proofs.ts";
import type { EncryptedSums, Factors } from "./tally.ts";

const DOMAIN = "votenet/decryption-share/1\n";
const shareShape = object({ decryption: text(), place: integer(1), proof: proofShape });
const decryptionShape = object({
  decryption_factors: list(list(text())),
  decryption_proofs: list(list(proofShape)),
});

/** The share of the trustee at this place, from 1 on. */
export interface CheckedShare {
  place: number;
  factors: Factors;
}

/**
 * The share in this text, if it is that of a trustee for these sums. `keys`: those of the trustees, as they are written.
 *
 * `bad-document`, `bad-scalar`, `not-canonical`; `bad-decryption`, for all that is wrong with the decryption itself.
 */
export function* checkShare(
  election: SecretElection,
  sums: EncryptedSums,
  keys: readonly Element[],
  raw: string,
): Steps<CheckedShare> {
  const { decryption, place, proof } = readDocument(raw, "a share", shareShape);
  const again = JSON.stringify({ decryption, place, proof: inOrder(proof) });
  demand(again === raw, "not-canonical", "a share is not compact JSON in its order");
  const where = `the share of trustee ${place}`;
  demand(place <= keys.length, "bad-decryption", `${where}: there is no such trustee`);
  const key = keys[place - 1]!;
  const { factors, proofs } = readDecryption(decryption, where);
  const lengths = `${sums.map((row) => row.length)}`;
  const isWhole = [factors, proofs].every((rows) => `${rows.map((row) => row.length)}` === lengths);
  demand(isWhole, "bad-decryption", `${where}: not one factor and proof for each sum`);
  const prefix = `decrypt|${election.fingerprint}|${key.written}|`;
  const [alphas, powers] = [sums.flat().map((one) => one.alpha), factors.flat()];
  for (const [at, one] of proofs.flat().entries()) {
    const holds = knowledgeHolds(one, key, prefix, [[alphas[at]!, powers[at]!]]);
    demand(holds, "bad-decryption", `${where}: a factor is not proven`);
    yield;
  }
  const context = contextOf(election, sums, key, decryption);
  const both = [combined(alphas, context), combined(powers, context)] as const;
  const holds = knowledgeHolds(readProof(proof), key, `share|${context}|`, [both]);
  demand(holds, "bad-decryption", `${where}: its factors are not of one private key`);
  return { place, factors };
}

interface WrittenProof {
  challenge: string;
  response: string;
}
const inOrder = ({ challenge, response }: WrittenProof) => ({ challenge, response });

/** The factors and proofs of a partial decryption. `bad-decryption` */
function readDecryption(raw: string, where: string): { factors: Element[][]; proofs: Proof[][] } {
  try {
    const { decryption_factors, decryption_proofs } = readDocument(raw, where, decryptionShape);
    const factors = decryption_factors.map((row) => row.map(parseSum));
    const proofs = decryption_proofs.map((row) => row.map(inOrder));
    const again = JSON.stringify({ decryption_factors, decryption_proofs: proofs });
    demand(again === raw, "not-canonical", `${where} is not compact JSON in the specification's order`);
    return { factors, proofs: proofs.map((row) => row.map(readProof)) };
  } catch (error) {
    throw error instanceof Fault ? new Fault("bad-decryption", error.where) : error;
  }
}

/** The text of Belenios' encrypted tally. */
export const tallyText = (sums: EncryptedSums): string =>
  JSON.stringify(sums.map((row) => row.map(({ alpha, beta }) => ({ alpha: alpha.written, beta: beta.written }))));

/** The hash of all that the added proof is about. */
export function contextOf(election: SecretElection, sums: EncryptedSums, key: Element, decryption: string): string {
  const parts = [utf8(election.text), utf8(tallyText(sums)), hex(key.written).reverse(), utf8(decryption)];
  return toHex(sha256(concat(utf8(DOMAIN), ...parts.map((one) => sha256(one)))));
}

/** The sum of all elements, each times a number that is known only when all are. */
export const combined = (elements: readonly Element[], context: string): Element =>
  elements.reduce((sum, one, at) => sum.plus(one.timesPublic(hashToScalar(`combine|${context}|${at}`))), IDENTITY);
