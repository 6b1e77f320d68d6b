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
from support.secret_elections import refusing
from votenet.core.election.definition import (
    Candidate,
    Contest,
    Election,
    ElectionDefinition,
    Threshold,
    Trustee,
    Witness,
    election_from_file,
)
from votenet.core.election.definition_rules import definition_faults
from votenet.core.election.secret_rules import (
    MAX_AROUND_BALLOT,
    SECRET_METHODS,
    longest_vote,
    questions_of,
    secret_faults,
    with_belenios,
)
from votenet.core.encoding import canonical
from votenet.core.ledger.vote import Vote
from votenet.core.limits import (
    MAX_ARCHIVE_LINE,
    MAX_NAME,
    MAX_NAMED_NODES,
    MAX_RECORD_BYTES,
    MAX_STATEMENT,
    MAX_TRUSTEE_KEYS,
    MAX_VOTER_ID,
)
from votenet.core.methods.registry import METHODS
from votenet.secret.ballot import check_ballot
from votenet.secret.definition import read_election
from votenet.secret.group import BASE, IDENTITY, Point, multiply
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


def test_the_text_for_belenios_follows_from_the_definition_and_the_key() -> None:
    blank = contest("Ya?", ("Ya", "Tidak"), blank=True, id="2", method="approval", min=1, max=2)
    setup = SecretSetup(contests=(contest(), blank))
    key = read_election(setup.definition.belenios.encode()).key
    rest = msgspec.to_builtins(setup.definition) | {"belenios": ""}
    spelled = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    digest = hashlib.sha256(b"votenet/belenios/1\n" + spelled.encode()).hexdigest()
    assert setup.definition.belenios == (
        f'{{"version":1,"description":"{digest}","name":"Pemilihan ketua","group":"Ed25519",'
        f'"public_key":"{key.written()}","questions":['
        '{"answers":["Alice","Bob","Çelik"],"min":1,"max":1,"question":"Ketua"},'
        '{"answers":["Ya","Tidak"],"blank":true,"min":1,"max":2,"question":"Ya?"}],'
        '"uuid":"Hq5cCAzXZnbL1p"}'
    )


def test_the_bytes_of_a_secret_definition() -> None:
    digest = hashlib.sha256(canonical(SETUP.definition)).hexdigest()
    assert digest == "a7f526a8e24a4e9e793549db18c52e1ff2c6ebb07252da8133e653b4765bec4c"


def other_trustees(**members: Any) -> dict[str, Any]:
    assert SETUP.definition.trustees is not None
    return {"trustees": msgspec.structs.replace(SETUP.definition.trustees, **members)}


ANOTHER: dict[str, dict[str, Any]] = {
    "authority_key": {"authority_key": key_of("another").public_hex},
    "chain": {"chain": msgspec.structs.replace(SETUP.definition.chain, grace_seconds=31)},
    "closes": {"closes": SETUP.closes + 1},
    "contests": {"contests": (contest(description="For two years."),)},
    "created": {"created": SETUP.definition.created + 1},
    "language": {"language": "id"},
    "nodes": {"nodes": SETUP.definition.nodes[::-1]},
    "opens": {"opens": SETUP.definition.created},
    "organiser": {"organiser": "The club"},
    "roll_root": {"roll_root": "cd" * 32},
    "roll_size": {"roll_size": 6},
    "time_zone": {"time_zone": "Asia/Jakarta"},
    "title": {"title": "Pemilihan"},
    "trustees": other_trustees(record="cd" * 32),
    "uuid": {"uuid": "Hq5cCAzXZnbL1q"},
    "weighted": {"weighted": True},
    "witnesses": {"witnesses": (Witness(key="w+0123abcd+" + "A" * 44, name="W", url="https://w.example"),)},
}
"""A change of each member that a definition with secret ballots may have in more than one way."""


def test_a_change_of_each_member_is_known() -> None:
    fixed = {"belenios", "registration", "results", "secrecy", "version"}
    assert set(ANOTHER) == set(ElectionDefinition.__struct_fields__) - fixed


