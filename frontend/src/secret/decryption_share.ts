/** A trustee's share of the decryption: Belenios' partial decryption, and one more proof about all of it. */
import { concat, hex, toHex, utf8 } from "../lib/bytes.ts";
import { Fault, demand } from "../lib/fault.ts";
import { sha256 } from "../lib/hash.ts";
import { OddNumber, canonicalText } from "../lib/json.ts";
import { type Check, integer, text } from "../lib/shape.ts";
import type { Steps } from "../lib/steps.ts";
import { proofDocument, proofShape } from "./ballot.ts";
import { listOf, objectWith, readDocument } from "./documents.ts";
import type { SecretElection } from "./election.ts";
import { type Element, IDENTITY, hashToScalar, parseSum } from "./group.ts";
import { type Proof, knowledgeHolds } from "./proofs.ts";
import type { EncryptedSums, Factors } from "./tally.ts";

const DOMAIN = "votenet/decryption-share/1\n";
/** A number from 1 on, however large. */
const place: Check<number | OddNumber> = (value) =>
  value instanceof OddNumber && /^[1-9][0-9]*$/.test(value.text) ? value : integer(1)(value);
const shareShape = objectWith({ decryption: text(), place, proof: proofShape });
const factor: Check<Element> = (value) => parseSum(text()(value));
const decryptionShape = objectWith({
  decryption_factors: listOf(listOf(factor)),
  decryption_proofs: listOf(listOf(proofShape)),
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
  const again = canonicalText({ decryption, place, proof: proofDocument(proof) });
  demand(again === raw, "not-canonical", "a share is not compact JSON in its order");
  demand(!(place instanceof OddNumber) && place <= keys.length, "bad-decryption", "a share of no trustee");
  const where = `the share of trustee ${place}`;
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
  const holds = knowledgeHolds(proof, key, `share|${context}|`, [both]);
  demand(holds, "bad-decryption", `${where}: its factors are not of one private key`);
  return { place, factors };
}

/** The factors and proofs of a partial decryption. `bad-decryption` */
function readDecryption(raw: string, where: string): { factors: Element[][]; proofs: Proof[][] } {
  try {
    const { decryption_factors: factors, decryption_proofs: proofs } = readDocument(raw, where, decryptionShape);
    const again = JSON.stringify({
      decryption_factors: factors.map((row) => row.map((one) => one.written)),
      decryption_proofs: proofs.map((row) => row.map(proofDocument)),
    });
    demand(again === raw, "not-canonical", `${where} is not compact JSON in the specification's order`);
    return { factors, proofs };
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
