"""Both readers on elections with secret ballots: definitions, rolls, votes, amendments, receipts."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from core.election.test_secret_rules import BROKEN
from core.election.test_secret_rules import SETUP as RULES
from support.amended_files import Amended, amendable, with_voters
from support.elections import key_of
from support.forged_ballots import forged_ballots, sample
from support.named_files import NamedFile
from support.secret_definitions import SecretSetup, contest
from support.secret_files import (
    CHOSEN,
    SETUP,
    SecretFile,
    as_json,
    broken_amendments,
    broken_shares,
    broken_votes,
    random_election,
    replaced_credential,
    setup_of_files,
    whole_election,
)
from verifier.test_amendments import NOW, Readers
from verifier.test_votenet_verifier import verifier
from votenet.core.election.definition import ElectionDefinition, Trustee
from votenet.core.election.roll import Roll, Voter
from votenet.core.election.secret_rules import belenios_text, longest_vote
from votenet.core.records.archive import ArchiveCheck
from votenet.core.records.final_result import encode_result, result_of_archive
from votenet.secret.definition import read_election
from web.corpus_secret import said, spellings

LATER = NOW + 10_000


@pytest.fixture
def readers(tmp_path: Path) -> Readers:
    return Readers(tmp_path)


def of_definition(definition: ElectionDefinition) -> Amended:
    """An archive without blocks."""
    return Amended(NamedFile(as_json(definition)).pack(""))


@pytest.mark.parametrize("shares", [(), (3,)])
def test_without_enough_shares_the_verifier_says_that_it_does_not_know_what_was_voted(
    readers: Readers, shares: tuple[int, ...]
) -> None:
    made = whole_election().rolled(shares=shares)
    theirs, ours = readers.theirs(made), readers.ours(made)
    assert (theirs["votes"], ours.votes, theirs["final"], ours.final) == (3, 3, True, True)
    for name in ("height", "tip", "work", "closes", "counts_shown", "registration", "network_id"):
        assert theirs[name] == getattr(ours, name), name
    assert theirs["amendments"] == json.loads(msgspec.json.encode(ours.amendments))
    assert (theirs["contests"], ours.contests) == ([], ())
    assert f"this file has {len(shares)} of the 2 shares of trustees" in theirs["not_checked"]


@pytest.mark.parametrize("shares", [(1, 2), (2, 3), (1, 3), (1, 2, 3)])
def test_with_enough_shares_both_come_to_the_same_counts(readers: Readers, shares: tuple[int, ...]) -> None:
    theirs = readers.same(whole_election().rolled(shares=shares))
    assert theirs["contests"][0]["counts"] == [["Bob", 7], ["Alice", 0], ["Çelik", 0]]
    assert (theirs["counts_shown"], "not_checked" in theirs) == (True, False)


@pytest.mark.parametrize("seed", range(4))
def test_both_count_random_votes_of_several_contests_alike(readers: Readers, seed: int) -> None:
    """Blank ones, several choices, a motion; with weights and without."""
    made = random_election(seed)
    theirs = readers.same(made)
    assert [one["weight"] for one in theirs["contests"]] == [theirs["contests"][0]["weight"]] * 3


def test_nobody_voted(readers: Readers) -> None:
    theirs = readers.same(SecretFile().close().rolled(shares=(1, 2)))
    assert theirs["contests"][0]["state"] == "undecided"


def test_no_word_of_its_answer_says_that_votes_were_counted(
    readers: Readers, capsys: pytest.CaptureFixture[str]
) -> None:
    path, _, _, roll = readers.written(whole_election().rolled())
    assert verifier.main(["archive", path, "--roll", roll]) == 0
    said = capsys.readouterr().out
    assert said.startswith("not_checked    what was voted: the votes are encrypted, ")
    for word in ("count", "result", "winner", "won", "tally", "undecided"):
        assert word not in said.replace("PyNaCl", "").lower(), said


def test_a_public_election_has_no_such_word() -> None:
    books = verifier.Books(verifier.Election(amendable()), NOW)
    assert verifier.not_checked(books) == {}


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


@pytest.mark.parametrize(
    "fields", [{"closes": RULES.closes + 1}, {"weights": (1, 2, 1, 4)}, {"threshold": 3}]
)
def test_both_refuse_a_ballot_of_another_election_with_the_same_voter(
    readers: Readers, fields: dict[str, Any]
) -> None:
    """It differs in an hour, in the roll, in its trustees; the voter signs the vote for this one."""
    ours = {"contests": SETUP.contests, "weights": SETUP.weights}
    ballot = setup_of_files(**{**ours, **fields}).ballot("voter-1", CHOSEN)
    file = SecretFile()
    made = file.cast(file.secret_vote("voter-1", ballot=ballot)).rolled()
    assert readers.codes(made) == ("wrong-election", "wrong-election")


def test_behind_a_replacement_the_ballot_is_of_the_new_credential(readers: Readers) -> None:
    assert readers.codes(replaced_credential("voter-1")) == ("unknown-credential", "unknown-credential")
    code = "bad-ballot-signature"  # it names the right one, and is made with the other
    assert readers.codes(replaced_credential("new voter-1")) == (code, code)


def test_a_ballot_in_a_public_election_is_refused(readers: Readers) -> None:
    file = with_voters()
    made = file.cast(file.vote("ann", ballot="{}")).with_roll()
    assert readers.codes(made) == ("bad-vote", "bad-vote")


# -- receipts -----------------------------------------------------------------------------------------


def receipt_of(ballot: str, folder: Path) -> str:
    """The path of a receipt for a vote with this ballot, accepted by two nodes."""
    file = SecretFile()
    vote = file.secret_vote("voter-1", ballot=ballot)
    ids = [verifier.leaf(verifier.canonical(vote))]
    path = folder / "receipt"
    path.write_bytes(file.receipt(vote, acceptances=[file.acceptance(node, ids, 0) for node in (0, 2)]))
    return str(path)


def test_the_ballot_in_a_receipt_is_checked(tmp_path: Path) -> None:
    good = SETUP.ballot("voter-1", CHOSEN)
    assert verifier.check_receipt(receipt_of(good, tmp_path), None, LATER)["choices"] == []
    with pytest.raises(verifier.Fault) as caught:
        verifier.check_receipt(receipt_of(good.replace('"proof":{', '"proof": {'), tmp_path), None, LATER)
    assert caught.value.code == "not-canonical"


# -- proofs -------------------------------------------------------------------------------------------


def sample_election() -> SimpleNamespace:
    """What the verifier must know of the election of the forged ballots."""
    election = sample().election
    contests = [
        {"id": str(number), "blank": one.blank, "min": one.min, "max": one.max, "candidates": one.answers}
        for number, one in enumerate(election.questions)
    ]
    return SimpleNamespace(
        definition={"uuid": election.definition.uuid},
        belenios_hash=election.fingerprint,
        contests=contests,
        key=verifier.group_point(election.key.written()),
    )


def verdict(ballot: str) -> str:
    """The verifier's code for a ballot; empty if it holds."""
    try:
        verifier.check_secret_ballot({"voter_id": "v", "ballot": ballot}, sample_election())
    except verifier.Fault as fault:
        return str(fault.code)
    return ""


