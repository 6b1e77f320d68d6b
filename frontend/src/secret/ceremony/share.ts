/** A trustee's share of the count of an election, and whether an election is that of the ceremony. */
import { toHex, utf8 } from "../../lib/bytes.ts";
import type { Definition } from "../../lib/definition.ts";
import { demand } from "../../lib/fault.ts";
import { sha256 } from "../../lib/hash.ts";
import { canonical } from "../../lib/json.ts";
import { combined, contextOf, tallyText } from "../decryption_share.ts";
import type { SecretElection } from "../election.ts";
import { BASE, type Entropy } from "../group.ts";
import { proveKnowledge } from "../proofs.ts";
import type { EncryptedSums } from "../tally.ts";
import type { Bulletin } from "./bulletin.ts";
import { encode, proof as proofForm } from "./codec.ts";
import type { TrusteeSeed } from "./key_generation.ts";
import { decryptPartially, partialDecryption } from "./partial_decryption.ts";
import { derivedEntropy, restoreShare } from "./trustee.ts";

/** The share of the trustee at this place with this private key. */
export function makeShare(
  election: SecretElection,
  sums: EncryptedSums,
  place: number,
  secret: bigint,
  entropy: Entropy,
): string {
  const decryption = encode(partialDecryption, decryptPartially(election, sums, secret, entropy));
  const context = contextOf(election, sums, BASE.times(secret), decryption);
  const alphas = sums.flat().map((one) => one.alpha);
  const proof = proveKnowledge(secret, `share|${context}|`, entropy, [BASE, combined(alphas, context)]);
  return JSON.stringify({ decryption, place, proof: proofForm.write(proof) });
}

/** The share of the trustee with this seed. Nonces depend on the private key, too. `wrong-card` */
export function shareOf(bulletin: Bulletin, seed: TrusteeSeed, election: SecretElection, sums: EncryptedSums): string {
  const { place, secret } = restoreShare(bulletin, seed);
  const summed = toHex(sha256(utf8(tallyText(sums))));
  const entropy = derivedEntropy(seed, "share", election.fingerprint, summed, BASE.times(secret).written);
  return makeShare(election, sums, place, secret, entropy);
}

/** Whether an election was made of this ceremony: its trustees' keys, names and threshold, its draft. `other-election` */
export function checkMadeOf(made: Definition, bulletin: Bulletin): void {
  const { draft } = bulletin;
  const record = toHex(sha256(utf8(bulletin.trustees)));
  const keys = bulletin.keys.map((key, at) => ({ key: key.written, name: draft.trustees[at]! }));
  const own = { keys, record, threshold: draft.threshold };
  const isOwn = made.trustees !== null && same(made.trustees, own);
  demand(isOwn, "other-election", "its trustees, or their keys, are not those of the ceremony");
  const contests = toHex(sha256(canonical(made.contests)));
  const { closes, opens, title: name, uuid } = made;
  const isDrafted = same(
    { closes, contests, name, opens, uuid },
    { closes: draft.closes, contests: draft.contests, name: draft.name, opens: draft.opens, uuid: draft.uuid },
  );
  demand(isDrafted, "other-election", "since the trustees began, the election has changed");
}

const same = (one: unknown, other: unknown): boolean => toHex(canonical(one)) === toHex(canonical(other));
