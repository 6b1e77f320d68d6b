"""Trustees (specification 4.5 to 4.7): what is published of their keys, its check, the election's key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from votenet.secret.documents import Document, decode, encode
from votenet.secret.group import (
    BASE,
    GROUP_NAME,
    GROUP_ORDER,
    IDENTITY,
    Entropy,
    Point,
    Scalar,
    add,
    add_all,
    multiply,
)
from votenet.secret.proofs import Power, SchnorrProof, knowledge_holds, prove_knowledge
from votenet.secret.refusals import refusal


class TrusteeKey(Document, frozen=True):
    """The specification's `trustee_public_key` (4.5)."""

    pok: SchnorrProof
    public_key: Point
    signature: SchnorrProof | None = None
    name: str | None = None


class SignedMessage(Document, frozen=True):
    """The specification's `signed_msg` (4.6.1)."""

    message: str
    signature: SchnorrProof


class KeyGenerationContext(Document, frozen=True):
    """The specification's `context` (4.6.2): of one key generation, one place in it."""

    group: str
    size: int
    threshold: int
    index: int


class TrusteeCertificateKeys(Document, frozen=True):
    """The specification's `cert_keys` (4.6.2)."""

    context: KeyGenerationContext
    verification: Point
    encryption: Point


class Coefficients(Document, frozen=True):
    """The specification's `raw_coefexps` (4.6.4): the powers of g by a polynomial's coefficients."""

    coefexps: tuple[Point, ...]


class SignedCoefficients(Document, frozen=True):
    """The specification's `certs` (4.6.4): who took part, and what this trustee published."""

    certs: tuple[SignedMessage, ...]
    coefexps: tuple[Point, ...]


class ThresholdParameters(Document, frozen=True):
    """The specification's `threshold_parameters` (4.6.7): any `threshold` of these trustees decrypt."""

    threshold: int
    certs: tuple[SignedMessage, ...]
    coefexps: tuple[SignedMessage, ...]
    signatures: tuple[SchnorrProof, ...]
    verification_keys: tuple[TrusteeKey, ...]


class TrusteeGroup(NamedTuple):
    """An item of `trustees`: `threshold` of its keys are needed; of a single trustee there is one."""

    threshold: int
    keys: tuple[Point, ...]
    subkey: Point
    """The part of the election's key that this group can decrypt."""


# -- proofs and signatures of trustees -----------------------------------------------------------------


def prove_trustee_key(secret: int, entropy: Entropy) -> TrusteeKey:
    """The public key of a private key with a proof of knowledge (4.5)."""
    public = Point(multiply(BASE, secret))
    return TrusteeKey(pok=prove_knowledge(secret, [BASE], _key_prefix(public), entropy), public_key=public)


def check_trustee_key(key: TrusteeKey) -> None:
    """Raises NotProven, code bad-trustee-proof."""
    if not knowledge_holds(key.pok, [Power(BASE, key.public_key)], _key_prefix(key.public_key)):
        raise refusal("bad-trustee-proof", f"the key {key.public_key.written()} is not proven")


def _key_prefix(public: Point) -> str:
    return f"pok|{GROUP_NAME}|{public.written()}|"


def sign_message(signing_key: int, message: str, entropy: Entropy) -> SignedMessage:
    """A message signed by a trustee (4.6.1)."""
    proof = prove_knowledge(signing_key, [BASE], f"sigmsg|{message}|", entropy)
    return SignedMessage(message=message, signature=proof)


def is_signed(verification_key: Point, message: str, signature: SchnorrProof) -> bool:
    """Whether the holder of the verification key signed the message (4.6.1)."""
    return knowledge_holds(signature, [Power(BASE, verification_key)], f"sigmsg|{message}|")


# -- the check of a threshold ----------------------------------------------------------------------------


def check_trustee_certificates(certificates: Sequence[SignedMessage]) -> list[TrusteeCertificateKeys]:
    """The keys of all trustees of a key generation, in order (4.6.2). Raises NotProven."""
    found = [decode(one.message, TrusteeCertificateKeys, "the trustee certificate") for one in certificates]
    if not found:
        raise refusal("bad-trustee-certificate", "there is no trustee certificate")
    threshold = found[0].context.threshold
    if not 1 <= threshold <= len(found):
        raise refusal("bad-trustee-certificate", f"{threshold} of {len(found)} trustees is no threshold")
    for number, (keys, certificate) in enumerate(zip(found, certificates, strict=True), start=1):
        expected = KeyGenerationContext(group=GROUP_NAME, size=len(found), threshold=threshold, index=number)
        if encode(keys.context) != encode(expected):
            raise refusal(
                "bad-trustee-certificate",
                f"trustee certificate {number} belongs to another key generation or place",
            )
        if not is_signed(keys.verification, certificate.message, certificate.signature):
            raise refusal(
                "bad-trustee-certificate", f"trustee certificate {number} is not signed by its own key"
            )
    if len({keys.verification for keys in found}) < len(found):
        raise refusal("bad-trustee-certificate", "two trustee certificates are of the same trustee")
    return found


def coefficients_message(certificates: Sequence[SignedMessage], coefficients: Coefficients) -> str:
    """What a trustee signs so that all know the same certificates and coefficients (4.6.4)."""
    signed = SignedCoefficients(certs=tuple(certificates), coefexps=coefficients.coefexps)
    return "certs_sig|" + encode(signed).decode()