@pytest.mark.parametrize("member", ANOTHER)
def test_no_ballot_of_an_election_holds_in_one_that_differs_in_any_member(member: str) -> None:
    """Same contests, same trustees, same voters with the same codes: another roll or other nodes suffice."""
    other = read_election(SETUP.define(**ANOTHER[member]).belenios.encode())
    ours = SETUP.election.secret
    assert ours is not None
    assert other.fingerprint != ours.fingerprint
    ballot, voters = SETUP.ballot("voter-1").encode(), {Point.parse(SETUP.public_credential("voter-1")): 1}
    check_ballot(ours, ballot, voters)
    with refusing("wrong-election"):
        check_ballot(other, ballot, voters)


@pytest.mark.parametrize("member", ANOTHER)
def test_no_member_of_a_definition_changes_without_its_text_for_belenios(member: str) -> None:
    kept = {"belenios": SETUP.definition.belenios}
    assert faults(SETUP.define(**ANOTHER[member])) == []
    (found,) = faults(SETUP.define(**ANOTHER[member], **kept))
    assert "not the one that follows" in found


def test_the_text_for_belenios_is_made_again_when_the_definition_is_complete() -> None:
    draft = msgspec.structs.replace(SETUP.definition, belenios="")
    assert with_belenios(draft) == with_belenios(SETUP.definition) == SETUP.definition
    public = make_election().definition
    assert with_belenios(public) == public


def test_the_largest_definition_with_secret_ballots_is_valid() -> None:
    """Every member as long as it may be; the contests as large as a vote of `MAX_RECORD_BYTES` lets them."""
    names = [f"{place:02}" + "\U0001f5f3" * (MAX_NAME - 2) for place in range(95)]
    statement = "\U0001f5f3" * MAX_STATEMENT
    keys = tuple(  # those of two trustees suffice
        Trustee(key=Point(multiply(BASE, 5 + 7 * place)).written(), name=name)
        for place, name in enumerate(names[:MAX_TRUSTEE_KEYS], start=1)
    )
    candidates = tuple(Candidate(name=name, statement=statement) for name in names)
    one = msgspec.structs.replace(contest(), candidates=candidates, description=statement)
    definition = SecretSetup(nodes=MAX_NAMED_NODES).define(
        contests=(one,), organiser=statement, **other_trustees(keys=keys)
    )
    election = Election(with_belenios(definition))
    assert election_from_file(election.to_file()).network_id == election.network_id
    assert len(election.to_file()) < MAX_ARCHIVE_LINE


def with_key(place: int, key: str) -> dict[str, Any]:
    trustees = SETUP.definition.trustees
    assert trustees is not None
    keys = list(trustees.keys)
    keys[place] = Trustee(key=key, name=keys[place].name)
    return other_trustees(keys=tuple(keys))


def with_threshold(threshold: int) -> dict[str, Any]:
    return other_trustees(threshold=threshold)


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
    (with_threshold(3), "not those of one key generation"),
    (with_key(2, multiply(BASE, 5)[::-1].hex()), "not those of one key generation"),
    (with_key(0, "00" * 32), "the key of a trustee is not valid"),
    (with_key(0, IDENTITY[::-1].hex()), "the key of a trustee is not valid"),
    ({"belenios": SETUP.definition.belenios + " "}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios.replace("Bob", "Bop")}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios, "title": "Pemilihan"}, "not the one that follows"),
    ({"belenios": SETUP.definition.belenios, "uuid": "Hq5cCAzXZnbL1q"}, "not the one that follows"),
    ({"belenios": SecretSetup(seed=2).definition.belenios}, "not the one that follows"),
    *(
        ({"belenios": SETUP.definition.belenios, **ANOTHER[member]}, "not the one that follows from the rest")
        for member in ("closes", "contests", "nodes", "roll_root", "roll_size", "trustees")
    ),
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
