/**
 * Pedersen's distributed key generation: each trustee's steps.
 *
 * Messages from trustee to trustee are sealed with libsodium's secret box, XSalsa20 and Poly1305.
 */
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js";
import { hex, toHex, utf8 } from "../../lib/bytes.ts";
import { Fault, demand } from "../../lib/fault.ts";
import { sha256 } from "../../lib/hash.ts";
import { decodeText } from "../../lib/json.ts";
import { pattern } from "../../lib/shape.ts";
import { BASE58 } from "../credential.ts";
import { BASE, type Element, type Entropy, GROUP_ORDER, drawScalar, hashToScalar } from "../group.ts";
import { type Form, type Of, decode, encode, listOf, plain, point, proof, scalar, struct, words } from "./codec.ts";
import {
  type CertificateKeys,
  type Coefficients,
  type SignedMessage,
  type ThresholdParameters,
  GROUP_NAME,
  certificateKeys,
  checkCertificates,
  checkCoefficients,
  checkVerificationKey,
  coefficientsForm,
  coefficientsMessage,
  isSigned,
  proveTrusteeKey,
  signMessage,
  signedMessage,
  trusteeKey,
  valueAt,
} from "./trustees.ts";

const SEED_CHARACTERS = 22;
const ALPHABET = String.fromCharCode(...BASE58);
const SEED = new RegExp(`^[${ALPHABET}]{${SEED_CHARACTERS}}$`);
/** Bytes from here on are left out, so that all characters are equally likely. */
const FAIR = 4 * ALPHABET.length;
const NONCE_BYTES = 24;

const sealedMessage = struct({ alpha: point, beta: point, data: plain(pattern(/^([0-9a-f]{2})*$/)) });
const channelMessage = struct({ recipient: point, message: words });
const rawPolynomial = struct({ polynomial: listOf(scalar) });
const secretShare = struct({ secret: scalar });
const decryptionKey = struct({ decryption_key: scalar });
export const polynomialMessage = struct({
  polynomial: words,
  secrets: listOf(words),
  coefexps: signedMessage,
  signature: proof,
});
export const verificationOutput = struct({ private_key: words, public_key: trusteeKey });

export type PolynomialMessage = Of<typeof polynomialMessage>;
export type VerificationOutput = Of<typeof verificationOutput>;

/** What a trustee has to keep: 22 base58 characters. The recovery card has them in another spelling. */
export class TrusteeSeed {
  readonly signingKey: bigint;
  readonly decryptionKey: bigint;

  constructor(readonly text: string) {
    demand(SEED.test(text), "bad-credential", `a trustee's seed is ${SEED_CHARACTERS} base58 characters`);
    this.signingKey = hashToScalar(`sk|${text}`);
    this.decryptionKey = hashToScalar(`dk|${text}`);
  }

  /** A new one: 64 random bytes hold 22 fair characters but once in 10^11 times. */
  static draw(entropy: Entropy): TrusteeSeed {
    for (;;) {
      const fair = [...entropy(64)].filter((byte) => byte < FAIR).slice(0, SEED_CHARACTERS);
      if (fair.length === SEED_CHARACTERS)
        return new TrusteeSeed(fair.map((byte) => ALPHABET[byte % ALPHABET.length]).join(""));
    }
  }

  /** Its public half: it says which trustee this is. */
  get verification(): Element {
    return BASE.times(this.signingKey);
  }
}

// -- channels --------------------------------------------------------------------------------------

const boxOf = (shared: Element, alpha: Element) =>
  xsalsa20poly1305(sha256(utf8(`key|${shared.written}`)), sha256(utf8(`iv|${alpha.written}`)).slice(0, NONCE_BYTES));