def check_coefficients(
    certificates: Sequence[SignedMessage],
    keys: TrusteeCertificateKeys,
    coefexps: SignedMessage,
    signature: SchnorrProof,
) -> Coefficients:
    """What one trustee published (4.6.4), signed twice. Raises NotProven, code bad-key-generation."""
    where = f"trustee {keys.context.index}"
    if not is_signed(keys.verification, coefexps.message, coefexps.signature):
        raise refusal("bad-key-generation", f"{where} did not sign the coefficients")
    coefficients = decode(coefexps.message, Coefficients, "the coefficients")
    if len(coefficients.coefexps) != keys.context.threshold:
        raise refusal("bad-key-generation", f"{where} published {len(coefficients.coefexps)} coefficients")
    if not is_signed(keys.verification, coefficients_message(certificates, coefficients), signature):
        raise refusal("bad-key-generation", f"{where} did not sign these certificates and coefficients")
    return coefficients


def value_at(coefficients: Coefficients, place: int) -> Point:
    """g to the power of the polynomial's value at this place: the product of A_k^(place^k) (4.6.5)."""
    total: Point = IDENTITY
    for coefficient in reversed(coefficients.coefexps):
        total = add(multiply(total, place), coefficient)
    return total


def verification_key(published: Iterable[Coefficients], place: int) -> Point:
    """The public key of the trustee at this place, from 1 on (4.6.6)."""
    return add_all(value_at(coefficients, place) for coefficients in published)


def check_verification_key(
    keys: TrusteeCertificateKeys, published: Sequence[Coefficients], key: TrusteeKey
) -> None:
    """The key follows from the coefficients, is proven, and signed by its owner (4.6.6). Raises NotProven."""
    where = f"trustee {keys.context.index}"
    check_trustee_key(key)
    if key.public_key != verification_key(published, keys.context.index):
        raise refusal(
            "bad-key-generation", f"the public key of {where} does not follow from the coefficients"
        )
    if key.signature is None or not is_signed(keys.verification, key.public_key.written(), key.signature):
        raise refusal("bad-key-generation", f"{where} did not sign its public key")


def check_threshold(parameters: ThresholdParameters) -> TrusteeGroup:
    """The group that these parameters make, if all that they hold is signed and fits. Raises NotProven."""
    certificates = check_trustee_certificates(parameters.certs)
    count = len(certificates)
    rows = (parameters.coefexps, parameters.signatures, parameters.verification_keys)
    if any(len(row) != count for row in rows) or parameters.threshold != certificates[0].context.threshold:
        raise refusal("bad-key-generation", f"not one of everything for each of {count} trustees")
    published = [
        check_coefficients(parameters.certs, keys, coefexps, signature)
        for keys, coefexps, signature in zip(
            certificates, parameters.coefexps, parameters.signatures, strict=True
        )
    ]
    for keys, key in zip(certificates, parameters.verification_keys, strict=True):
        check_verification_key(keys, published, key)
    subkey = add_all(coefficients.coefexps[0] for coefficients in published)
    return TrusteeGroup(
        parameters.threshold, tuple(k.public_key for k in parameters.verification_keys), subkey
    )


# -- all trustees of an election -------------------------------------------------------------------------


def read_trustees(raw: bytes) -> list[TrusteeGroup]:
    """The trustees of an election (4.7), all proven. Raises NotProven."""
    items = decode(raw, list[tuple[str, msgspec.Raw]], "the trustees")
    groups = []
    for kind, item in items:
        if kind == "Single":
            key = decode(bytes(item), TrusteeKey, "the trustee")
            check_trustee_key(key)
            groups.append(TrusteeGroup(1, (key.public_key,), key.public_key))
        elif kind == "Pedersen":
            groups.append(check_threshold(decode(bytes(item), ThresholdParameters, "the trustees")))
        else:
            raise refusal("bad-document", f"{kind!r} is no kind of trustee")
    if not groups:
        raise refusal("bad-document", "the election has no trustee")
    return groups


def write_trustees(trustees: Iterable[TrusteeKey | ThresholdParameters]) -> bytes:
    kinds = {TrusteeKey: "Single", ThresholdParameters: "Pedersen"}
    return encode([(kinds[type(one)], one) for one in trustees])


def election_key(groups: Iterable[TrusteeGroup]) -> Point:
    """The election's public key: the product of all sub-keys (3.1.1)."""
    return Point(add_all(group.subkey for group in groups))


def lagrange(places: Sequence[int], place: int, at: int = 0) -> Scalar:
    """The coefficient of the trustee at `place` when those at `places` decrypt (4.21).

    Args:
        at: where the polynomial's value is wanted: at 0 it is the election's key.
    """
    above = below = 1
    for other in places:
        if other != place:
            above = above * (other - at) % GROUP_ORDER
            below = below * (other - place) % GROUP_ORDER
    return Scalar(above * pow(below, -1, GROUP_ORDER) % GROUP_ORDER)


def key_of_threshold(keys: Sequence[Point], threshold: int, at: int = 0) -> Point:
    """The value at `at` of the polynomial through the first `threshold` keys: at 0 the election's key.

    It may be the identity.
    """
    places = range(1, threshold + 1)
    return add_all(multiply(keys[place - 1], lagrange(places, place, at)) for place in places)


def keys_fit_threshold(keys: Sequence[Point], threshold: int) -> bool:
    """Whether any `threshold` of these verification keys, by places from 1 on, stand for the same key.

    And no fewer: of keys that two trustees can use together nobody may say that three are needed.
    """
    if threshold > 1 and key_of_threshold(keys, threshold - 1, threshold) == keys[threshold - 1]:
        return False
    return all(
        key_of_threshold(keys, threshold, place) == key
        for place, key in enumerate(keys[threshold:], start=threshold + 1)
    )
