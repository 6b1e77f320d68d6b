/** Zero-knowledge proofs: knowledge of an exponent, and that one of several ciphertexts encrypts zero. */
import type { Ciphertext, Opening } from "./encryption.ts";
import { BASE, type Element, type Entropy, challengeFor, drawScalar, modulo } from "./group.ts";

/** The specification's `proof`. */
export interface Proof {
  readonly challenge: bigint;
  readonly response: bigint;
}

/** A proof of knowing the exponent of powers of these bases, the same for all: of g alone, by default. */
export function proveKnowledge(
  secret: bigint,
  prefix: string,
  entropy: Entropy,
  bases: readonly Element[] = [BASE],
): Proof {
  const nonce = drawScalar(entropy);
  const commitments = bases.map((base) => base.times(nonce));
  const challenge = challengeFor(prefix, commitments);
  return { challenge, response: modulo(nonce - secret * challenge) };
}

/** Whether the maker knew the exponent of this power of g; and that it makes these other powers, each of its base. */
export function knowledgeHolds(
  proof: Proof,
  power: Element,
  prefix: string,
  others: readonly (readonly [base: Element, power: Element])[] = [],
): boolean {
  const commitments = [[BASE, power] as const, ...others].map(([base, result]) => commitment(proof, base, result));
  return proof.challenge === challengeFor(prefix, commitments);
}

/**
 * A proof that one of these encryptions is of zero, without saying that it is the first one that is.
 *
 * The specification computes the commitments of the others from the ciphertexts. Their maker knows the exponents, so
 * that each is a power of g or of the key, for which there are tables.
 */
export function proveOneIsZero(
  openings: readonly Opening[],
  key: Element,
  prefix: string,
  entropy: Entropy,
): readonly Proof[] {
  const real = openings.findIndex((one) => one.number === 0);
  if (real < 0) throw new RangeError("none of them is of zero");
  const proofs: Proof[] = openings.map(() => ({ challenge: drawScalar(entropy), response: drawScalar(entropy) }));
  const nonce = drawScalar(entropy);
  const commitments = openings.flatMap((one, index) => {
    if (index === real) return [BASE.times(nonce), key.times(nonce)];
    const { challenge, response } = proofs[index]!;
    const exponent = response + one.randomness * challenge;
    return [BASE.times(exponent), key.times(exponent).plus(BASE.times(BigInt(one.number) * challenge))];
  });
  const others = proofs.reduce((sum, proof, index) => (index === real ? sum : sum + proof.challenge), 0n);
  const challenge = modulo(challengeFor(prefix, commitments) - others);
  proofs[real] = { challenge, response: modulo(nonce - openings[real]!.randomness * challenge) };
  return proofs;
}

/** Whether one of the encryptions is of zero. */
export function oneIsZero(
  proofs: readonly Proof[],
  encryptions: readonly Ciphertext[],
  key: Element,
  prefix: string,
): boolean {
  if (proofs.length !== encryptions.length) return false;
  const commitments = proofs.flatMap((proof, index) => {
    const { alpha, beta } = encryptions[index]!;
    return [commitment(proof, BASE, alpha), commitment(proof, key, beta)];
  });
  const sum = proofs.reduce((total, proof) => total + proof.challenge, 0n);
  return modulo(sum) === challengeFor(prefix, commitments);
}

const commitment = (proof: Proof, base: Element, result: Element): Element =>
  base.timesPublic(proof.response).plus(result.timesPublic(proof.challenge));