/** A text that the holder of the encryption key alone can open. */
export function seal(encryptionKey: Element, text: string, entropy: Entropy): string {
  const exponent = drawScalar(entropy);
  const shared = BASE.times(drawScalar(entropy));
  const alpha = BASE.times(exponent);
  const beta = encryptionKey.times(exponent).plus(shared);
  return encode(sealedMessage, { alpha, beta, data: toHex(boxOf(shared, alpha).encrypt(utf8(text))) });
}

/** The text that was sealed. `bad-key-generation` */
export function openSealed(key: bigint, sealed: string): string {
  const { alpha, beta, data } = decode(sealedMessage, sealed, "the sealed message");
  const shared = beta.minus(alpha.times(key));
  try {
    return decodeText(boxOf(shared, alpha).decrypt(hex(data)));
  } catch {
    throw new Fault("bad-key-generation", "a message was sealed for another trustee, or changed");
  }
}

/** A message signed together with its recipient, then sealed. */
function send<T>(signingKey: bigint, recipient: Element, form: Form<T>, value: T, entropy: Entropy): string {
  const channel = encode(channelMessage, { recipient, message: encode(form, value) });
  return seal(recipient, encode(signedMessage, signMessage(signingKey, channel, entropy)), entropy);
}

/** The message in it, if this sender signed it for this recipient. `bad-key-generation` */
function receive<T>(key: bigint, sender: Element, sealed: string, form: Form<T>): T {
  const { message, signature } = decode(signedMessage, openSealed(key, sealed), "the message");
  demand(isSigned(sender, message, signature), "bad-key-generation", "a message is not signed by its sender");
  const channel = decode(channelMessage, message, "the message");
  const isOurs = channel.recipient.equals(BASE.times(key));
  demand(isOurs, "bad-key-generation", "a message was signed for another trustee");
  return decode(form, channel.message, "the message");
}

// -- the steps -------------------------------------------------------------------------------------

/** Step 1 of the trustee at place `index`, from 1 on, of `size`. */
export function makeCertificate(
  seed: TrusteeSeed,
  index: number,
  threshold: number,
  size: number,
  entropy: Entropy,
): SignedMessage {
  const keys: CertificateKeys = {
    context: { group: GROUP_NAME, size, threshold, index },
    verification: seed.verification,
    encryption: BASE.times(seed.decryptionKey),
  };
  return signMessage(seed.signingKey, encode(certificateKeys, keys), entropy);
}

/** The place of the trustee with this seed, from 1 on. `bad-trustee-certificate` */
function ownPlace(seed: TrusteeSeed, certificates: readonly CertificateKeys[]): number {
  const [verification, encryption] = [seed.verification, BASE.times(seed.decryptionKey)];
  const found = certificates.find(
    (keys) => keys.verification.equals(verification) && keys.encryption.equals(encryption),
  );
  demand(found !== undefined, "bad-trustee-certificate", "no trustee certificate is of this seed");
  return found.context.index;
}

/** Step 2: a secret polynomial, its value for each trustee, the powers of its coefficients. */
export function makePolynomial(
  seed: TrusteeSeed,
  certificates: readonly SignedMessage[],
  entropy: Entropy,
): PolynomialMessage {
  const keys = checkCertificates(certificates);
  const own = keys[ownPlace(seed, keys) - 1]!;
  const { signingKey } = seed;
  const polynomial = Array.from({ length: own.context.threshold }, () => drawScalar(entropy));
  const coefficients: Coefficients = { coefexps: polynomial.map((one) => BASE.times(one)) };
  const common = signMessage(signingKey, coefficientsMessage(certificates, coefficients), entropy);
  // Entropy is taken in this order.
  const sent = send(signingKey, own.encryption, rawPolynomial, { polynomial }, entropy);
  const secrets = keys.map(({ context, encryption }) => {
    const secret = valueOf(polynomial, context.index);
    return send(signingKey, encryption, secretShare, { secret }, entropy);
  });
  const coefexps = signMessage(signingKey, encode(coefficientsForm, coefficients), entropy);
  return { polynomial: sent, secrets, coefexps, signature: common.signature };
}

