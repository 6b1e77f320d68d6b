/**
 * What one trustee does in a ceremony. Everything follows from the seed and the bulletin.
 *
 * Randomness is derived from the seed and from all that it is used for: a step that is done twice gives the same
 * record twice.
 */
import { shake256 } from "@noble/hashes/sha3.js";
import { utf8 } from "../../lib/bytes.ts";
import { Fault, demand } from "../../lib/fault.ts";
import { BASE, type Entropy } from "../group.ts";
import { type Bulletin, type HeldRecord, type Step, heldRecord, signedText } from "./bulletin.ts";
import { encode } from "./codec.ts";
import { nameOf } from "./draft.ts";
import {
  type TrusteeSeed,
  type VerificationOutput,
  WrongPart,
  finishTrustee,
  makeCertificate,
  makePolynomial,
  polynomialMessage,
  restoreDecryptionKey,
  verificationOutput,
} from "./key_generation.ts";
import { decryptPartially, partialDecryption } from "./partial_decryption.ts";
import { signMessage, signedMessage } from "./trustees.ts";

const DOMAIN = "votenet/ceremony-entropy/1";

/** A trustee's private key, and where it belongs. */
export interface TrusteeShare {
  readonly place: number;
  readonly secret: bigint;
}

/**
 * The record of the next step of the trustee at this place; null while it waits for others, or is done. The
 * rehearsal is not among these steps.
 *
 * `two-records`, `wrong-card` where another key is at this place, `bad-share`
 */
export function nextRecord(bulletin: Bulletin, seed: TrusteeSeed, place: number): HeldRecord | null {
  bulletin.checkGoing();
  checkPlace(bulletin, seed, place);
  const waiting = bulletin.waiting();
  if (waiting === null || !waiting.places.includes(place) || waiting.step === "rehearsal") return null;
  return recordOf(bulletin, seed, place, waiting.step);
}

/** The record of the last step: the test tally decrypted with the share that the seed restores. */
export function rehearse(bulletin: Bulletin, seed: TrusteeSeed): HeldRecord {
  bulletin.checkGoing();
  return recordOf(bulletin, seed, restoreShare(bulletin, seed).place, "rehearsal");
}

/** The place of the trustee with this seed; null if its certificate is not there. */
export function placeOf(bulletin: Bulletin, seed: TrusteeSeed): number | null {
  const own = seed.verification;
  return bulletin.places.find((place) => bulletin.keysOf(place)?.verification.equals(own) ?? false) ?? null;
}

/** The private key of the trustee with this seed. `ceremony-incomplete`, `wrong-card` */
export function restoreShare(bulletin: Bulletin, seed: TrusteeSeed): TrusteeShare {
  const { outputs, keys } = bulletin;
  const place = placeOf(bulletin, seed);
  demand(place !== null, "wrong-card", "no trustee of this election has this recovery card");
  const secret = restoreDecryptionKey(seed, outputs[place - 1]!.private_key);
  const fits = BASE.times(secret).equals(keys[place - 1]!);
  demand(fits, "bad-key-generation", `what ${nameOf(bulletin.draft, place)} sealed is not the private key`);
  return { place, secret };
}

/** A stream of random bytes that nobody without the seed can tell from others. */
export function derivedEntropy(seed: TrusteeSeed, ...usedFor: string[]): Entropy {
  let drawn = 0;
  return (dkLen) => shake256(utf8(JSON.stringify([DOMAIN, seed.text, ...usedFor, ++drawn])), { dkLen });
}

function checkPlace(bulletin: Bulletin, seed: TrusteeSeed, place: number): void {
  const own = seed.verification;
  const name = nameOf(bulletin.draft, place);
  for (const other of bulletin.places) {
    const keys = bulletin.keysOf(other);
    if (keys === undefined || (other === place) === keys.verification.equals(own)) continue;
    if (other === place) throw new Fault("wrong-card", `another key was handed in for ${name}`);
    throw new Fault("wrong-card", `this key was handed in for ${nameOf(bulletin.draft, other)}, not for ${name}`);
  }
}

function recordOf(bulletin: Bulletin, seed: TrusteeSeed, place: number, step: Step): HeldRecord {
  const draft = bulletin.draft.digest;
  const seen = bulletin.seenBefore(step);
  const entropy = derivedEntropy(seed, draft, `${place}`, step, seen);
  const unsigned = { draft, place, step, seen, content: contentOf(bulletin, seed, place, step, entropy) };
  const { signature } = signMessage(seed.signingKey, signedText(unsigned), entropy);
  return heldRecord({ ...unsigned, signature });
}

/** The last step of the key generation. `bad-share` with the name of the trustee whose part is wrong */
function finished(bulletin: Bulletin, seed: TrusteeSeed, entropy: Entropy): VerificationOutput {
  try {
    return finishTrustee(seed, bulletin.certificates, bulletin.polynomials, entropy);
  } catch (error) {
    if (!(error instanceof WrongPart)) throw error;
    throw new Fault(error.code, `${nameOf(bulletin.draft, error.place)}: ${error.where}`);
  }
}

function contentOf(bulletin: Bulletin, seed: TrusteeSeed, place: number, step: Step, entropy: Entropy): string {
  const { threshold, trustees } = bulletin.draft;
  switch (step) {
    case "certificate":
      return encode(signedMessage, makeCertificate(seed, place, threshold, trustees.length, entropy));
    case "coefficients":
      return encode(polynomialMessage, makePolynomial(seed, bulletin.certificates, entropy));
    case "key":
      return encode(verificationOutput, finished(bulletin, seed, entropy));
    case "rehearsal": {
      const { election, tally } = bulletin.rehearsal;
      const { secret } = restoreShare(bulletin, seed);
      return encode(partialDecryption, decryptPartially(election, tally, secret, entropy));
    }
  }
}
