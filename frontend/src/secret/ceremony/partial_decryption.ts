/** A trustee's part in the decryption of sums: alpha^x of each, with proofs. */
import { Fault, demand } from "../../lib/fault.ts";
import type { SecretElection } from "../election.ts";
import { BASE, type Element, type Entropy } from "../group.ts";
import { knowledgeHolds, proveKnowledge } from "../proofs.ts";
import type { EncryptedSums } from "../tally.ts";
import { type Of, listOf, proof, struct, sumPoint } from "./codec.ts";

export const partialDecryption = struct({
  decryption_factors: listOf(listOf(sumPoint)),
  decryption_proofs: listOf(listOf(proof)),
});
export type PartialDecryption = Of<typeof partialDecryption>;

const prefixOf = ({ fingerprint }: SecretElection, key: Element) => `decrypt|${fingerprint}|${key.written}|`;

export function decryptPartially(
  election: SecretElection,
  tally: EncryptedSums,
  secret: bigint,
  entropy: Entropy,
): PartialDecryption {
  const prefix = prefixOf(election, BASE.times(secret));
  return {
    decryption_factors: tally.map((row) => row.map(({ alpha }) => alpha.times(secret))),
    decryption_proofs: tally.map((row) =>
      row.map(({ alpha }) => proveKnowledge(secret, prefix, entropy, [BASE, alpha])),
    ),
  };
}

/** Whether the holder of this key made it for this tally. `bad-decryption` */
export function checkDecryption(
  election: SecretElection,
  tally: EncryptedSums,
  key: Element,
  { decryption_factors: factors, decryption_proofs: proofs }: PartialDecryption,
): void {
  const prefix = prefixOf(election, key);
  const isLike = (rows: readonly (readonly unknown[])[]) =>
    rows.length === tally.length && rows.every((row, at) => row.length === tally[at]!.length);
  const one = "the partial decryption has not one factor and proof for each sum";
  demand(isLike(factors) && isLike(proofs), "bad-decryption", one);
  for (const [number, row] of tally.entries()) {
    for (const [at, { alpha }] of row.entries()) {
      const holds = knowledgeHolds(proofs[number]![at]!, key, prefix, [[alpha, factors[number]![at]!]]);
      if (!holds) throw new Fault("bad-decryption", `choice ${at + 1} of contest ${number + 1} is not proven`);
    }
  }
}
