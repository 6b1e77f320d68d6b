"""Pedersen's distributed key generation (specification 3.1.1, 4.6): each trustee's steps, and what is routed.

Certificates, coefficients, signatures and verification keys are Belenios'. The messages from trustee to
trustee are sealed with libsodium's secret box where the specification has AES: no verifier ever sees them,
and Belenios itself has changed that cipher since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import msgspec
from nacl.bindings import crypto_secretbox, crypto_secretbox_NONCEBYTES, crypto_secretbox_open
from nacl.exceptions import CryptoError

from votenet.derive import BASE58
from votenet.errors import NotProven
from votenet.secret.credentials import base58_characters
from votenet.secret.documents import Document, T, decode, encode
from votenet.secret.group import (
    BASE,
    GROUP_NAME,
    GROUP_ORDER,
    Entropy,
    Point,
    Scalar,
    add,
    draw_scalar,
    hash_to_scalar,
    multiply,
    subtract,
)
from votenet.secret.proofs import SchnorrProof
from votenet.secret.refusals import refusal
from votenet.secret.trustees import (
    Coefficients,
    KeyGenerationContext,
    SignedMessage,
    ThresholdParameters,
    TrusteeCertificateKeys,
    TrusteeKey,
    check_coefficients,
    check_trustee_certificates,
    check_verification_key,
    coefficients_message,
    is_signed,
    prove_trustee_key,
    sign_message,
    value_at,
)

SEED_CHARACTERS: Final = 22


class SealedMessage(Document, frozen=True):
    """The specification's `encrypted_msg` (4.6.1)."""

    alpha: Point
    beta: Point
    data: str


class ChannelMessage(Document, frozen=True):
    """The specification's `channel_msg` (4.6.3)."""

    recipient: Point
    message: str


class RawPolynomial(Document, frozen=True):
    """The specification's `raw_polynomial` (4.6.4)."""

    polynomial: tuple[Scalar, ...]


class SecretShare(Document, frozen=True):
    """The specification's `secret` (4.6.4): a polynomial's value for one trustee."""

    secret: Scalar


class DecryptionKey(Document, frozen=True):
    """A trustee's private key S_j (4.6.6), as the tool keeps it."""

    decryption_key: Scalar


class PolynomialMessage(Document, frozen=True):
    """The specification's `polynomial` (4.6.4): what a trustee sends in step 3."""

    polynomial: str
    secrets: tuple[str, ...]
    coefexps: SignedMessage
    signature: SchnorrProof


class VerificationInput(Document, frozen=True):
    """The specification's `vinput` (4.6.5): what all trustees sent to one of them."""

    polynomial: str
    secrets: tuple[str, ...]
    coefexps: tuple[SignedMessage, ...]
    signatures: tuple[SchnorrProof, ...]


class VerificationOutput(Document, frozen=True):
    """The specification's `voutput` (4.6.6): a trustee's public key, and its private one, sealed."""

    private_key: str
    public_key: TrusteeKey


