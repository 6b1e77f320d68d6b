"""The code on a recovery card: the seed comes back, also from clumsy typing; damage is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.election.recovery_code import (
    RECOVERY_FORM,
    SEED_LENGTH,
    read_recovery_code,
    recovery_code,
)
from votenet.core.election.voting_code import code_from
from votenet.derive import BASE58
from votenet.errors import Rejected

seeds = st.text(BASE58, min_size=SEED_LENGTH, max_size=SEED_LENGTH)


def refused(typed: str) -> object:
    with pytest.raises(Rejected) as caught:
        read_recovery_code(typed)
    assert caught.value.code == "bad-code"
    return caught.value.details["group"]


@given(seeds)
def test_a_seed_comes_back_from_its_card(seed: str) -> None:
    assert read_recovery_code(RECOVERY_FORM.shown(recovery_code(seed))) == seed


@given(seeds, st.data())
def test_reading_forgives_case_blanks_hyphens_and_letters_like_digits(seed: str, data: st.DataObject) -> None:
    typed = "".join(
        data.draw(st.sampled_from(["", " ", "-", "\u2013", "\n"]))
        + data.draw(st.sampled_from({"1": "1iIlL", "0": "0oO"}.get(one, one + one.lower())))
        for one in recovery_code(seed)
    )
    assert read_recovery_code(typed) == seed


def test_the_ends_of_the_range() -> None:
    for seed in (BASE58[0] * SEED_LENGTH, BASE58[-1] * SEED_LENGTH):
        assert read_recovery_code(recovery_code(seed)) == seed
    assert refused(RECOVERY_FORM.of_number(58**SEED_LENGTH)) == 1
    assert refused(RECOVERY_FORM.of_number(2**130 - 1)) == 1
    for text in ("", "1" * 21, "1" * 23):
        with pytest.raises(ValueError, match="22 characters"):
            recovery_code(text)


def test_a_damaged_card_names_the_wrong_group() -> None:
    code = recovery_code("J6ZsnsMkfGxyBBrDgpLLKy")
    groups = RECOVERY_FORM.groups_of(code)
    assert [len(group) for group in groups] == [5, 5, 5, 5, 6, 6]
    for number, group in enumerate(groups, start=1):
        changed = [*groups]
        changed[number - 1] = group[:-1] + ("0" if group[-1] != "0" else "1")
        assert refused("-".join(changed)) == number
    assert refused("-".join((groups[1], groups[0], *groups[2:]))) == 1, "groups in the wrong order"
    assert refused("-".join((*groups[:4], groups[5], groups[4]))) == 5
    assert refused(code[:-1]) == refused("") == refused(code + "0") == 0
    assert refused(code_from(bytes(14))) == 0, "the code of a voting card"
