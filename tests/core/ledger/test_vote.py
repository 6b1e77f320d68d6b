"""A vote on its own: canonical record, id, signature, and every rule it can break."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.elections import CREATED, key_of, make_election, make_vote, make_votes
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, with_roll
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey, verify
from votenet.core.ledger.vote import (
    HashedVote,
    Vote,
    check_hours,
    check_vote,
    hash_vote,
    hash_votes,
    rules_broken,
    sign_vote,
    signature_holds,
    signatures_hold,
)
from votenet.core.limits import MAX_VOTE_BYTES, MAX_VOTER_ID
from votenet.errors import Rejected

ELECTION = make_election()
RANKED = make_election(max_choices=2, method="instant-runoff")


def code_of(hashed: HashedVote, election: Election = ELECTION) -> str | None:
    """The code that `check_vote` refuses with; None if it does not."""
    try:
        check_vote(hashed, election)
    except Rejected as refused:
        return refused.code
    return None


def changed(hashed: HashedVote, **fields: object) -> HashedVote:
    """The vote with other fields and the old signature."""
    return hash_vote(msgspec.structs.replace(hashed.vote, **fields))


# -- record, id, signature ----------------------------------------------------------------------


def test_the_bytes_of_a_vote_never_change() -> None:
    key = SigningKey(bytes(range(32)))
    hashed = sign_vote(key, network_hex="ab" * 32, voter_id="Zoë", choices=[["Alice"]], time=1_700_000_001)
    signed = (
        '{"choices":[["Alice"]],"network_id":"' + "ab" * 32 + '","time":1700000001,"voter_id":"Zoë",'
        '"voter_key":"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"}'
    ).encode()
    signature = key.sign(b"votenet/vote/2\n" + signed)
    assert verify(key.public, b"votenet/vote/2\n" + signed, signature)
    assert hashed.vote.signature == signature.hex()
    record = signed.replace(b'"time"', b'"signature":"' + signature.hex().encode() + b'","time"')
    assert hashed.record == record
    assert hashed.id == hashlib.sha256(b"\x00" + record).digest()
    assert hashed.id.hex() == "aefe1b05336fb2ccc0119fe4d9d5b1f0030bb837b5933d60143c59fc47915144"
    assert signature_holds(hashed)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=MAX_VOTER_ID)


@given(texts, st.lists(texts, min_size=1, max_size=4), st.integers(0, 2**53 - 1))
@settings(max_examples=40)
def test_a_stored_record_is_the_vote(voter_id: str, choices: list[str], time: int) -> None:
    hashed = sign_vote(key_of("x"), network_hex="00" * 32, voter_id=voter_id, choices=[choices], time=time)
    again = hash_vote(msgspec.json.decode(hashed.record, type=Vote))
    assert again == hashed
    assert signature_holds(again)
    # Any JSON library reads it, and its six members say what was voted.
    members = json.loads(hashed.record)
    assert (members["voter_id"], members["choices"], members["time"]) == (voter_id, [choices], time)
    assert list(members) == sorted(members)
    assert len(members) == 6


def test_hashing_many_votes_equals_hashing_each() -> None:
    votes = [make_vote(ELECTION, f"v{n}").vote for n in range(3)]
    assert hash_votes(votes) == [hash_vote(vote) for vote in votes]


@pytest.mark.parametrize(
    "fields",
    [
        {"choices": (("Bob",),)},
        {"ballot": "x"},
        {"network_id": "00" * 32},
        {"time": CREATED + 2},
        {"voter_id": "voter-2"},
        {"voter_key": key_of("voter-2").public_hex},
        {"signature": "00" * 64},
        {"signature": "zz" * 64},
        {"signature": " " * 128},
        {"voter_key": "zz" * 32},
        {"voter_key": "é" * 64},
        {"voter_key": "\udc80" * 64},
    ],
    ids=ascii,
)
def test_a_signature_covers_every_field(fields: dict[str, object]) -> None:
    hashed = make_vote(ELECTION)
    assert signature_holds(hashed)
    if fields.get("voter_key") == "\udc80" * 64:  # a lone surrogate has no canonical record
        with pytest.raises(UnicodeEncodeError):
            changed(hashed, **fields)
        return
    assert not signature_holds(changed(hashed, **fields))


def test_many_are_answered_in_their_order() -> None:
    votes = [make_vote(ELECTION, f"voter-{n}") for n in range(20)]
    votes[3] = changed(votes[3], time=1)
    votes[19] = changed(votes[19], signature="zz" * 64)
    assert signatures_hold(votes) == [n not in (3, 19) for n in range(20)]
    assert signatures_hold([]) == []


_lookalike = st.sampled_from([',"signature":"', '"signature":"', "signature", ',"', "\\", '\\"', "é\n"])


@given(
    st.lists(_lookalike, min_size=1, max_size=6).map("".join),
    st.lists(st.lists(_lookalike, min_size=1, max_size=6).map("".join), min_size=1, max_size=4),
)
@settings(max_examples=200)
def test_a_name_that_looks_like_a_member_does_not_change_the_signed_bytes(
    voter_id: str, choices: list[str]
) -> None:
    hashed = sign_vote(key_of("x"), network_hex="00" * 32, voter_id=voter_id, choices=[choices], time=1)
    unsigned = {name: value for name, value in json.loads(hashed.record).items() if name != "signature"}
    payload = json.dumps(unsigned, separators=(",", ":"), ensure_ascii=False).encode()
    signature = key_of("x").sign(b"votenet/vote/2\n" + payload).hex()
    assert hashed.vote.signature == signature
    assert signature_holds(hashed)


def test_a_vote_is_not_valid_in_another_election() -> None:
    other = make_election(title="Another")
    assert code_of(make_vote(ELECTION), other) == "network-mismatch"


def test_a_signature_for_a_peer_record_is_none_for_a_vote() -> None:
    key = key_of("voter-1")
    hashed = make_vote(ELECTION, key=key)
    unsigned = {name: value for name, value in json.loads(hashed.record).items() if name != "signature"}
    payload = json.dumps(unsigned, separators=(",", ":"), ensure_ascii=False).encode()
    assert hashed.vote.signature == key.sign(b"votenet/vote/2\n" + payload).hex()
    for domain in (b"", b"votenet/peer-record/1\n", b"votenet/hello/2\n"):
        assert not signature_holds(changed(hashed, signature=key.sign(domain + payload).hex()))


RECORD = json.loads(make_vote(ELECTION).record)


@pytest.mark.parametrize(
    "change",
    [
        {"voter_id": ""},
        {"voter_id": "v" * (MAX_VOTER_ID + 1)},
        {"voter_id": 7},
        {"choices": [[""]]},
        {"choices": [["c" * 201]]},
        {"choices": [["Alice"] * 65]},
        {"choices": [["Alice"]] * 65},
        {"choices": ["Alice"]},
        {"choices": "Alice"},
        {"ballot": None},
        {"time": -1},
        {"time": 2**53},
        {"time": 1.5},
        {"time": None},
        {"voter_key": "00"},
        {"signature": "00"},
        {"network_id": "00"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_a_record_of_another_shape_is_no_vote(change: dict[str, object]) -> None:
    assert msgspec.json.decode(json.dumps(RECORD), type=Vote).voter_id == "voter-1"
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(json.dumps(RECORD | change), type=Vote)


@pytest.mark.parametrize("field", list(RECORD))
def test_a_record_without_a_field_is_no_vote(field: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(json.dumps({k: v for k, v in RECORD.items() if k != field}), type=Vote)


def test_without_the_c_core_signatures_are_checked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("votenet.core.ledger.vote.native_verifier", lambda: None)
    votes = make_votes(ELECTION, 5)
    votes[2] = changed(votes[2], time=7)
    votes[3] = changed(votes[3], signature="zz" * 64)
    assert signatures_hold(votes) == [True, True, False, False, True]
    assert signatures_hold([]) == []


# -- rules ----------------------------------------------------------------------------------------


def test_good_votes_pass() -> None:
    for choice in ("Alice", "Bob", "Charlie"):
        assert code_of(make_vote(ELECTION, "voter-1", choice)) is None
    assert code_of(make_vote(ELECTION, "v" * MAX_VOTER_ID)) is None
    assert code_of(make_vote(ELECTION, "Zoë Ünal 🗳 / 7")) is None
    assert code_of(make_vote(RANKED, "voter-1", "Bob", "Alice"), RANKED) is None


VOTE = make_vote(ELECTION)
UPPER_KEY = VOTE.vote.voter_key.upper()
UPPER_SIGNATURE = VOTE.vote.signature.upper()
REFUSED = [
    ("unknown-candidate", make_vote(ELECTION, "voter-1", "Dave"), ELECTION),
    ("unknown-candidate", make_vote(ELECTION, "voter-1", "alice"), ELECTION),
    ("unknown-candidate", make_vote(ELECTION, "voter-1", "Alice "), ELECTION),
    ("unknown-candidate", make_vote(RANKED, "voter-1", "Alice", "Dave"), RANKED),
    ("network-mismatch", make_vote(RANKED), ELECTION),
    ("network-mismatch", changed(VOTE, network_id=ELECTION.network_hex.upper()), ELECTION),
    ("bad-vote", make_vote(ELECTION, "a\nb"), ELECTION),
    ("bad-vote", make_vote(ELECTION, "a\x00"), ELECTION),
    ("bad-vote", make_vote(ELECTION, "\x7f"), ELECTION),
    ("bad-vote", make_vote(ELECTION, "\x9b2J"), ELECTION),
    ("bad-vote", make_vote(ELECTION, "a\u2028b"), ELECTION),
    ("bad-vote", make_vote(ELECTION, " voter-1"), ELECTION),
    ("bad-vote", make_vote(ELECTION, "voter-1 "), ELECTION),
    ("bad-vote", make_vote(ELECTION, " "), ELECTION),
    ("bad-vote", make_vote(ELECTION, ""), ELECTION),
    ("bad-vote", make_vote(ELECTION, "v" * (MAX_VOTER_ID + 1)), ELECTION),
    ("bad-vote", changed(VOTE, voter_key=UPPER_KEY), ELECTION),
    ("bad-vote", changed(VOTE, signature=UPPER_SIGNATURE), ELECTION),
    ("bad-choices", changed(VOTE, choices=()), ELECTION),
    ("bad-choices", changed(VOTE, choices=((),)), ELECTION),
    ("bad-choices", changed(VOTE, choices=(("Alice",), ())), ELECTION),
    ("bad-choices", changed(VOTE, choices=(("Alice",), ("Bob",))), ELECTION),
    ("bad-vote", changed(VOTE, ballot="x"), ELECTION),
    ("bad-choices", make_vote(ELECTION, "voter-1", "Alice", "Bob"), ELECTION),
    ("bad-choices", make_vote(RANKED, "voter-1", "Alice", "Bob", "Charlie"), RANKED),
    ("bad-choices", make_vote(RANKED, "voter-1", "Alice", "Alice"), RANKED),
]


@pytest.mark.parametrize(("code", "hashed", "election"), REFUSED)
def test_a_vote_that_breaks_a_rule_is_refused(code: str, hashed: HashedVote, election: Election) -> None:
    assert code_of(hashed, election) == code


_ELECTIONS = (
    ELECTION,
    RANKED,
    make_election(max_choices=2, method="approval"),
    with_roll(make_election(roll=(_roll := Roll([("ann", key_of("ann").public_hex)]))), _roll),
)
_FIELDS = {
    "choices": st.lists(st.lists(st.sampled_from(["Alice", "Bob", "Eve", ""]), max_size=3), max_size=2),
    "network_id": st.sampled_from([*(one.network_hex for one in _ELECTIONS), "00" * 32]),
    "signature": st.sampled_from(["ab" * 64, "AB" * 64]),
    "voter_id": st.sampled_from(["ann", "Zoë", " ann", "ann ", "a\nn", "a" * 128, "ë" * 129, "", "\u202e"]),
    "voter_key": st.sampled_from([key_of("ann").public_hex, "CD" * 32]),
    "ballot": st.sampled_from(["", "x", "x" * MAX_VOTE_BYTES]),
}


@settings(max_examples=200)
@given(st.sampled_from(_ELECTIONS), st.lists(st.fixed_dictionaries({}, optional=_FIELDS), max_size=6))
def test_many_votes_are_refused_for_what_each_is_refused_for(
    election: Election, changes: list[dict[str, Any]]
) -> None:
    votes = [changed(make_vote(election, "ann", "Alice"), **one) for one in changes]
    found = [None if refusal is None else refusal.code for refusal in rules_broken(votes, election)]
    assert found == [code_of(vote, election) for vote in votes]


def test_upper_case_would_be_a_second_id_for_the_same_signed_vote() -> None:
    # Why the rule is needed: both forms verify, and their ids differ.
    twin = changed(VOTE, signature=UPPER_SIGNATURE)
    assert signature_holds(VOTE)
    assert signature_holds(twin)
    assert twin.id != VOTE.id


def test_an_unknown_candidate_lists_those_to_choose_from() -> None:
    with pytest.raises(Rejected) as caught:
        check_vote(make_vote(ELECTION, "voter-1", "Dave"), ELECTION)
    assert caught.value.message == "'Dave' is not a candidate; choose from: Alice, Bob, Charlie"
    assert caught.value.details == {"candidates": ["Alice", "Bob", "Charlie"]}


def test_a_long_list_of_candidates_is_cut_for_people_only() -> None:
    election = make_election(candidates=[f"c{n}" for n in range(51)])
    with pytest.raises(Rejected, match=r"c49, … \(51 in all\)") as caught:
        check_vote(make_vote(election, "voter-1", "Dave"), election)
    assert "c50" not in caught.value.message
    assert caught.value.details["candidates"] == [f"c{n}" for n in range(51)]


def test_a_refusal_is_small_for_any_candidates() -> None:
    """A request of 360 KB, a thousand votes for unknown candidates, must not cost 830 MB of answers."""
    long = make_election(candidates=[f"{n:03}".ljust(200, "\U00020000") for n in range(1000)])
    with pytest.raises(Rejected, match=r" \(1000 in all\)") as caught:
        check_vote(make_vote(long, "voter-1", "Dave"), long)
    assert len(canonical(caught.value.as_dict())) < 4096


def test_the_longest_ascii_ballot_fits_and_a_longer_one_does_not() -> None:
    rules: dict[str, Any] = {"max_choices": 64, "method": "approval"}
    plain = make_election(candidates=[f"{n:02}".ljust(200, "x") for n in range(64)], **rules)
    longest = make_vote(plain, "v" * MAX_VOTER_ID, *plain.names)
    assert len(longest.record) <= MAX_VOTE_BYTES
    assert code_of(longest, plain) is None
    wide = make_election(candidates=[f"{n:02}".ljust(200, "é") for n in range(64)], **rules)
    too_long = make_vote(wide, "voter-1", *wide.names)
    assert len(too_long.record) > MAX_VOTE_BYTES
    assert code_of(too_long, wide) == "vote-too-large"


# -- hours ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opens", "closes", "time", "code"),
    [
        (None, None, 0, None),
        (100, None, 99, "not-open"),
        (100, None, 100, None),
        (None, 200, 199, None),
        (None, 200, 200, "closed"),
        (100, 200, 99, "not-open"),
        (100, 200, 150, None),
        (100, 200, 201, "closed"),
    ],
)
def test_hours(opens: int | None, closes: int | None, time: int, code: str | None) -> None:
    election = make_election(opens=opens, closes=closes)
    if code is None:
        check_hours(time, election)
        return
    with pytest.raises(Rejected) as caught:
        check_hours(time, election)
    assert caught.value.code == code
    assert caught.value.details == ({"opens": opens} if code == "not-open" else {"closes": closes})


def test_a_vote_is_one_record_with_six_fields_and_the_ballot_of_secret_elections() -> None:
    fields = [field.name for field in msgspec.structs.fields(Vote)]
    assert fields == ["ballot", "choices", "network_id", "signature", "time", "voter_id", "voter_key"]
    assert "ballot" not in RECORD
    secret = changed(VOTE, ballot="x", choices=())
    assert secret.record.startswith(b'{"ballot":"x","choices":[],"network_id":')
    assert msgspec.json.decode(secret.record, type=Vote) == secret.vote
