"""Votes with encrypted ballots: what is refused at once, what its proofs tell, and in which order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.elections import key_of, make_election, make_vote
from support.secret_definitions import SecretSetup, contest
from votenet.core.election.amendment import sign_amendment
from votenet.core.ledger.secret_vote import ForgedVote, proof_fault
from votenet.core.ledger.signature_cache import SignatureCache
from votenet.core.ledger.vote import HashedVote, check_vote, forgery, hash_vote, sign_vote
from votenet.core.limits import MAX_RECORD_BYTES, MAX_VOTE_BYTES
from votenet.errors import REFUSALS, Rejected
from votenet.secret import ballot

SETUP = SecretSetup()
ELECTION = SETUP.election
VOTE = SETUP.vote("voter-1")


def code(hashed: HashedVote) -> str:
    """The code with which the rules refuse a vote; empty if they do not."""
    try:
        check_vote(hashed, ELECTION)
    except Rejected as error:
        return error.code
    return ""


def changed(hashed: HashedVote, **fields: Any) -> HashedVote:
    return hash_vote(msgspec.structs.replace(hashed.vote, **fields))


def test_a_good_vote_keeps_all_rules_and_is_no_forgery() -> None:
    assert code(VOTE) == ""
    assert forgery(VOTE, ELECTION) is None


@pytest.mark.parametrize("candidates", [30])
def test_a_secret_vote_may_be_larger_than_a_public_one(candidates: int) -> None:
    setup = SecretSetup(contests=(contest(names=[f"Calon {n}" for n in range(candidates)]),))
    vote = setup.vote("voter-1", [[1] + [0] * (candidates - 1)])
    assert MAX_VOTE_BYTES < len(vote.record) <= MAX_RECORD_BYTES
    check_vote(vote, setup.election)


def test_what_is_wrong_is_refused_before_any_proof_is_looked_at() -> None:
    public = make_vote(make_election(), "voter-1")
    assert code(public) == "network-mismatch"
    assert code(changed(VOTE, choices=(("Alice",),))) == "bad-vote"
    assert code(changed(VOTE, ballot="")) == "bad-vote"
    assert code(changed(VOTE, ballot="x" * MAX_RECORD_BYTES)) == "vote-too-large"
    assert code(changed(VOTE, ballot="{}")) == "bad-document"
    assert code(changed(VOTE, ballot="[" * 10_000)) == "bad-document"
    assert code(changed(VOTE, voter_id="voter-2")) == "wrong-key"
    assert code(changed(VOTE, voter_id="stranger")) == "not-on-roll"


def test_a_ballot_counts_only_for_the_voter_whose_credential_it_names() -> None:
    stolen = SETUP.vote("voter-2", ballot=SETUP.ballot("voter-1"))
    assert code(stolen) == "unknown-credential"
    assert code(SETUP.vote("voter-2")) == ""


def test_a_copied_ballot_with_the_own_credential_proves_nothing() -> None:
    members = json.loads(SETUP.ballot("voter-1"))
    members["credential"] = SETUP.public_credential("voter-2")
    copied = SETUP.vote("voter-2", ballot=json.dumps(members, separators=(",", ":")))
    assert code(copied) == ""
    wrong = forgery(copied, ELECTION)
    assert wrong is not None
    assert wrong.code == "bad-ballot-signature"


def test_a_ballot_of_an_election_with_another_roll_is_a_forgery() -> None:
    """Its voter signs it for this election: the same code gives the same credential in both."""
    other = SecretSetup(weights=(1, 1, 1, 1))
    vote = SETUP.vote("voter-1", ballot=other.ballot("voter-1"))
    assert code(vote) == ""
    wrong = forgery(vote, ELECTION)
    assert isinstance(wrong, ForgedVote)
    assert wrong.code == "wrong-election"


def test_the_signature_is_looked_at_before_the_ballot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "votenet.core.ledger.vote.proof_fault", lambda vote, election: pytest.fail("proofs were checked")
    )
    wrong = forgery(changed(VOTE, time=VOTE.vote.time + 1), ELECTION)
    assert wrong is not None
    assert wrong.code == "bad-signature"


def swapped(one: dict[str, Any]) -> None:
    choices = one["answers"][0]["choices"]
    choices[0], choices[1] = choices[1], choices[0]


def other_hash(one: dict[str, Any]) -> None:
    one["election_hash"] = "A" * 43


def no_signature(one: dict[str, Any]) -> None:
    del one["signature"]


def small_point(one: dict[str, Any]) -> None:
    one["answers"][0]["choices"][0]["alpha"] = "00" * 31 + "01"


def one_answer_more(one: dict[str, Any]) -> None:
    one["answers"].append(one["answers"][0])


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (swapped, "bad-ballot-signature"),
        (other_hash, "wrong-election"),
        (no_signature, "bad-ballot-signature"),
        (small_point, "bad-point"),
        (one_answer_more, "bad-answers"),
    ],
)
def test_a_changed_ballot_is_a_forgery(change: Callable[[dict[str, Any]], None], expected: str) -> None:
    members = json.loads(SETUP.ballot("voter-1"))
    change(members)
    vote = SETUP.vote("voter-1", ballot=json.dumps(members, separators=(",", ":")))
    assert code(vote) == ""
    wrong = forgery(vote, ELECTION)
    assert isinstance(wrong, ForgedVote)
    assert wrong.code == expected
    assert "voter-1" in wrong.message


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_any_text_as_a_ballot_is_refused_with_a_code(text: str) -> None:
    try:
        vote = sign_vote(
            key_of("voter-1"), network_hex=ELECTION.network_hex, voter_id="voter-1", choices=(), time=1,
            ballot=text,
        )  # fmt: skip
    except UnicodeEncodeError:
        return
    assert code(vote) in ("bad-document", "bad-vote")
    if text:
        fault = proof_fault(vote.vote, ELECTION)
        assert fault is not None
        assert fault.code == "bad-document"


def test_a_good_ballot_is_checked_once_and_a_bad_one_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def check(vote: Any, election: Any) -> ForgedVote | None:
        asked.append(vote.voter_id)
        return proof_fault(vote, election)

    monkeypatch.setattr("votenet.core.ledger.vote.proof_fault", check)
    cache = SignatureCache()
    bad = SETUP.vote("voter-2", ballot=SETUP.ballot("voter-1"))
    for _ in range(2):
        verdicts = cache.check([VOTE, changed(bad, ballot="{}")], ELECTION)
        assert verdicts[0] is None
        assert verdicts[1] is not None
    assert asked == ["voter-1"]  # the other one's signature fails first
    forged = SETUP.vote("voter-2", ballot="{}")
    cache.check([forged], ELECTION)
    cache.check([forged], ELECTION)
    assert asked == ["voter-1", "voter-2", "voter-2"]


def test_behind_an_amendment_only_the_new_credential_is_taken() -> None:
    given = SETUP.public_credential("somebody else")
    amendment = sign_amendment(
        key_of("authority"), network_hex=ELECTION.network_hex, number=1, action="replace-key",
        voter_id="voter-1", key=key_of("new key").public_hex, credential=given,
    )  # fmt: skip
    amended = ELECTION.amended([amendment])
    again = sign_vote(
        key_of("new key"), network_hex=ELECTION.network_hex, voter_id="voter-1", choices=(), time=1,
        ballot=SETUP.ballot("voter-1"),
    )  # fmt: skip
    with pytest.raises(Rejected) as caught:
        check_vote(again, amended)
    assert caught.value.code == "unknown-credential"


def test_a_public_election_takes_no_ballot() -> None:
    public = make_election()
    vote = make_vote(public, "voter-1")
    with pytest.raises(Rejected, match="no encrypted ballots"):
        check_vote(changed(vote, ballot="{}"), public)


def test_without_the_roll_the_credential_is_not_compared() -> None:
    check_vote(SETUP.vote("voter-2", ballot=SETUP.ballot("voter-1")), ELECTION.without_roll())


def test_every_code_of_a_ballot_is_a_refusal_and_stands_in_the_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "secret-ballots.md").read_text(encoding="utf-8")
    source = Path(ballot.__file__).read_text(encoding="utf-8")
    codes = set(re.findall(r'refusal[(,]\s*"([a-z-]+)"', source)) - {"bad-choices"}  # of the maker
    assert len(codes) > 5
    for one in (*codes, "bad-document", "not-canonical", "bad-point", "bad-scalar", "bad-decryption"):
        assert one in REFUSALS
        assert f"`{one}`" in page


def test_the_bytes_of_a_secret_vote_and_its_leaf_on_the_roll() -> None:
    record = json.loads(VOTE.record)
    assert list(record) == [
        *("ballot", "choices", "network_id", "signature", "time", "voter_id", "voter_key"),
    ]
    assert (record["choices"], record["ballot"]) == ([], SETUP.ballot("voter-1"))
    assert (
        hashlib.sha256(VOTE.record).hexdigest()
        == "38aea5ad9d8825dc8d67be3b2e0a206499951ed5341df3f287b42650828cfadc"
    )
    assert SETUP.roll.root_hex == "ca768e0fef4bfd4a87289e7215650ebfe69c69fb942b1e2bb7c4e4ecbbc73afe"
