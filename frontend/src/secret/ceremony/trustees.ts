/** What is published of trustees' keys, and its check. */
import { demand } from "../../lib/fault.ts";
import { integer } from "../../lib/shape.ts";
import { BASE, type Element, type Entropy, IDENTITY } from "../group.ts";
import { type Proof, knowledgeHolds, proveKnowledge } from "../proofs.ts";
import { type Of, decode, encode, listOf, orNull, plain, point, proof, struct, words } from "./codec.ts";

export const GROUP_NAME = "Ed25519";

const number = plain(integer(Number.MIN_SAFE_INTEGER));
export const signedMessage = struct({ message: words, signature: proof });
const context = struct({ group: words, size: number, threshold: number, index: number });
export const certificateKeys = struct({ context, verification: point, encryption: point });
export const coefficientsForm = struct({ coefexps: listOf(point) });
const signedCoefficients = struct({ certs: listOf(signedMessage), coefexps: listOf(point) });
export const trusteeKey = struct({
  pok: proof,
  public_key: point,
  signature: orNull(proof),
  name: orNull(words),
});
const thresholdParameters = struct({
  threshold: number,
  certs: listOf(signedMessage),
  coefexps: listOf(signedMessage),
  signatures: listOf(proof),
  verification_keys: listOf(trusteeKey),
});

export type SignedMessage = Of<typeof signedMessage>;
export type CertificateKeys = Of<typeof certificateKeys>;
export type Coefficients = Of<typeof coefficientsForm>;
export type TrusteeKey = Of<typeof trusteeKey>;
export type ThresholdParameters = Of<typeof thresholdParameters>;

// -- proofs and signatures of trustees -------------------------------------------------------------

/** The public key of a private key with a proof of knowledge. */
export function proveTrusteeKey(secret: bigint, entropy: Entropy): TrusteeKey {
  const key = BASE.times(secret);
  return { pok: proveKnowledge(secret, keyPrefix(key), entropy), public_key: key, signature: null, name: null };
}

const keyPrefix = (key: Element) => `pok|${GROUP_NAME}|${key.written}|`;

export function signMessage(signingKey: bigint, message: string, entropy: Entropy): SignedMessage {
  return { message, signature: proveKnowledge(signingKey, `sigmsg|${message}|`, entropy) };
}

/** Whether the holder of the verification key signed the message. */
export const isSigned = (key: Element, message: string, signature: Proof): boolean =>
  knowledgeHolds(signature, key, `sigmsg|${message}|`);

// -- the check of a threshold ----------------------------------------------------------------------

export const keysIn = (certificate: SignedMessage): CertificateKeys =>
  decode(certificateKeys, certificate.message, "the trustee certificate");

/** The keys of all trustees of a key generation, in order. `bad-trustee-certificate` */
export function checkCertificates(certificates: readonly SignedMessage[]): CertificateKeys[] {
  const found = certificates.map(keysIn);
  const are = (holds: boolean, why: string) => demand(holds, "bad-trustee-certificate", why);
  are(found.length > 0, "there is no trustee certificate");
  const { threshold } = found[0]!.context;
  are(1 <= threshold && threshold <= found.length, `${threshold} of ${found.length} trustees is no threshold`);
  for (const [at, keys] of found.entries()) {
    const where = `trustee certificate ${at + 1}`;
    const isHere = isContext(keys, found.length, threshold, at + 1);
    are(isHere, `${where} belongs to another key generation or place`);
    const { message, signature } = certificates[at]!;
    are(isSigned(keys.verification, message, signature), `${where} is not signed by its own key`);
  }
  const different = new Set(found.map((keys) => keys.verification.written));
  are(different.size === found.length, "two trustee certificates are of the same trustee");
  return found;
}

/** Whether a certificate is for this place in a key generation of this size and threshold. */
export function isContext({ context: has }: CertificateKeys, size: number, threshold: number, index: number): boolean {
  return has.group === GROUP_NAME && has.size === size && has.threshold === threshold && has.index === index;
}

/** What a trustee signs so that all know the same certificates and coefficients. */
export const coefficientsMessage = (certs: readonly SignedMessage[], { coefexps }: Coefficients): string =>
  `certs_sig|${encode(signedCoefficients, { certs, coefexps })}`;

/** What one trustee published, signed twice. `bad-key-generation` */
export function checkCoefficients(
  certificates: readonly SignedMessage[],
  keys: CertificateKeys,
  coefexps: SignedMessage,
  signature: Proof,
): Coefficients {
  const where = `trustee ${keys.context.index}`;
  const are = (holds: boolean, why: string) => demand(holds, "bad-key-generation", `${where} ${why}`);
  are(isSigned(keys.verification, coefexps.message, coefexps.signature), "did not sign the coefficients");
  const found = decode(coefficientsForm, coefexps.message, "the coefficients");
  are(found.coefexps.length === keys.context.threshold, `published ${found.coefexps.length} coefficients`);
  const both = isSigned(keys.verification, coefficientsMessage(certificates, found), signature);
  are(both, "did not sign these certificates and coefficients");
  return found;
}

/** g to the power of the polynomial's value at this place. */
export function valueAt({ coefexps }: Coefficients, place: number): Element {
  return coefexps.reduceRight((total, one) => total.timesPublic(BigInt(place)).plus(one), IDENTITY);
}

/** The key follows from the coefficients, is proven, and signed by its owner. */
export function checkVerificationKey(
  keys: CertificateKeys,
  published: readonly Coefficients[],
  { pok, public_key: key, signature }: TrusteeKey,
): void {
  const { index } = keys.context;
  const isProven = knowledgeHolds(pok, key, keyPrefix(key));
  demand(isProven, "bad-trustee-proof", `the key ${key.written} is not proven`);
  const sum = published.reduce((total, one) => total.plus(valueAt(one, index)), IDENTITY);
  const follows = key.equals(sum);
  demand(follows, "bad-key-generation", `the public key of trustee ${index} does not follow from the coefficients`);
  const isOwn = signature !== null && isSigned(keys.verification, key.written, signature);
  demand(isOwn, "bad-key-generation", `trustee ${index} did not sign its public key`);
}

/** The text of Belenios' `trustees`, whose hash the definition of the election has. */
export const trusteesText = (parameters: ThresholdParameters): string =>
  JSON.stringify([["Pedersen", thresholdParameters.write(parameters)]]);
