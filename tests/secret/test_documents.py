"""Belenios' JSON: one form for each document, hashes over exact bytes."""

from __future__ import annotations

import pytest

from votenet.errors import NotProven
from votenet.secret.documents import decode, decode_loosely, encode, fingerprint
from votenet.secret.elgamal import Ciphertext
from votenet.secret.group import BASE, Point
from votenet.secret.proofs import SchnorrProof

G = BASE.written()
GOOD = f'{{"alpha":"{G}","beta":"{G}"}}'


def test_a_document_is_read_and_written_as_it_was() -> None:
    assert decode(GOOD, Ciphertext, "x") == Ciphertext(alpha=BASE, beta=BASE)
    assert encode(decode(GOOD.encode(), Ciphertext, "x")) == GOOD.encode()
    assert decode('["é\\n"]', list[str], "x") == ["é\n"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (GOOD.replace(":", ": ", 1), "not-canonical"),
        (f'{{"beta":"{G}","alpha":"{G}"}}', "not-canonical"),
        (GOOD.replace("{", f'{{"alpha":"{G}",'), "not-canonical"),
        (GOOD.replace("alpha", "\\u0061lpha"), "not-canonical"),
        (GOOD + " ", "not-canonical"),
        (GOOD + "}", "bad-document"),
        (GOOD.replace("}", ',"gamma":1}'), "bad-document"),
        (f'{{"alpha":"{G}"}}', "bad-document"),
        ("[" * 100_000, "bad-document"),
        ("", "bad-document"),
        (b"\xff", "bad-document"),
        (GOOD.replace(G, "7", 1), "bad-point"),
        (GOOD.replace(f'"{G}"', "null", 1), "bad-point"),
    ],
)
def test_any_other_form_is_refused(text: str | bytes, code: str) -> None:
    with pytest.raises(NotProven) as caught:
        decode(text, Ciphertext, "the thing")
    assert caught.value.code == code


def test_numbers_are_strings() -> None:
    assert decode('{"challenge":"1","response":"2"}', SchnorrProof, "x").response == 2
    with pytest.raises(NotProven, match="number"):
        decode('{"challenge":1,"response":"2"}', SchnorrProof, "x")


def test_only_an_election_may_be_in_any_json() -> None:
    assert decode_loosely(f' ["{G}"]', list[Point], "x") == [BASE]


def test_a_fingerprint_is_base64_without_padding() -> None:
    assert fingerprint(b"abc") == "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0"
