"""A trustee's share of the decryption as it travels: Belenios' partial decryption, its place, one more proof.

In version 1 of the protocol the challenge of a decryption factor covers neither the ciphertext nor the factor
(4.20). So a proof that was published once holds for other factors, too: an outsider can make a share from it
that passes `check_decryption` and decrypts to nothing, and so can the trustee. The added proof covers the
trustee's key, the whole encrypted tally and the whole partial decryption; with it every share is the right
one. A `.bel` archive has no place for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec

from votenet.errors import NotProven
from votenet.secret.definition import SecretElection
from votenet.secret.documents import Document, decode, encode
from votenet.secret.group import BASE, Entropy, Point, Scalar, add_all, hash_to_scalar, multiply
from votenet.secret.proofs import Power, SchnorrProof, knowledge_holds, prove_knowledge
from votenet.secret.refusals import refusal
from votenet.secret.tally import EncryptedTally, PartialDecryption, check_decryption, decrypt_partially

_DOMAIN: Final = b"votenet/decryption-share/1\n"
Place = Annotated[int, msgspec.Meta(ge=1)]
"""Of a trustee, from 1 on."""


class DecryptionShare(Document, frozen=True):
    """What a trustee publishes after the election."""

    decryption: str
    """Belenios' `partial_decryption` (4.20), byte for byte."""
    place: Place
    proof: SchnorrProof
    """That one exponent makes all these factors and the trustee's key."""


def make_share(
    election: SecretElection, tally: EncryptedTally, place: int, secret: int, entropy: Entropy
) -> DecryptionShare:
    """The share of the trustee at this place with this private key."""
    decryption = decrypt_partially(election, tally, secret, entropy)
    text = encode(decryption).decode()
    context = _context(election, tally, Point(multiply(BASE, secret)), text)
    base = _combined(_sums(tally), context)
    proof = prove_knowledge(secret, [BASE, base], _prefix(context), entropy)
    return DecryptionShare(decryption=text, place=place, proof=proof)


def check_share(
    election: SecretElection, tally: EncryptedTally, keys: Sequence[Point], share: DecryptionShare
) -> PartialDecryption:
    """The partial decryption in it, if the trustee at its place made it for this tally.

    Args:
        keys: the verification keys of all trustees, in order.

    Raises:
        NotProven: bad-decryption, with the place of the trustee.
    """
    if not 1 <= share.place <= len(keys):
        raise refusal("bad-decryption", f"the election has no trustee {share.place}")
    key = keys[share.place - 1]
    try:
        decryption = decode(share.decryption, PartialDecryption, "the partial decryption")
        check_decryption(election, tally, key, decryption)
    except NotProven as error:
        raise refusal("bad-decryption", f"the share of trustee {share.place}: {error.message}") from None
    context = _context(election, tally, key, share.decryption)
    factors = (factor for row in decryption.decryption_factors for factor in row)
    powers = [Power(BASE, key), Power(_combined(_sums(tally), context), _combined(factors, context))]
    if not knowledge_holds(share.proof, powers, _prefix(context)):
        raise refusal(
            "bad-decryption", f"the share of trustee {share.place}: its factors are not of one private key"
        )
    return decryption


def read_share(raw: bytes | str) -> DecryptionShare:
    """The share in these bytes; no proof is checked. Raises NotProven."""
    return decode(raw, DecryptionShare, "the share")


def _sums(tally: EncryptedTally) -> Iterator[Point]:
    return (one.alpha for row in tally for one in row)


def _context(election: SecretElection, tally: EncryptedTally, key: Point, decryption: str) -> str:
    """The hash of everything that the proof is about."""
    digest = hashlib.sha256(_DOMAIN)
    for part in (election.raw, encode(tally), bytes(key), decryption.encode()):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _prefix(context: str) -> str:
    return f"share|{context}|"


def _combined(points: Iterator[Point], context: str) -> Point:
    """The sum of all points, each times a number that is known only when all points are."""
    return add_all(multiply(point, _factor(context, number)) for number, point in enumerate(points))


def _factor(context: str, number: int) -> Scalar:
    return hash_to_scalar(f"combine|{context}|{number}")
