"""Both readers on elections with secret ballots: definitions, rolls, votes, amendments, receipts."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.election.test_secret_rules import BROKEN
from core.election.test_secret_rules import SETUP as RULES
from support.amended_files import Amended, amendable, with_voters
from support.elections import key_of
from support.named_files import NamedFile
from support.secret_definitions import SecretSetup, contest
from support.secret_files import (
    SETUP,
    SecretFile,
    as_json,
    broken_amendments,
    broken_votes,
    replaced_credential,
    whole_election,
)
from verifier.test_amendments import NOW, Readers
from verifier.test_votenet_verifier import verifier
from votenet.core.election.definition import ElectionDefinition, Trustee
from votenet.core.election.roll import Roll, Voter
from votenet.core.election.secret_rules import belenios_text, longest_vote
from votenet.secret.definition import read_election

LATER = NOW + 10_000


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path)


def of_definition(definition: ElectionDefinition) -> Amended:
    """An archive without blocks."""
    return Amended(NamedFile(as_json(definition)).pack(""))


def test_both_read_a_whole_election_and_the_verifier_says_what_it_did_not_look_at(readers: Readers) -> None:
    made = whole_election().rolled()
    theirs, ours = readers.theirs(made), readers.ours(made)
    assert (theirs["votes"], ours.votes, theirs["final"], ours.final) == (3, 3, True, True)
    for name in ("height", "tip", "work", "closes", "counts_shown", "registration", "network_id"):
        assert theirs[name] == getattr(ours, name), name
    assert theirs["amendments"] == json.loads(msgspec.json.encode(ours.amendments))
    assert (theirs["contests"], ours.contests) == ([], ())
    assert "not looked inside" in theirs["not_checked"]


def test_no_word_of_its_answer_says_that_votes_were_counted(
    readers: Readers, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, _, roll = readers.written(whole_election().rolled())
    assert verifier.main(["archive", path, "--roll", roll]) == 0
    said = capsys.readouterr().out
    assert said.startswith("not_checked    the encrypted ballots: ")
    for word in ("count", "result", "winner", "won", "tally", "undecided"):
        assert word not in said.replace("PyNaCl", "").lower(), said


def test_a_public_election_has_no_such_word() -> None:
    assert verifier.not_checked(verifier.Election(amendable())) == {}


# -- definitions --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "trustees"), [(1, 1), (1, 3), (2, 2), (3, 5)])
def test_both_take_a_definition_of_any_threshold(readers: Readers, threshold: int, trustees: int) -> None:
    made = of_definition(SecretSetup(threshold=threshold, trustees=trustees).definition)
    assert readers.codes(made) == ("", "")


@pytest.mark.parametrize(("change", "says"), BROKEN, ids=[says for _, says in BROKEN])
def test_both_refuse_what_breaks_a_rule_of_definitions(
    readers: Readers, change: dict[str, Any], says: str
) -> None:
    assert says
    assert readers.codes(of_definition(RULES.define(**change))) == ("bad-genesis", "bad-genesis")


@pytest.mark.parametrize("names", [("A", "A", "B"), ("A", "B", "C\u202e")])
def test_both_refuse_names_of_trustees_that_mislead(readers: Readers, names: tuple[str, ...]) -> None:
    trustees = RULES.definition.trustees
    assert trustees is not None
    keys = tuple(Trustee(key=one.key, name=name) for one, name in zip(trustees.keys, names, strict=True))
    changed = RULES.define(trustees=msgspec.structs.replace(trustees, keys=keys))
    assert readers.codes(of_definition(changed)) == ("bad-genesis", "bad-genesis")


@pytest.mark.parametrize(("blank", "most"), [(False, 1), (True, 1), (False, 3), (True, 3)])
def test_both_reckon_with_the_same_longest_vote(readers: Readers, blank: bool, most: int) -> None:
    method = "plurality" if most == 1 else "approval"
    sizes, held = [], []
    for candidates in (3, *range(92, 112, 2)):
        names = [f'Çalon {place} "\\' for place in range(candidates)]
        definition = RULES.define(contests=(contest(names=names, blank=blank, max=most, method=method),))
        sizes.append(verifier.longest_secret_vote(as_json(definition)))
        assert sizes[-1] == longest_vote(definition.uuid, definition.contests)
        codes = readers.codes(of_definition(definition))
        assert codes in {("", ""), ("bad-genesis", "bad-genesis")}
        held.append(codes[0] == "")
    assert held == [size <= 60_000 for size in sizes]
    assert (held[0], held[-1]) == (True, False)
    assert all(left < right for left, right in pairwise(sizes))


def test_both_write_the_same_text_for_belenios() -> None:
    contests = (contest('A "b" \\ é \U0001f5f3', blank=True), contest("Two", max=2, method="block", id="2"))
    definition = SecretSetup(contests=contests).definition
    key = read_election(definition.belenios.encode()).key
    assert verifier.belenios_text(as_json(definition), key.written()) == belenios_text(definition, key)


# -- rolls --------------------------------------------------------------------------------------------


def voters(**changed: str) -> list[Voter]:
    """Those of the roll, with the credentials of some of them changed (`voter_1` is voter-1)."""
    return [
        Voter(
            voter,
            key_of(voter).public_hex,
            weight,
            changed.get(voter.replace("-", "_"), SETUP.public_credential(voter)),
        )
        for voter, weight in zip(SETUP.voters, SETUP.weights, strict=True)
    ]


def test_the_roll_of_a_secret_election_has_credentials_and_no_other_has(readers: Readers) -> None:
    secret = SecretFile().rolled()
    bare = Roll([(voter, key, weight) for voter, key, weight, _ in voters()])
    assert readers.codes(secret) == ("", "")
    assert readers.codes(secret._replace(roll=bare)) == ("roll-mismatch", "roll-mismatch")
    public = NamedFile(
        as_json(SETUP.definition)
        | {"secrecy": "public", "belenios": "", "trustees": None, "roll_root": SETUP.roll.root_hex}
    )
    assert readers.codes(Amended(public.pack(""), SETUP.roll)) == ("roll-mismatch", "roll-mismatch")


def test_both_say_the_same_of_a_roll_whose_weights_no_secret_count_can_hold(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "SECRET_WEIGHT", 8)
    monkeypatch.setattr("votenet.core.election.roll.MAX_TOTAL_WEIGHT", 8)
    assert readers.codes(SecretFile().rolled()) == ("roll-mismatch", "roll-mismatch")


@pytest.mark.parametrize(
    "credential", ["", "00" * 32, "00" * 31 + "01", "AB" * 32, "ab", SETUP.public_credential("voter-2")]
)
def test_the_verifier_refuses_a_roll_with_a_bad_credential(tmp_path: Path, credential: str) -> None:
    rows = [list(one) for one in voters(voter_1=credential)]
    leaves = [
        verifier.leaf(verifier.DOMAIN_ROLL + verifier.canonical(row)) for row in rows
    ]  # ascending by id
    path = tmp_path / "roll"
    root = verifier.tree_root(leaves).hex()
    path.write_text(json.dumps({"kind": "votenet-roll-2", "root": root, "voters": rows}))
    with pytest.raises(verifier.Fault) as caught:
        verifier.read_roll(str(path), as_json(SETUP.definition))
    assert caught.value.code == "bad-roll"


# -- votes and amendments -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", broken_votes())
def test_both_refuse_a_vote_before_any_proof_is_looked_at(readers: Readers, name: str) -> None:
    code, made = broken_votes()[name]
    assert readers.codes(made) == (code, code)


@pytest.mark.parametrize("name", broken_amendments())
def test_both_refuse_a_broken_rule_of_credentials(readers: Readers, name: str) -> None:
    code, made = broken_amendments()[name]
    assert readers.codes(made) == (code, code)


@pytest.mark.parametrize("action", ["add-voter", "replace-key"])
def test_an_amendment_of_a_public_election_has_no_credential(readers: Readers, action: str) -> None:
    file = with_voters()
    voter = "di" if action == "add-voter" else "ann"
    record = file.voter(action, voter, credential=SETUP.public_credential("di"))
    assert readers.codes(file.amend(record).with_roll()) == ("bad-amendment", "bad-amendment")


def test_no_amendment_makes_the_roll_heavier_than_a_secret_count_can_be(
    readers: Readers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "SECRET_WEIGHT", 9)
    monkeypatch.setattr("votenet.core.election.amendment.MAX_TOTAL_WEIGHT", 9)
    file = SecretFile()
    made = file.amend(file.secret_voter("add-voter", "di")).rolled()
    assert readers.codes(made) == ("bad-amendment", "bad-amendment")


def test_behind_a_replacement_the_ballot_is_of_the_new_credential(readers: Readers) -> None:
    assert readers.codes(replaced_credential("voter-1")) == ("unknown-credential", "unknown-credential")
    # The proofs of this one are not its own.
    assert readers.codes(replaced_credential("new voter-1"))[0] != "unknown-credential"


def test_a_ballot_in_a_public_election_is_refused(readers: Readers) -> None:
    file = with_voters()
    made = file.cast(file.vote("ann", ballot="{}")).with_roll()
    assert readers.codes(made) == ("bad-vote", "bad-vote")


# -- receipts -----------------------------------------------------------------------------------------


def test_a_receipt_says_that_the_ballot_was_not_looked_at(tmp_path: Path) -> None:
    file = SecretFile()
    vote = file.secret_vote("voter-1")
    ids = [verifier.leaf(verifier.canonical(vote))]
    path = tmp_path / "receipt"
    path.write_bytes(file.receipt(vote, acceptances=[file.acceptance(node, ids, 0) for node in (0, 2)]))
    report = verifier.check_receipt(str(path), file.network_hex, LATER)
    assert report["choices"] == []
    assert "not looked inside" in report["not_checked"]
