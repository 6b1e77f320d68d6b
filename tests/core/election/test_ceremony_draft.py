"""From a definition to its draft, and from a complete ceremony back to a definition."""

from __future__ import annotations

import hashlib
from functools import cache

import msgspec
import pytest

from support.ceremonies import NAMES, Ceremony, run
from support.secret_definitions import SecretSetup, contest
from support.secret_elections import refusing
from votenet.core.election.ceremony_draft import check_made_of, check_same_draft, completed, draft_of
from votenet.core.election.definition import ElectionDefinition
from votenet.core.election.secret_rules import secret_faults, with_belenios
from votenet.errors import NotProven
from votenet.secret.ceremony.bulletin import STEPS


@cache
def definition() -> ElectionDefinition:
    """As it is before its trustees have a key."""
    made = SecretSetup(contests=(contest(), contest("Dua", max=2, id="2"))).definition
    return msgspec.structs.replace(made, belenios="", trustees=None)


def changed(**members: object) -> ElectionDefinition:
    return msgspec.structs.replace(definition(), **members)


@cache
def complete() -> Ceremony:
    return run(draft=draft_of(definition(), NAMES[:3], 2))


def test_a_complete_ceremony_completes_the_definition() -> None:
    bulletin = complete().bulletin
    made = with_belenios(completed(definition(), bulletin))
    assert list(secret_faults(made)) == []
    assert made.trustees is not None
    assert [one.name for one in made.trustees.keys] == list(NAMES[:3])
    assert [one.key for one in made.trustees.keys] == [key.written() for key in bulletin.keys]
    assert made.trustees.record == hashlib.sha256(bulletin.trustees).hexdigest()
    assert made.trustees.threshold == 2
    assert bulletin.key.written() in made.belenios


def test_a_ceremony_that_is_not_complete_completes_nothing() -> None:
    part = run(STEPS[:3], draft_of(definition(), NAMES[:3], 2))
    part.do("rehearsal", (1, 3))
    with refusing("ceremony-incomplete"):
        completed(definition(), part.bulletin)
    with pytest.raises(NotProven, match="waits for Dewi"):
        completed(definition(), part.bulletin)
    part.do("rehearsal", (2,))
    assert completed(definition(), part.bulletin) == completed(definition(), complete().bulletin)


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"closes": definition().closes + 1}, "closes"),  # type: ignore[operator]
        ({"opens": 1}, "opens"),
        ({"title": "Lain"}, "title"),
        ({"uuid": "2" * 14}, "uuid"),
        ({"contests": definition().contests[::-1]}, "contests"),
        ({"contests": (contest(description="?"), *definition().contests[1:])}, "contests"),
    ],
)
def test_an_election_that_changed_since_its_draft_is_refused(members: dict[str, object], named: str) -> None:
    with pytest.raises(NotProven) as caught:
        completed(changed(**members), complete().bulletin)
    assert caught.value.code == "bad-draft"
    assert caught.value.message.endswith(f"in: {named}")


def test_what_trustees_do_not_vouch_for_may_change() -> None:
    """The roll and the nodes may come later than the key."""
    other = changed(roll_root="cd" * 32, roll_size=5, created=definition().created + 1)
    check_same_draft(complete().draft, draft_of(other, NAMES[:3], 2))
    assert completed(other, complete().bulletin).roll_size == 5


def test_an_election_is_known_as_that_of_its_ceremony() -> None:
    """Also where not every trustee's rehearsal is here: a share of the count needs the keys alone."""
    made, bulletin = completed(definition(), complete().bulletin), complete().bulletin
    check_made_of(made, bulletin)
    check_made_of(made, run(STEPS[:3], bulletin.draft).bulletin)
    with refusing("ceremony-incomplete"):
        check_made_of(made, run(STEPS[:2], bulletin.draft).bulletin)
    with refusing("wrong-election-key"):
        check_made_of(made, run(STEPS[:3], bulletin.draft, seed=32).bulletin)
    with refusing("wrong-election-key"):
        check_made_of(definition(), bulletin)
    with refusing("bad-draft"):
        check_made_of(msgspec.structs.replace(made, title="Lain"), bulletin)


def test_a_draft_is_of_an_election_that_can_be_secret() -> None:
    with refusing("bad-draft"):
        draft_of(changed(closes=None), NAMES[:3], 2)
    ranked = contest("Urut", method="irv", max=3)
    with pytest.raises(NotProven, match="ranks candidates"):
        draft_of(changed(contests=(ranked,)), NAMES[:3], 2)
    with refusing("bad-draft"):
        draft_of(definition(), NAMES[:3], 1)