const valueOf = (polynomial: readonly bigint[], place: number): bigint =>
  polynomial.reduceRight((value, one) => (value * BigInt(place) + one) % GROUP_ORDER, 0n);

/** The coefficients that all trustees published, in order. `bad-key-generation` */
export function checkPolynomials(
  certificates: readonly SignedMessage[],
  polynomials: readonly PolynomialMessage[],
): Coefficients[] {
  const keys = checkCertificates(certificates);
  const isWhole = polynomials.length === keys.length && polynomials.every((one) => one.secrets.length === keys.length);
  demand(isWhole, "bad-key-generation", `not one polynomial and share for each of ${keys.length} trustees`);
  return keys.map((own, at) => {
    const { coefexps, signature } = polynomials[at]!;
    return checkCoefficients(certificates, own, coefexps, signature);
  });
}

/** A part that a trustee sealed for another one, and that is not the right one; the fault names the sender. */
export class WrongPart extends Fault {
  /** `place`: of the sender, from 1 on. */
  constructor(
    readonly place: number,
    where: string,
  ) {
    super("bad-share", where);
  }
}

/** The share that the trustee at this place sealed for this key. `bad-share`: nobody else can see what is wrong */
function receiveShare(key: bigint, place: number, sender: Element, sealed: string): bigint {
  try {
    return receive(key, sender, sealed, secretShare).secret;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new WrongPart(place, `the part of trustee ${place} for you cannot be opened: ${error.where}`);
  }
}

/** Step 3: check the shares of all others, add them, publish the key. `bad-share` names who sent another one. */
export function finishTrustee(
  seed: TrusteeSeed,
  certificates: readonly SignedMessage[],
  polynomials: readonly PolynomialMessage[],
  entropy: Entropy,
): VerificationOutput {
  const published = checkPolynomials(certificates, polynomials);
  const keys = checkCertificates(certificates);
  const place = ownPlace(seed, keys);
  const { signingKey, decryptionKey: key } = seed;
  let secret = 0n;
  for (const [at, { verification }] of keys.entries()) {
    const share = receiveShare(key, at + 1, verification, polynomials[at]!.secrets[place - 1]!);
    const fits = BASE.times(share).equals(valueAt(published[at]!, place));
    if (!fits) throw new WrongPart(at + 1, `the share of trustee ${at + 1} does not fit its coefficients`);
    secret = (secret + share) % GROUP_ORDER;
  }
  const proven = proveTrusteeKey(secret, entropy);
  const { signature } = signMessage(signingKey, proven.public_key.written, entropy);
  const own = keys[place - 1]!.encryption;
  const sealed = send(signingKey, own, decryptionKey, { decryption_key: secret }, entropy);
  return { private_key: sealed, public_key: { ...proven, signature } };
}

/** What is published in the end. `bad-key-generation` */
export function finishThreshold(
  certificates: readonly SignedMessage[],
  polynomials: readonly PolynomialMessage[],
  outputs: readonly VerificationOutput[],
): ThresholdParameters {
  const keys = checkCertificates(certificates);
  const published = checkPolynomials(certificates, polynomials);
  demand(outputs.length === keys.length, "bad-key-generation", `${outputs.length} of ${keys.length} trustees finished`);
  for (const [at, own] of keys.entries()) checkVerificationKey(own, published, outputs[at]!.public_key);
  return {
    threshold: keys[0]!.context.threshold,
    certs: certificates,
    coefexps: polynomials.map((one) => one.coefexps),
    signatures: polynomials.map((one) => one.signature),
    verification_keys: outputs.map((one) => one.public_key),
  };
}

/** The private key that a trustee sealed for itself in its last step. */
export const restoreDecryptionKey = (seed: TrusteeSeed, sealed: string): bigint =>
  receive(seed.decryptionKey, seed.verification, sealed, decryptionKey).decryption_key;
