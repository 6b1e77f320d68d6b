"""Ballots of a secret election with one fault each, in votes that hold: what each is refused for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from support import ed25519_reference as reference
from support.forged_ballots import answer, forged_ballots, signed_again
from support.secret_poll import Poll, poll
from votenet.secret.group import GROUP_ORDER, IDENTITY, Point, add

Ballots = dict[str, tuple[str, str, str]]
"""By name: the code of both readers, the voter, the ballot."""


def spelled(document: dict[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def rewritten(change: Callable[[dict[str, Any]], object]) -> str:
    """The ballot of voter-1 with a change to its members, not signed again."""
    document = json.loads(poll().ballot("voter-1"))
    change(document)
    return spelled(document)


def alpha(point: str) -> Callable[[dict[str, Any]], object]:
    """Another first alpha."""
    return lambda one: answer(one)["choices"][0].update(alpha=point)


def first_proof(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = answer(document)["individual_proofs"][0][0]
    return found


def response(change: Callable[[str], str]) -> Callable[[dict[str, Any]], object]:
    """Another spelling of the first response, or another number."""
    return lambda one: first_proof(one).update(response=change(first_proof(one)["response"]))


def _tainted(order: int) -> str:
    """The first alpha with a point of this small order added to it."""
    points = [point for point in reference.small_points() if point.times(order) == (0, 1)]
    small = next(point for point in points if point.times(order // 2) != (0, 1))
    honest = Point.parse(answer(json.loads(poll().ballot("voter-1")))["choices"][0]["alpha"])
    return Point(add(honest, Point(small.packed()))).written()


def _outside() -> str:
    """A number that is no y coordinate of the curve."""
    return next(
        number.to_bytes(32).hex()
        for number in range(2, 100)
        if reference.unpacked(number.to_bytes(32, "little")) is None
    )


def _points() -> dict[str, Callable[[dict[str, Any]], object]]:
    return {
        "a point of order two added": alpha(_tainted(2)),
        "a point of order eight added": alpha(_tainted(8)),
        "a point that is not on the curve": alpha(_outside()),
        "a point of order two alone": alpha((reference.FIELD - 1).to_bytes(32).hex()),
        "the identity written too large": alpha((reference.FIELD + 1).to_bytes(32).hex()),
        "a point with its unused bit": alpha((1 | 1 << 255).to_bytes(32).hex()),
        "the largest point": alpha("f" * 64),
        "a point without its first digit": alpha(IDENTITY.written()[1:]),
        "a point with a digit more": alpha("0" + IDENTITY.written()),
        "no point": alpha(""),
        "a point that is no text": lambda one: answer(one)["choices"][0].update(alpha=1),
        "a point in capitals": lambda one: alpha(answer(one)["choices"][0]["alpha"].upper())(one),
        "the identity as beta": lambda one: answer(one)["choices"][0].update(beta=IDENTITY.written()),
    }


def _scalars() -> dict[str, Callable[[dict[str, Any]], object]]:
    return {
        "a response with the order added": response(lambda old: str(int(old) + GROUP_ORDER)),
        "a response that is the order": response(lambda _: str(GROUP_ORDER)),
        "a response with a leading zero": response(lambda old: "0" + old),
        "a response with a sign": response(lambda old: "+" + old),
        "a response below zero": response(lambda old: "-" + old),
        "a response with a blank": response(lambda old: old + " "),
        "a response of 400 digits": response(lambda _: "9" * 400),
        "an empty response": response(lambda _: ""),
        "a response that is no text": lambda one: first_proof(one).update(response=1),  # type: ignore[dict-item]
        "no response": lambda one: first_proof(one).update(response=None),  # type: ignore[dict-item]
    }


SPELLINGS: Final[dict[str, tuple[Callable[[str], str], str]]] = {
    "a blank after a colon": (lambda text: text.replace(":", ": ", 1), "not-canonical"),
    "a newline behind it": (lambda text: text + "\n", "not-canonical"),
    "an escaped letter": (lambda text: text.replace('"answers"', r'"answer\u0073"', 1), "not-canonical"),
    "a member twice": (
        lambda text: text.replace('"signature":', '"signature":null,"signature":', 1),
        "not-canonical",
    ),
    "an extra member": (lambda text: text[:-1] + ',"more":1}', "bad-document"),
    "an extra member deep inside": (
        lambda text: text.replace('{"challenge"', '{"a":"","challenge"', 1),
        "bad-document",
    ),
    "members in reverse": (
        lambda text: spelled(dict(reversed(json.loads(text).items()))),
        "not-canonical",
    ),
    "cut off": (lambda text: text[:-1], "bad-document"),
    "a list instead of an object": (lambda text: f"[{text}]", "bad-document"),
    "half a surrogate pair in a number": (
        lambda text: text.replace('"response":"', r'"response":"\ud800', 1),
        "bad-document",
    ),
    "a surrogate pair in a number": (
        lambda text: text.replace('"response":"', r'"response":"\ud83d\ude00', 1),
        "bad-scalar",
    ),
    "deep inside lists": (lambda text: "[" * 20_000, "bad-document"),
}
"""How the text is changed, and the code."""


def _signed_faults(one: Poll) -> Ballots:
    """Changed proofs under a signature of the voter that holds."""

    def moved(document: dict[str, Any]) -> None:
        """The proof of the first choice at the second, and the other way round."""
        proofs = answer(document)["individual_proofs"]
        proofs[0], proofs[1] = proofs[1], proofs[0]

    def other_proof(document: dict[str, Any]) -> None:
        """Choices of this ballot, proofs of another ballot of the same voter."""
        again = json.loads(one.ballot_of(0, [[1, 0, 1], [0, 1, 0]]))
        answer(document)["individual_proofs"] = answer(again)["individual_proofs"]

    def other_choices(document: dict[str, Any]) -> None:
        """The sum and its proof stay, two ciphertexts become those of another ballot."""
        theirs = json.loads(one.ballot("voter-2"))
        answer(document)["choices"] = answer(theirs)["choices"]

    def zero_challenges(document: dict[str, Any]) -> None:
        for proof in answer(document)["overall_proof"]:
            proof.update(challenge="0", response="0")

    changes: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
        "proofs of two choices change places": (moved, "bad-choice-proof"),
        "proofs of another ballot": (other_proof, "bad-choice-proof"),
        "choices of another voter": (other_choices, "bad-choice-proof"),
        "a total proven by zeros": (zero_challenges, "bad-total-proof"),
    }
    found = Ballots()
    for name, (change, code) in changes.items():
        document = json.loads(one.ballot("voter-1"))
        change(document)
        found[name] = (code, "voter-1", signed_again(document, of=one).decode())
    return found


def tampered_ballots() -> Ballots:
    """Each is cast by its voter instead of the honest one."""
    one = poll()
    state = one.rng.getstate()
    found = Ballots()
    for name, (raw, code) in forged_ballots(one).items():
        found[name] = (code, "voter-2" if "signed by another voter" in name else "voter-1", raw.decode())
    copied = one.ballot("voter-1").replace(one.voter_credential(0), one.voter_credential(1))
    found |= {
        # Whose credential it is, says the roll, before a signature is looked at.
        "another voter's copy": ("unknown-credential", "voter-1", copied),
        "an unknown voter": ("unknown-credential", *found["an unknown voter"][1:]),
        "the ballot of another voter": ("unknown-credential", "voter-1", one.ballot("voter-2")),
        "a copy under one's own credential": ("bad-ballot-signature", "voter-2", copied),
        **_signed_faults(one),
    }
    for name, change in _points().items():
        found[name] = ("bad-point", "voter-1", rewritten(change))
    for name, change in _scalars().items():
        found[name] = ("bad-scalar", "voter-1", rewritten(change))
    for name, (spell, code) in SPELLINGS.items():
        found[name] = (code, "voter-1", spell(one.ballot("voter-1")))
    one.rng.setstate(state)
    return found