class TrusteeSeed(NamedTuple):
    """What a trustee has to keep for the key generation (4.6.1): 22 base58 characters."""

    text: str

    @classmethod
    def draw(cls, entropy: Entropy) -> Self:
        """A new seed: 64 random bytes hold 22 fair characters but once in 10**11 times."""
        text = ""
        while len(text) < SEED_CHARACTERS:
            text = base58_characters(entropy(64), SEED_CHARACTERS)
        return cls(text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises NotProven, code bad-credential."""
        if len(text) != SEED_CHARACTERS or not set(text) <= set(BASE58):
            raise refusal("bad-credential", f"a trustee's seed is {SEED_CHARACTERS} base58 characters")
        return cls(text)

    @property
    def signing_key(self) -> Scalar:
        return hash_to_scalar(f"sk|{self.text}")

    @property
    def decryption_key(self) -> Scalar:
        return hash_to_scalar(f"dk|{self.text}")


# -- channels (4.6.1, 4.6.3) -----------------------------------------------------------------------------


def seal(encryption_key: Point, plaintext: bytes, entropy: Entropy) -> str:
    """A message that the holder of the encryption key alone can open (4.6.1)."""
    exponent = draw_scalar(entropy)
    shared = multiply(BASE, draw_scalar(entropy))
    alpha = Point(multiply(BASE, exponent))
    beta = Point(add(multiply(encryption_key, exponent), shared))
    data = crypto_secretbox(plaintext, _nonce(alpha), _box_key(shared))
    return encode(SealedMessage(alpha=alpha, beta=beta, data=data.hex())).decode()


def open_sealed(decryption_key: int, sealed: str) -> bytes:
    """Raises NotProven, code bad-key-generation."""
    message = decode(sealed, SealedMessage, "the sealed message")
    shared = subtract(message.beta, multiply(message.alpha, decryption_key))
    try:
        return crypto_secretbox_open(bytes.fromhex(message.data), _nonce(message.alpha), _box_key(shared))
    except (ValueError, CryptoError):
        raise refusal("bad-key-generation", "a message was sealed for another trustee, or changed") from None


def _box_key(shared: Point) -> bytes:
    return hashlib.sha256(f"key|{shared.written()}".encode()).digest()


def _nonce(alpha: Point) -> bytes:
    return hashlib.sha256(f"iv|{alpha.written()}".encode()).digest()[:crypto_secretbox_NONCEBYTES]


def send(signing_key: int, recipient: Point, message: Document, entropy: Entropy) -> str:
    """The specification's send (4.6.3): signed together with its recipient, then sealed."""
    channel = ChannelMessage(recipient=recipient, message=encode(message).decode())
    return seal(recipient, encode(sign_message(signing_key, encode(channel).decode(), entropy)), entropy)


def receive(decryption_key: int, sender: Point, sealed: str, kind: type[T]) -> T:
    """The message in it, if this sender signed it for this recipient. Raises NotProven."""
    signed = decode(open_sealed(decryption_key, sealed), SignedMessage, "the message")
    if not is_signed(sender, signed.message, signed.signature):
        raise refusal("bad-key-generation", "a message is not signed by its sender")
    channel = decode(signed.message, ChannelMessage, "the message")
    if channel.recipient != multiply(BASE, decryption_key):
        raise refusal("bad-key-generation", "a message was signed for another trustee")
    return decode(channel.message, kind, "the message")


# -- the steps -------------------------------------------------------------------------------------------


def make_trustee_certificate(
    seed: TrusteeSeed, index: int, threshold: int, size: int, entropy: Entropy
) -> SignedMessage:
    """Step 1 of trustee `index` (from 1 on) of `size` (4.6.2)."""
    keys = TrusteeCertificateKeys(
        context=KeyGenerationContext(group=GROUP_NAME, size=size, threshold=threshold, index=index),
        verification=Point(multiply(BASE, seed.signing_key)),
        encryption=Point(multiply(BASE, seed.decryption_key)),
    )
    return sign_message(seed.signing_key, encode(keys).decode(), entropy)


def own_place(seed: TrusteeSeed, certificates: Sequence[TrusteeCertificateKeys]) -> int:
    """The index of the trustee with this seed. Raises NotProven, code bad-trustee-certificate."""
    own = multiply(BASE, seed.signing_key), multiply(BASE, seed.decryption_key)
    for keys in certificates:
        if (keys.verification, keys.encryption) == own:
            return keys.context.index
    raise refusal("bad-trustee-certificate", "no trustee certificate is of this seed")


def value_of(polynomial: Sequence[int], place: int) -> Scalar:
    """f(place) modulo the order (4.6.4)."""
    value = 0
    for coefficient in reversed(polynomial):
        value = value * place + coefficient
    return Scalar(value % GROUP_ORDER)


def make_polynomial(
    seed: TrusteeSeed, certificates: Sequence[SignedMessage], entropy: Entropy
) -> PolynomialMessage:
    """Step 3: a secret polynomial, its value for each trustee, the powers of its coefficients (4.6.4)."""
    keys = check_trustee_certificates(certificates)
    own = keys[own_place(seed, keys) - 1]
    signing_key = seed.signing_key
    polynomial = tuple(draw_scalar(entropy) for _ in range(own.context.threshold))
    coefficients = Coefficients(coefexps=tuple(Point(multiply(BASE, one)) for one in polynomial))
    common = sign_message(signing_key, coefficients_message(certificates, coefficients), entropy)
    return PolynomialMessage(
        polynomial=send(signing_key, own.encryption, RawPolynomial(polynomial=polynomial), entropy),
        secrets=tuple(
            send(
                signing_key,
                other.encryption,
                SecretShare(secret=value_of(polynomial, other.context.index)),
                entropy,
            )
            for other in keys
        ),
        coefexps=sign_message(signing_key, encode(coefficients).decode(), entropy),
        signature=common.signature,
    )


def check_polynomials(
    certificates: Sequence[SignedMessage], polynomials: Sequence[PolynomialMessage]
) -> list[Coefficients]:
    """The coefficients that all trustees published, in order. Raises NotProven."""
    keys = check_trustee_certificates(certificates)
    if len(polynomials) != len(keys) or any(len(one.secrets) != len(keys) for one in polynomials):
        raise refusal("bad-key-generation", f"not one polynomial and share for each of {len(keys)} trustees")
    return [
        check_coefficients(certificates, own, message.coefexps, message.signature)
        for own, message in zip(keys, polynomials, strict=True)
    ]


def route_polynomials(
    certificates: Sequence[SignedMessage], polynomials: Sequence[PolynomialMessage]
) -> list[VerificationInput]:
    """Step 4: what each trustee gets of the others (4.6.5). Raises NotProven."""
    check_polynomials(certificates, polynomials)
    return [
        VerificationInput(
            polynomial=own.polynomial,
            secrets=tuple(one.secrets[place] for one in polynomials),
            coefexps=tuple(one.coefexps for one in polynomials),
            signatures=tuple(one.signature for one in polynomials),
        )
        for place, own in enumerate(polynomials)
    ]


class FinishedTrustee(NamedTuple):
    """What step 5 leaves a trustee with: its private key, and what it publishes."""

    decryption_key: Scalar
    output: VerificationOutput


def finish_trustee(
    seed: TrusteeSeed, certificates: Sequence[SignedMessage], received: VerificationInput, entropy: Entropy
) -> FinishedTrustee:
    """Step 5: check the shares of all others, add them (4.6.5, 4.6.6).

    Raises:
        NotProven: bad-share names the trustee whose share cannot be opened, or does not fit.

    A trustee who sent others another polynomial is found out: it signed certificates and coefficients.
    """
    keys = check_trustee_certificates(certificates)
    place = own_place(seed, keys)
    signing_key, decryption_key = seed.signing_key, seed.decryption_key
    rows = (received.secrets, received.coefexps, received.signatures)
    if any(len(row) != len(keys) for row in rows):
        raise refusal("bad-key-generation", f"not one share for each of {len(keys)} trustees")
    shares: list[int] = []
    for sender, sealed, coefexps, signature in zip(keys, *rows, strict=True):
        coefficients = check_coefficients(certificates, sender, coefexps, signature)
        number = sender.context.index
        try:
            share = receive(decryption_key, sender.verification, sealed, SecretShare).secret
        except NotProven as error:
            message = f"the part of trustee {number} for you cannot be opened"
            raise refusal("bad-share", message) from error
        if multiply(BASE, share) != value_at(coefficients, place):
            raise refusal("bad-share", f"the share of trustee {number} does not fit its coefficients")
        shares.append(share)
    private = Scalar(sum(shares) % GROUP_ORDER)
    public = prove_trustee_key(private, entropy)
    signed = sign_message(signing_key, public.public_key.written(), entropy)
    own = keys[place - 1].encryption
    output = VerificationOutput(
        private_key=send(signing_key, own, DecryptionKey(decryption_key=private), entropy),
        public_key=msgspec.structs.replace(public, signature=signed.signature),
    )
    return FinishedTrustee(private, output)


def finish_threshold(
    certificates: Sequence[SignedMessage],
    polynomials: Sequence[PolynomialMessage],
    outputs: Sequence[VerificationOutput],
) -> ThresholdParameters:
    """Step 6: what is published (4.6.7). Raises NotProven."""
    keys = check_trustee_certificates(certificates)
    published = check_polynomials(certificates, polynomials)
    if len(outputs) != len(keys):
        raise refusal("bad-key-generation", f"{len(outputs)} of {len(keys)} trustees finished")
    for own, output in zip(keys, outputs, strict=True):
        check_verification_key(own, published, output.public_key)
    return ThresholdParameters(
        threshold=keys[0].context.threshold,
        certs=tuple(certificates),
        coefexps=tuple(one.coefexps for one in polynomials),
        signatures=tuple(one.signature for one in polynomials),
        verification_keys=tuple(one.public_key for one in outputs),
    )


def restore_decryption_key(seed: TrusteeSeed, sealed: str) -> Scalar:
    """The private key in `private_key` of a trustee's own output (4.6.6). Raises NotProven."""
    verification = Point(multiply(BASE, seed.signing_key))
    return receive(seed.decryption_key, verification, sealed, DecryptionKey).decryption_key
