"""Codes with check characters: a number comes back, and the wrong group is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.election.checked_code import ALPHABET, CodeForm, wrong_group
from votenet.errors import Rejected

FORM = CodeForm("votenet/test/1\n", (4, 5, 6))
numbers = st.integers(0, 2 ** (5 * FORM.payload) - 1)


@given(numbers)
def test_a_number_comes_back_from_its_code(number: int) -> None:
    code = FORM.of_number(number)
    assert len(code) == FORM.characters == 15
    assert FORM.number_of(FORM.read(FORM.shown(code).lower())) == number


@given(numbers, st.integers(0, 14), st.sampled_from(ALPHABET))
def test_the_first_wrong_group_is_named(number: int, place: int, other: str) -> None:
    """A wrong character is found in 31 of 32 cases."""
    code = FORM.of_number(number)
    typed = code[:place] + other + code[place + 1 :]
    group = 1 + (place >= 4) + (place >= 9)
    parts = FORM.groups_of(typed)
    changed = FORM.groups_of(FORM.of_number(FORM.number_of(typed)))
    if parts == changed:
        assert FORM.read(typed) == typed
        return
    with pytest.raises(Rejected, match=f"group {group} of the code is wrong") as caught:
        FORM.read(typed)
    assert (caught.value.code, caught.value.details["group"]) == ("bad-code", group)


def test_a_code_of_another_kind_is_wrong() -> None:
    other = CodeForm("votenet/other/1\n", FORM.lengths)
    for number in (0, 1, 2**60 - 1):
        with pytest.raises(Rejected):
            other.read(FORM.of_number(number))


def test_a_character_that_no_code_has_is_wrong_whatever_its_check() -> None:
    with pytest.raises(Rejected) as caught:
        FORM.read("UUU" + FORM.of_number(0)[3:])
    assert caught.value.details["group"] == 1
    assert wrong_group(3).details["group"] == 3