def test_both_refuse_each_forged_ballot_with_the_same_code() -> None:
    forged = forged_ballots()
    del forged["an unknown voter"]  # whose credential it is, the roll says: above
    for name, (raw, code) in forged.items():
        assert verdict(raw.decode()) == code, name


def test_both_judge_other_spellings_of_a_ballot_alike() -> None:
    raws = [raw for raw in spellings(sample().ballot_of(0, [[1, 0, 1], [0, 1, 0]])) if b"\xff" not in raw]
    for raw in [*raws, sample().ballot_of(1, [[0, 0, 1], [1, 0, 0]])]:
        assert verdict(raw.decode()) == said(raw), raw[:80]


@pytest.mark.parametrize("name", broken_shares())
def test_both_refuse_shares_that_do_not_belong_there(readers: Readers, name: str) -> None:
    code, made = broken_shares()[name]
    assert readers.codes(made) == (code, code)


def test_a_forged_ballot_in_an_archive_is_refused_by_both(readers: Readers) -> None:
    good = SETUP.ballot("voter-1", CHOSEN)
    document = json.loads(good)
    choices = document["answers"][0]["choices"]
    choices[0], choices[1] = choices[1], choices[0]
    swapped = json.dumps(document, separators=(",", ":"))
    for ballot, code in ((swapped, "bad-ballot-signature"), (good + " ", "not-canonical")):
        file = SecretFile()
        made = file.cast(file.secret_vote("voter-2"), file.secret_vote("voter-1", ballot=ballot)).rolled()
        assert readers.codes(made) == (code, code)


# -- final results ------------------------------------------------------------------------------------


def checked_result(folder: Path, result: bytes, made: Amended) -> dict[str, Any]:
    """The verifier's report of a final result, compared with an archive. Raises its Fault."""
    for name, data in (("result", result), ("archive", made.data), ("roll", made.roll.to_file())):  # type: ignore[union-attr]
        (folder / name).write_bytes(data)
    paths = [str(folder / name) for name in ("result", "archive", "roll")]
    report: dict[str, Any] = verifier.check_result(paths[0], None, LATER, *paths[1:])
    return report


def test_both_make_the_same_final_result(tmp_path: Path) -> None:
    made = whole_election().rolled(shares=(1, 3))
    check = ArchiveCheck(io.BytesIO(made.data), LATER, roll=made.roll)
    result = encode_result(result_of_archive(check, check.blocks()))
    assert checked_result(tmp_path, result, made)["contests"][0]["winners"] == ["Bob"]
    lie = result.replace(b'["Bob",7],["Alice",0]', b'["Bob",6],["Alice",1]')
    for data, other, code in (
        (lie, made, "wrong-totals"),
        (result, whole_election().rolled(shares=(2,)), "not-final"),
    ):
        with pytest.raises(verifier.Fault) as caught:
            checked_result(tmp_path, data, other)
        assert caught.value.code == code
