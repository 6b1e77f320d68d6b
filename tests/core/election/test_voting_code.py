"""The code on a card: the same in Python and TypeScript, forgiving to read, exact about the wrong group."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.election.voting_code import (
    ALPHABET,
    RANDOM_BYTES,
    code_from,
    groups_of,
    invitation_hash,
    key_of_code,
    read_code,
    seed_of_code,
    shown_code,
)
from votenet.errors import Rejected

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/voting_codes.json").read_text())
codes = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES).map(code_from)


def wrong_group(typed: str) -> object:
    with pytest.raises(Rejected) as refused:
        read_code(typed)
    assert refused.value.code == "bad-code"
    return refused.value.details["group"]


def test_a_hundred_codes_and_their_keys() -> None:
    """`frontend/src/lib/voting_code.ts` gives the same; test_keys.py has the vectors of the RFC."""
    assert len(VECTORS["codes"]) == 100
    for one in VECTORS["codes"]:
        code = code_from(bytes.fromhex(one["random"]))
        assert shown_code(code) == one["code"]
        assert seed_of_code(code, VECTORS["uuid"]).hex() == one["seed"]
        assert key_of_code(code, VECTORS["uuid"]).public_hex == one["public_key"]


def test_a_code_has_105_random_bits_and_a_key_for_each_election() -> None:
    with pytest.raises(ValueError, match="14 bytes"):
        code_from(bytes(13))
    assert code_from(bytes(14)) != code_from(bytes(13) + b"\x01")
    code = code_from(bytes(14))
    assert [len(group) for group in groups_of(code)] == [5, 5, 5, 5, 6]
    assert len({*groups_of(code)}) == 5, "a group that is typed in another's place is found"
    assert seed_of_code(code, "1" * 14) != seed_of_code(code, "2" * 14)
    assert invitation_hash(code) != invitation_hash(code_from(b"\x01" * 14))


@given(codes, st.data())
def test_reading_forgives_case_blanks_hyphens_and_letters_like_digits(code: str, data: st.DataObject) -> None:
    typed = "".join(
        data.draw(st.sampled_from(["", " ", "-", "\u00a0", "\u2013", "\ufeff", "\n"]))
        + data.draw(st.sampled_from({"1": "1iIlL", "0": "0oO"}.get(one, one + one.lower())))
        for one in code
    )
    assert read_code(typed) == code


@given(codes, st.integers(0, 25), st.sampled_from([*ALPHABET, "U", "é", "*", "😀"]))
def test_the_first_wrong_group_is_named(code: str, place: int, other: str) -> None:
    """One wrong character is found in 31 of 32 cases, a wrong check character always."""
    typed = code[:place] + other + code[place + 1 :]
    group = min(place // 5, 4) + 1
    ends = place in (4, 9, 14, 19, 25)
    try:
        assert read_code(typed) == typed
        assert (typed == code) or not ends
    except Rejected:
        assert wrong_group(typed) == group


def test_the_length_is_named() -> None:
    code = code_from(bytes(14))
    for typed in ("", code[:-1], code + "0", "x" * 100_000, shown_code(code)[1:]):
        assert wrong_group(typed) == 0
