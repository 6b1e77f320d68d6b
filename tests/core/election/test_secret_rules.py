"""The rules of definitions with secret ballots: what each refuses, and that nothing else is refused."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of, make_election
from support.secret_definitions import SecretSetup, contest
from votenet.core.election.definition import Contest, ElectionDefinition, Threshold, Trustee
from votenet.core.election.definition_rules import definition_faults
from votenet.core.election.secret_rules import (
    MAX_AROUND_BALLOT,
    SECRET_METHODS,
    longest_vote,
    questions_of,
    secret_faults,
)
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import Vote
from votenet.core.limits import MAX_RECORD_BYTES, MAX_VOTER_ID
from votenet.core.methods.registry import METHODS
from votenet.secret.definition import read_election
from votenet.secret.group import BASE, IDENTITY, multiply
from votenet.secret.trustees import election_key, read_trustees

SETUP = SecretSetup()


def faults(definition: ElectionDefinition) -> list[str]:
    return [wrong for wrong, _ in secret_faults(definition)]


@pytest.mark.parametrize(("threshold", "trustees"), [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5)])
def test_a_definition_of_any_threshold_keeps_the_rules(threshold: int, trustees: int) -> None:
    setup = SecretSetup(threshold=threshold, trustees=trustees)
    assert faults(setup.definition) == []
    [group] = read_trustees(setup.trustees_file)
    assert read_election(setup.definition.belenios.encode()).key == election_key([group])


def test_the_text_for_belenios_follows_from_the_contests_and_the_key() -> None:
    blank = contest("Ya?", ("Ya", "Tidak"), blank=True, id="2", method="approval", min=1, max=2)
    setup = SecretSetup(contests=(contest(), blank))
    key = read_election(setup.definition.belenios.encode()).key
    assert setup.definition.belenios == (
        '{"version":1,"description":"","name":"Pemilihan ketua","group":"Ed25519",'
        f'"public_key":"{key.written()}","questions":['
        '{"answers":["Alice","Bob","Çelik"],"min":1,"max":1,"question":"Ketua"},'
        '{"answers":["Ya","Tidak"],"blank":true,"min":1,"max":2,"question":"Ya?"}],'
        '"uuid":"Hq5cCAzXZnbL1p"}'
    )


def test_the_bytes_of_a_secret_definition() -> None:
    digest = hashlib.sha256(canonical(SETUP.definition)).hexdigest()
    assert digest == "d99bb3c18addf171e76e5ec23930ba0bdc4b8e56a67fdc27ea15a8ae581d9cb4"


def with_key(place: int, key: str) -> dict[str, Any]:
    trustees = SETUP.definition.trustees
    assert trustees is not None
    keys = list(trustees.keys)
    keys[place] = Trustee(key=key, name=keys[place].name)
    return {"trustees": msgspec.structs.replace(trustees, keys=tuple(keys))}


def with_threshold(threshold: int) -> dict[str, Any]:
    trustees = SETUP.definition.trustees
    assert trustees is not None
    return {"trustees": msgspec.structs.replace(trustees, threshold=threshold)}


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"registration": "open", "roll_root": None, "roll_size": None}, "secret ballots need a roll"),
    ({"closes": None}, "it never closes"),
    ({"nodes": ()}, "secret ballots need named nodes"),
    ({"trustees": None}, "secret ballots need trustees"),
    ({"belenios": ""}, "`belenios` is empty"),
    ({"results": "after-close"}, "cannot be held back"),
    ({"contests": (contest(method="stv", max=2),)}, "ranked ballots need a verifiable shuffle"),
    ({"roll_size": 10**11 + 1}, "cannot be counted"),
    (with_threshold(4), "4 of 3 trustees is no threshold"),
    (with_threshold(1), "not those of one key generation"),
    (with_key(2, multiply(BASE, 5)[::-1].hex()), "not those of one key generation"),
    (with_key(0, "00" * 32), "the key of a trustee is not valid"),
    (with_key(0, IDENTITY[::-1].hex()), "the key of a trustee is not valid"),
    ({"belenios": SETUP.definition.belenios + " "}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios.replace("Bob", "Bop")}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios, "title": "Pemilihan"}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios, "uuid": "Hq5cCAzXZnbL1q"}, "not the one that follows"),
    ({"belenios": SecretSetup(seed=2).definition.belenios}, "not the one that follows"),
]


@pytest.mark.parametrize(("change", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_each_broken_rule_is_named_alone(change: dict[str, Any], says: str) -> None:
    found = faults(SETUP.define(**change))
    assert len(found) == 1, found
    assert says in found[0]


def test_public_ballots_have_neither_trustees_nor_belenios() -> None:
    public = make_election().definition
    assert faults(public) == []
    with_text = msgspec.structs.replace(public, belenios="{}")
    with_keys = msgspec.structs.replace(public, trustees=SETUP.definition.trustees)
    assert faults(with_text) == ["its ballots are public, but it has a definition for secret ones"]
    assert faults(with_keys) == ["its ballots are public, but it has trustees"]


def test_trustees_have_different_printable_names() -> None:
    trustees = SETUP.definition.trustees
    assert trustees is not None
    for names in (("A", "A", "B"), ("A", "B", "C\n")):
        keys = tuple(Trustee(key=one.key, name=name) for one, name in zip(trustees.keys, names, strict=True))
        changed = SETUP.define(trustees=msgspec.structs.replace(trustees, keys=keys))
        assert any("trustee" in wrong for wrong, _ in definition_faults(changed))


@pytest.mark.parametrize("method", METHODS)
def test_methods_that_need_only_sums_are_allowed(method: str) -> None:
    threshold = Threshold(basis="cast", share="simple") if method == "motion" else None
    definition = SETUP.define(contests=(contest(method=method, threshold=threshold),))
    assert (faults(definition) == []) == (method in SECRET_METHODS)


@given(st.integers(1, 200), st.integers(1, 8), st.booleans())
def test_exactly_what_may_not_fit_a_record_is_refused(candidates: int, most: int, blank: bool) -> None:
    one = contest(
        names=[f"Calon {number}" for number in range(candidates)],
        blank=blank,
        max=min(most, candidates),
        method="approval",
    )
    definition = SETUP.define(contests=(one,))
    too_long = longest_vote(definition.uuid, [one]) > MAX_RECORD_BYTES
    assert any("bytes" in wrong for wrong in faults(definition)) == too_long
    assert too_long == (candidates > 95) or 80 < candidates <= 120


def longest_around(ballot: str) -> bytes:
    """A record with this ballot, by a voter whose id takes the most bytes."""
    return canonical(
        Vote(
            ballot=ballot,
            choices=(),
            network_id="f" * 64,
            signature="f" * 128,
            time=2**53 - 1,
            voter_id="\U0001f5f3" * MAX_VOTER_ID,
            voter_key="f" * 64,
        )
    )


def test_what_stands_around_a_ballot_is_shorter_than_was_reckoned_with() -> None:
    assert len(longest_around("")) < MAX_AROUND_BALLOT


def test_the_questions_are_in_the_order_of_the_contests() -> None:
    contests: list[Contest] = [contest(f"Contest {number}", id=str(number)) for number in range(3)]
    random.Random(1).shuffle(contests)
    assert [one.question for one in questions_of(contests)] == [one.title for one in contests]


def test_a_definition_is_read_back_as_it_was_written() -> None:
    raw = canonical(SETUP.definition)
    assert msgspec.json.decode(raw, type=ElectionDefinition) == SETUP.definition
    assert json.loads(raw)["trustees"]["threshold"] == 2
    assert key_of("authority").public_hex == SETUP.definition.authority_key
