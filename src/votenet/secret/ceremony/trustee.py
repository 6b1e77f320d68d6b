"""What one trustee does in a ceremony. Everything follows from the seed and the bulletin.

Randomness is derived from the seed and from all that it is used for. So a step that is done twice gives the
same record twice, and a trustee who lost everything but a recovery card goes on from there.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from votenet.secret.ceremony.bulletin import Bulletin, CeremonyRecord, Step, signed_text
from votenet.secret.documents import Document, encode
from votenet.secret.group import BASE, Entropy, Scalar, multiply
from votenet.secret.key_generation import (
    TrusteeSeed,
    finish_trustee,
    make_polynomial,
    make_trustee_certificate,
    restore_decryption_key,
    route_polynomials,
)
from votenet.secret.refusals import refusal
from votenet.secret.tally import decrypt_partially
from votenet.secret.trustees import sign_message

_DOMAIN: Final = "votenet/ceremony-entropy/1"


class TrusteeShare(NamedTuple):
    """A trustee's private key, and where it belongs."""

    place: int
    secret: Scalar


def next_record(bulletin: Bulletin, seed: TrusteeSeed, place: int) -> CeremonyRecord | None:
    """The record of the next step of the trustee at this place; None while it waits for others, or is done.

    The rehearsal is not among these steps: `rehearse` is for a card that was just typed in.

    Raises:
        NotProven: the ceremony has ended (two-records); another key is at this place (wrong-card); a share
            does not fit (bad-share).
    """
    bulletin.check_going()
    _check_place(bulletin, seed, place)
    waiting = bulletin.waiting()
    if waiting is None or place not in waiting.places or waiting.step == "rehearsal":
        return None
    return _record(bulletin, seed, place, waiting.step)


def rehearse(bulletin: Bulletin, seed: TrusteeSeed) -> CeremonyRecord:
    """The record of the last step: the test tally decrypted with the share that the seed restores.

    Raises NotProven.
    """
    bulletin.check_going()
    return _record(bulletin, seed, restore_share(bulletin, seed).place, "rehearsal")


def restore_share(bulletin: Bulletin, seed: TrusteeSeed) -> TrusteeShare:
    """The private key of the trustee with this seed.

    Raises:
        NotProven: ceremony-incomplete; wrong-card, when no trustee of this election has this seed.
    """
    outputs, keys = bulletin.outputs, bulletin.keys
    verification = multiply(BASE, seed.signing_key)
    for place, certificate in bulletin.certificate_keys.items():
        if certificate.verification == verification:
            secret = restore_decryption_key(seed, outputs[place - 1].private_key)
            if multiply(BASE, secret) != keys[place - 1]:
                name = bulletin.draft.name_of(place)
                raise refusal("bad-key-generation", f"what {name} sealed is not the private key")
            return TrusteeShare(place, secret)
    raise refusal("wrong-card", "no trustee of this election has this recovery card")


def derived_entropy(seed: TrusteeSeed, *used_for: str) -> Entropy:
    """A stream of random bytes that nobody without the seed can tell from others."""
    drawn = 0

    def draw(count: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(encode([_DOMAIN, seed.text, *used_for, drawn])).digest(count)

    return draw


def _check_place(bulletin: Bulletin, seed: TrusteeSeed, place: int) -> None:
    """Raises NotProven, code wrong-card."""
    own = multiply(BASE, seed.signing_key)
    for other, keys in bulletin.certificate_keys.items():
        if (other == place) != (keys.verification == own):
            name = bulletin.draft.name_of(place)
            raise refusal(
                "wrong-card",
                f"another key was handed in for {name}"
                if other == place
                else f"this key was handed in for {bulletin.draft.name_of(other)}, not for {name}",
            )


def _record(bulletin: Bulletin, seed: TrusteeSeed, place: int, step: Step) -> CeremonyRecord:
    draft, seen = bulletin.draft, bulletin.seen_before(step)
    entropy = derived_entropy(seed, draft.digest, str(place), step, seen)
    content = encode(_content(bulletin, seed, place, step, entropy)).decode()
    text = signed_text(draft.digest, place, step, seen, content)
    signature = sign_message(seed.signing_key, text, entropy).signature
    return CeremonyRecord(
        draft=draft.digest, place=place, step=step, seen=seen, content=content, signature=signature
    )


def _content(bulletin: Bulletin, seed: TrusteeSeed, place: int, step: Step, entropy: Entropy) -> Document:
    draft = bulletin.draft
    if step == "certificate":
        return make_trustee_certificate(seed, place, draft.threshold, draft.size, entropy)
    if step == "coefficients":
        return make_polynomial(seed, bulletin.certificates, entropy)
    if step == "key":
        return _finish(bulletin, seed, place, entropy)
    rehearsal, share = bulletin.rehearsal, restore_share(bulletin, seed)
    return decrypt_partially(rehearsal.election, rehearsal.tally, share.secret, entropy)


def _finish(bulletin: Bulletin, seed: TrusteeSeed, place: int, entropy: Entropy) -> Document:
    certificates = bulletin.certificates
    received = route_polynomials(certificates, bulletin.polynomials)[place - 1]
    return finish_trustee(seed, certificates, received, entropy).output
