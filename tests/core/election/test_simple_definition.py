"""Definitions without an election file: one contest, and a uuid of their own."""

from __future__ import annotations

from support.elections import CREATED, make_election
from votenet.core.election.definition import ChainParameters, check_definition
from votenet.core.election.simple_definition import (
    DEFAULT_CANDIDATES,
    DEFAULT_TITLE,
    simple_definition,
    uuid_from,
)
from votenet.pow import bits_for_zero_bits


def test_what_is_chosen_without_any_wish_is_an_election() -> None:
    made = simple_definition(
        title=DEFAULT_TITLE,
        candidates=DEFAULT_CANDIDATES,
        chain=ChainParameters(bits=bits_for_zero_bits(8)),
        created=CREATED,
        uuid=uuid_from(bytes(16)),
    )
    check_definition(made)
    (contest,) = made.contests
    assert [candidate.name for candidate in contest.candidates] == list(DEFAULT_CANDIDATES)
    assert (made.registration, made.secrecy) == ("open", "public")


def test_a_uuid_is_14_characters_that_nobody_mixes_up() -> None:
    drawn = uuid_from(bytes(range(16)))
    assert drawn != uuid_from(bytes(range(1, 17)))
    assert uuid_from(bytes(16)) == "1" * 14
    assert make_election(uuid=drawn).definition.uuid == drawn
