"""Amendments: their form, their signature, their rules, and the election in force behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.amendments import AUTHORITY, CLOSES, amendable, amendment, roll_of
from support.elections import CREATED, key_of, make_election, named_nodes
from support.secret_definitions import SecretSetup
from votenet.core.election.amendment import Amendment, amend, check_amendment, sign_amendment
from votenet.core.election.definition import Election
from votenet.core.encoding import canonical
from votenet.core.limits import MAX_AMENDMENTS
from votenet.errors import Rejected

ROLL = amendable("ada", "bo")
HOURS = amendable()
ENDLESS = amendable(closes=None)


def code_of(one: Amendment, election: Election, **given: Any) -> str:
    try:
        check_amendment(one, election, **given)
    except Rejected as error:
        return error.code
    return ""


def test_a_record_has_all_members_and_the_authority_signs_it_without_kind_and_signature() -> None:
    one = amendment(ROLL, "extend", closes=CLOSES + 60, reason="the hall is late")
    written = json.loads(canonical(one))
    assert list(written) == sorted(written)
    assert written == {
        "action": "extend", "closes": CLOSES + 60, "key": None, "kind": "amendment",
        "network_id": ROLL.network_hex, "number": 1, "reason": "the hall is late",
        "signature": one.signature, "voter_id": None, "weight": None,
    }  # fmt: skip
    del written["kind"], written["signature"]
    signed = b"votenet/amendment/2\n" + json.dumps(written, separators=(",", ":")).encode()
    assert AUTHORITY.sign(signed).hex() == one.signature
    assert msgspec.json.decode(canonical(one), type=Amendment) == one


GOOD: dict[str, tuple[Election, Callable[[], Amendment]]] = {
    "a voter": (ROLL, lambda: amendment(ROLL, "add-voter", "cy")),
    "a key": (ROLL, lambda: amendment(ROLL, "replace-key", "ada", reason="card lost")),
    "later": (HOURS, lambda: amendment(HOURS, "extend", closes=CLOSES + 1)),
    "earlier": (HOURS, lambda: amendment(HOURS, "close", closes=CREATED + 100)),
    "an end": (ENDLESS, lambda: amendment(ENDLESS, "close", closes=CREATED + 100)),
    "none": (HOURS, lambda: amendment(HOURS, "cancel", reason="ü" * 2000)),
}


@pytest.mark.parametrize("what", GOOD)
def test_a_good_amendment_is_taken_once(what: str) -> None:
    election, make = GOOD[what]
    one = make()
    after = amend(election, [one], time=CREATED + 40)
    assert after.amendments == (one,)
    assert after.network_hex == election.network_hex
    assert code_of(one, after) == "bad-amendment"


OPENS = amendable(opens=CREATED + 500)
BAD: dict[str, tuple[Election, Callable[[], Amendment], dict[str, Any]]] = {
    "another key": (HOURS, lambda: amendment(HOURS, "cancel", by=key_of("eve")), {}),
    "another network": (HOURS, lambda: amendment(HOURS, "cancel", network_hex=ROLL.network_hex), {}),
    "changed": (HOURS, lambda: msgspec.structs.replace(amendment(HOURS, "cancel"), reason="x"), {}),
    "a gap": (HOURS, lambda: amendment(HOURS, "cancel", number=2), {}),
    "a reason with a newline": (HOURS, lambda: amendment(HOURS, "cancel", reason="a\nb"), {}),
    "a member too many": (HOURS, lambda: amendment(HOURS, "cancel", closes=CLOSES), {}),
    "a member missing": (HOURS, lambda: amendment(HOURS, "extend"), {}),
    "a voter where all may vote": (HOURS, lambda: amendment(HOURS, "add-voter", "cy"), {}),
    "a weight where all are equal": (ROLL, lambda: amendment(ROLL, "add-voter", "cy", weight=2), {}),
    "a voter who is there": (ROLL, lambda: amendment(ROLL, "add-voter", "ada"), {}),
    "a voter id with a space": (ROLL, lambda: amendment(ROLL, "add-voter", "cy "), {}),
    "a key in use": (ROLL, lambda: amendment(ROLL, "add-voter", "cy", key="bo"), {}),
    "the same key again": (ROLL, lambda: amendment(ROLL, "replace-key", "ada", key="ada"), {}),
    "a voter who is not there": (ROLL, lambda: amendment(ROLL, "replace-key", "cy"), {}),
    "a voter who voted": (
        ROLL, lambda: amendment(ROLL, "replace-key", "ada"), {"has_voted": {"ada"}.__contains__}
    ),
    "no later": (HOURS, lambda: amendment(HOURS, "extend", closes=CLOSES), {}),
    "no end to extend": (ENDLESS, lambda: amendment(ENDLESS, "extend", closes=CLOSES), {}),
    "no earlier": (HOURS, lambda: amendment(HOURS, "close", closes=CLOSES), {}),
    "too late for the hour in force": (
        HOURS, lambda: amendment(HOURS, "extend", closes=CLOSES + 900), {"time": CLOSES - 59}
    ),
    "too late for the new hour": (
        HOURS, lambda: amendment(HOURS, "close", closes=CREATED + 500), {"time": CREATED + 441}
    ),
    "closed before it opens": (OPENS, lambda: amendment(OPENS, "close", closes=CREATED + 500), {}),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_amendment_is_refused(what: str) -> None:
    election, make, given = BAD[what]
    assert code_of(make(), election, **given) == "bad-amendment"


def test_a_key_that_is_no_point_of_the_curve_is_refused() -> None:
    one = msgspec.structs.replace(amendment(ROLL, "replace-key", "ada"), key="00" * 32)
    assert code_of(one, ROLL) == "bad-amendment"


def test_only_named_nodes_with_an_authority_are_amended() -> None:
    for election in (make_election(authority_key=AUTHORITY.public_hex), make_election(nodes=named_nodes(1))):
        assert code_of(amendment(election, "cancel"), election) == "bad-amendment"


def test_the_notice_of_a_minute_is_kept_to_the_second() -> None:
    later = amendment(HOURS, "extend", closes=CLOSES + 900)
    assert code_of(later, HOURS, time=CLOSES - 60) == ""
    earlier = amendment(HOURS, "close", closes=CREATED + 500)
    assert code_of(earlier, HOURS, time=CREATED + 440) == ""


def test_amendments_of_one_block_follow_each_other_by_number() -> None:
    first = amendment(ROLL, "add-voter", "cy")
    second = amendment(ROLL, "replace-key", "cy", key="third key", number=2)
    after = amend(ROLL, [second, first])
    assert after.given_keys == {"cy": key_of("third key").public_hex}
    cancel = amendment(ROLL, "cancel", number=2)
    with pytest.raises(Rejected, match="cancelled"):
        amend(ROLL, [first, cancel, amendment(ROLL, "add-voter", "di", number=3)])


def test_a_key_that_was_replaced_stays_used() -> None:
    after = amend(ROLL, [amendment(ROLL, "replace-key", "ada")])
    for key in ("ada", "new key of ada"):
        assert code_of(amendment(after, "add-voter", "cy", key=key), after) == "bad-amendment"


def test_without_the_roll_amendments_are_judged_by_themselves() -> None:
    blind = make_election(
        roll=roll_of("ada", "bo"), nodes=named_nodes(4), authority_key=AUTHORITY.public_hex, closes=CLOSES
    )
    after = amend(
        blind, [amendment(blind, "replace-key", "whoever"), amendment(blind, "add-voter", "cy", number=2)]
    )
    assert (after.registered, after.roll_size, after.roll_weight) == (None, 3, 3)
    for one in (
        amendment(after, "add-voter", "cy", key="x"),
        amendment(after, "add-voter", "di", key="new key of cy"),
    ):
        assert code_of(one, after) == "bad-amendment"


@given(
    st.lists(st.tuples(st.sampled_from(["add-voter", "replace-key"]), st.integers(0, 5), st.integers(0, 9)))
)
def test_the_roll_in_force_is_what_a_plain_model_says(steps: list[tuple[Any, int, int]]) -> None:
    """Weighted: names v0 to v5, of which v0 to v2 are on the roll; keys k0 to k9, of which three are used."""
    voters = [(f"v{n}", key_of(f"k{n}").public_hex, n + 1) for n in range(3)]
    election = weighted(voters)
    roll, weights = {v: k for v, k, _ in voters}, {v: w for v, _, w in voters}
    used = set(roll.values())
    for action, who, which in steps:
        voter, key = f"v{who}", key_of(f"k{which}").public_hex
        weight = which + 1 if action == "add-voter" else None
        one = amendment(election, action, voter, key=f"k{which}", weight=weight)
        good = key not in used and (voter in roll) == (action == "replace-key")
        assert code_of(one, election, has_voted=lambda voter_id: False) == ("" if good else "bad-amendment")
        if good:
            before = election
            election = election.amended([one])
            assert before.registered is not None
            assert before.registered.get(voter) != key, "the election before is as it was"
            roll[voter] = key
            used.add(key)
            weights.setdefault(voter, which + 1)
    assert (dict(election.registered or {}), dict(election.weights or {})) == (roll, weights)
    assert (election.roll_weight, election.roll_size) == (sum(weights.values()), len(roll))
    assert election.weights_of(sorted(roll)) == [weights[voter] for voter in sorted(roll)]


def weighted(voters: list[tuple[str, str, int]]) -> Election:
    from votenet.core.election.roll import Roll, with_roll

    roll = Roll(voters)
    made = make_election(roll=roll, nodes=named_nodes(1), authority_key=AUTHORITY.public_hex)
    return with_roll(Election(msgspec.structs.replace(made.definition, weighted=True)), roll)


def test_the_weights_of_a_roll_stay_exact() -> None:
    heavy = weighted([("ada", key_of("ada").public_hex, 1)])
    heavy.roll_weight = 2**53 - 1_000_000
    assert code_of(amendment(heavy, "add-voter", "cy", weight=999_999), heavy) == ""
    assert code_of(amendment(heavy, "add-voter", "cy", weight=1_000_000), heavy) == "bad-amendment"


def test_hours_and_cancel_are_in_force_behind_them() -> None:
    later = HOURS.amended([amendment(HOURS, "extend", closes=CLOSES + 60)])
    assert (HOURS.closes, later.closes, later.definition.closes) == (CLOSES, CLOSES + 60, CLOSES)
    gone = later.amended([amendment(later, "cancel")])
    assert gone.cancelled
    assert not later.cancelled
    assert code_of(amendment(gone, "extend", closes=CLOSES + 120), gone) == "bad-amendment"


def test_an_election_has_so_many_amendments_at_most() -> None:
    last = msgspec.structs.replace(amendment(HOURS, "cancel"), number=MAX_AMENDMENTS)
    assert msgspec.json.decode(canonical(last), type=Amendment) == last
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            canonical(msgspec.structs.replace(last, number=MAX_AMENDMENTS + 1)), type=Amendment
        )


# -- secret elections --------------------------------------------------------------------------------

SECRET = SecretSetup()


def secret_amendment(action: str, **members: Any) -> Amendment:
    """One that gives `voter_id` a key and a credential, unless `members` say otherwise."""
    given = {
        "key": key_of("new").public_hex,
        "credential": SECRET.public_credential("new"),
        "voter_id": "new" if action == "add-voter" else "voter-1",
        "weight": 1 if action == "add-voter" else None,
        "number": 1,
    }
    election = SECRET.election
    return sign_amendment(
        key_of("authority"),
        network_hex=election.network_hex,
        action=action,  # type: ignore[arg-type]
        **{**given, **members},  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("action", ["add-voter", "replace-key"])
def test_a_change_of_the_roll_of_a_secret_election_gives_a_credential(action: str) -> None:
    one = secret_amendment(action)
    amended = amend(SECRET.election, [one])
    assert one.voter_id is not None
    assert amended.credentials is not None
    assert amended.credentials[one.voter_id] == one.credential
    assert SECRET.election.credentials is not None
    assert SECRET.election.credentials.get(one.voter_id) != one.credential
    read = msgspec.json.decode(canonical(one), type=Amendment)
    assert (read, json.loads(canonical(one))["credential"]) == (one, one.credential)


@pytest.mark.parametrize(
    ("action", "members", "says"),
    [
        ("add-voter", {"credential": None}, "needs a credential"),
        ("replace-key", {"credential": None}, "needs a credential"),
        ("add-voter", {"credential": "00" * 32}, "no member of the group"),
        ("add-voter", {"credential": SECRET.public_credential("voter-2")}, "is, or was, that of a voter"),
        ("replace-key", {"credential": SECRET.public_credential("voter-1")}, "is, or was, that of a voter"),
        ("cancel", {"key": None, "voter_id": None}, "only changes of the roll"),
    ],
)
def test_credentials_that_no_amendment_may_give(action: str, members: dict[str, Any], says: str) -> None:
    with pytest.raises(Rejected, match=says) as caught:
        check_amendment(secret_amendment(action, **members), SECRET.election)
    assert caught.value.code == "bad-amendment"


def test_a_credential_that_was_given_once_is_not_given_again() -> None:
    first = secret_amendment("replace-key")
    again = secret_amendment("add-voter", key=key_of("other").public_hex, number=2)
    with pytest.raises(Rejected, match="its credential is, or was"):
        amend(SECRET.election, [first, again])


def test_a_public_election_takes_no_credential() -> None:
    one = sign_amendment(
        AUTHORITY, network_hex=ROLL.network_hex, number=1, action="replace-key", voter_id="ada",
        key=key_of("new").public_hex, credential=SECRET.public_credential("ada"),
    )  # fmt: skip
    with pytest.raises(Rejected, match="only changes of the roll of a secret election"):
        check_amendment(one, ROLL)


def test_no_amendment_makes_the_roll_heavier_than_a_secret_count_can_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("votenet.core.election.amendment.MAX_TOTAL_WEIGHT", 5)
    with pytest.raises(Rejected, match="more than secret ballots"):
        check_amendment(secret_amendment("add-voter"), SECRET.election)
