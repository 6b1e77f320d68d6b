"""Belenios' own tool and this room judge each other's elections, and both refuse forged ones."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from support.belenios_check import read_archive, read_public_credentials, verify_archive
from support.belenios_tool import BeleniosTool, find_tool
from support.forged_ballots import forged_ballots, sample
from support.forged_elections import ELECTION_FORGERIES, polled, whole
from support.forged_points import ballot_with_identity, ballot_with_small_order
from support.secret_elections import (
    TIME,
    SampleElection,
    generate_key,
    random_choice,
    random_question,
)
from votenet.secret.ballot import check_ballot, make_ballot
from votenet.secret.belenios_archive import BeleniosArchive, write_archive
from votenet.secret.credentials import public_credential, secret_exponent, write_public_credentials
from votenet.secret.definition import HomomorphicQuestion, read_election
from votenet.secret.documents import decode, encode
from votenet.secret.group import Scalar
from votenet.secret.key_generation import route_polynomials
from votenet.secret.tally import (
    PartialDecryption,
    check_decryption,
)
from votenet.secret.trustees import SignedMessage, check_trustee_certificates, read_trustees

GROUP = ("--group", "Ed25519")
SETUP = ("setup", "generate-trustee-key-threshold", *GROUP)


@pytest.fixture
def tool(tmp_path: Path) -> BeleniosTool:
    return find_tool(tmp_path)


def random_questions(rng: random.Random) -> list[HomomorphicQuestion]:
    """One to five contests of one to twenty candidates, with and without blank votes."""
    return [
        random_question(rng, rng.randint(1, 20), blank=rng.random() < 0.5) for _ in range(rng.randint(1, 5))
    ]


def key_of(trustee: str) -> tuple[str, str]:
    return "--key", f"{trustee}.key"


def make_threshold(tool: BeleniosTool, threshold: int, size: int) -> list[str]:
    """The tool's key generation, all six steps; the names of the trustees' files."""
    trustees = range(1, size + 1)

    def context(place: int) -> tuple[str, str]:
        return "--threshold-context", f"{place}/{threshold}/{size}"

    names = [tool.run(*SETUP, *context(place), "--step", "1").decode().strip() for place in trustees]
    tool.write("certs.jsons", b"".join(tool.read(f"{name}.cert") for name in names))
    certificates = ("--certs", "certs.jsons")
    tool.run(*SETUP, *certificates, "--step", "2")
    polynomials = [
        tool.run(*SETUP, *context(place), *certificates, *key_of(name), "--step", "3")
        for place, name in zip(trustees, names, strict=True)
    ]
    tool.write("polynomials.jsons", b"".join(polynomials))
    tool.run(*SETUP, *certificates, "--step", "4", "--polynomials", "polynomials.jsons")
    outputs = [
        tool.run(
            *SETUP, *certificates, "--key", f"{name}.key", "--step", "5", given=tool.read(f"{name}.vinput")
        )
        for name in names
    ]
    steps = (*certificates, "--step", "6", "--polynomials", "polynomials.jsons")
    tool.write("threshold.json", tool.run(*SETUP, *steps, given=b"".join(outputs)))
    return names


def make_election(
    tool: BeleniosTool, questions: list[HomomorphicQuestion], voters: str
) -> tuple[str, list[str]]:
    """An election by the tool, up to its archive: the uuid, the credentials."""
    uuid = tool.run("setup", "generate-token").decode().strip()
    named = ("--uuid", uuid)
    tool.write("voters.txt", voters)
    tool.run("setup", "generate-credentials", *named, *GROUP, "--file", "voters.txt")
    tool.write("public_creds.json", tool.read(tool.only(".pubcreds")))
    credentials = list(json.loads(tool.read(tool.only(".privcreds"))).values())
    tool.run("setup", "generate-trustee-key", *GROUP)
    tool.write("public_keys.jsons", tool.read(tool.only(".pubkey")))
    tool.run("setup", "make-trustees")
    template = {"description": "Uraian", "name": 'Pemilihan "é"', "questions": questions}
    tool.write("template.json", encode(template))
    tool.run("setup", "make-election", *named, *GROUP, "--template", "template.json")
    tool.run("archive", "init")
    return uuid, credentials


def make_tool_ballot(tool: BeleniosTool, credential: str, choices: list[list[int]]) -> bytes:
    privcred, choice = tool.write("credential", credential), tool.write("choice", json.dumps(choices))
    return tool.run("election", "generate-ballot", "--privcred", privcred, "--choice", choice)


def setup_of(one: SampleElection) -> BeleniosArchive:
    return BeleniosArchive(TIME, one.election.raw, one.trustees, write_public_credentials(one.roll))


def test_an_election_that_the_tool_holds_is_accepted_here(tool: BeleniosTool) -> None:
    """Two of three trustees and a single one, weights, a ballot of ours among the tool's, a vote twice."""
    rng = random.Random(2)
    questions = random_questions(rng)
    names = make_threshold(tool, 2, 3)
    uuid, credentials = make_election(tool, questions, "a@example.org,,3\nb@example.org\nc@example.org,,2\n")
    archive = read_archive(tool.read(f"{uuid}.bel"))
    election, weights = read_election(archive.election), read_public_credentials(archive.credentials)
    assert {public_credential(one, uuid) for one in credentials} == set(weights)
    assert sorted(weights.values()) == [1, 2, 3]

    last: dict[str, list[list[int]]] = {}
    for number, credential in enumerate((credentials[0], credentials[1], credentials[0])):
        last[credential] = choices = [random_choice(question, rng) for question in questions]
        if number == 1:
            ballot = make_ballot(election, secret_exponent(credential, uuid), choices, rng.randbytes)
        else:
            ballot = make_tool_ballot(tool, credential, choices).strip()
        check_ballot(election, ballot, weights)
        tool.record("Ballot", ballot)
    tool.record("EndBallots")
    tool.record("EncryptedTally", tool.run("election", "compute-encrypted-tally"))
    for place in (1, 3):
        keys = (*key_of(names[place - 1]), "--decryption-key", f"{names[place - 1]}.dkey")
        part = tool.run("election", "decrypt-threshold", *keys, "--trustee-id", str(place + 1))
        tool.record("PartialDecryption", part)
    part = tool.run("election", "decrypt", "--privkey", tool.only(".privkey"), "--trustee-id", "1")
    tool.record("PartialDecryption", part)
    tool.record("Result", tool.run("election", "compute-result"))
    tool.run("election", "verify")

    verified = verify_archive(tool.read(f"{uuid}.bel"))
    rows = [(weights[public_credential(one, uuid)], choices) for one, choices in last.items()]
    assert verified.ballots == 2
    assert verified.counts == tuple(
        tuple(sum(weight * choices[number][place] for weight, choices in rows) for place in range(one.length))
        for number, one in enumerate(questions)
    )


@pytest.mark.parametrize(("seed", "owners"), [(3, [1, 2, 3]), (4, [3, 1])])
def test_an_election_of_ours_is_proven_by_the_tool(seed: int, owners: list[int], tool: BeleniosTool) -> None:
    rng = random.Random(seed)
    one = SampleElection(rng, random_questions(rng), threshold=(2, 3), singles=seed % 2)
    for voter in (0, 1, 0):
        one.vote(voter)
    archive = one.archive(owners)
    assert tool.proves(archive, one.uuid)
    assert verify_archive(write_archive(archive)).ballots == 2


def test_heavy_votes_are_counted_by_both(tool: BeleniosTool) -> None:
    """From 2**30 on weights and counts are strings."""
    question = HomomorphicQuestion(answers=("a",), min=1, max=1, question="?")
    one = SampleElection(random.Random(5), [question], threshold=(1, 1), weights=(1, 2**30, 7))
    for voter in range(3):
        one.vote(voter)
    archive = one.archive()
    assert archive.result == b'{"result":[["1073741832"]]}'
    assert tool.accepts(archive, one.uuid)
    tool.hold(archive, one.uuid)
    sized = tool.run("election", "compute-encrypted-tally").splitlines()[1]
    assert b'"total_weight":"1073741832"' in sized
    assert verify_archive(write_archive(archive)).counts == ((2**30 + 8,),)


def test_the_tool_votes_in_an_election_of_ours_and_decrypts_with_our_keys(tool: BeleniosTool) -> None:
    rng = random.Random(6)
    one = SampleElection(rng, random_questions(rng), threshold=(2, 3), voters=2)
    tool.hold(setup_of(one), one.uuid)
    one.ballots = [make_tool_ballot(tool, credential, one.choose()).strip() for credential in one.credentials]
    archive = one.archive()
    tool.hold(archive._replace(decryptions=(), result=None), one.uuid)
    for owner, secret in enumerate(one.secrets, start=1):
        name = tool.write("secret.privkey", encode(Scalar(secret)))
        out = tool.run("election", "decrypt", "--privkey", name, "--trustee-id", str(owner))
        part = decode(out.splitlines()[0], PartialDecryption, "the tool's part")
        check_decryption(one.election, one.tally, one.groups[0].keys[owner - 1], part)
    assert tool.proves(archive, one.uuid)


def test_key_generations_of_both_go_the_same_way(tool: BeleniosTool) -> None:
    """Their certificates hold here. Ours pass their steps 2, 4 and 6, whose outputs are the same bytes."""
    make_threshold(tool, 3, 4)
    certificates = [decode(raw, SignedMessage, "x") for raw in tool.read("certs.jsons").splitlines()]
    assert len(check_trustee_certificates(certificates)) == 4
    (group,) = read_trustees(b'[["Pedersen",' + tool.read("threshold.json").strip() + b"]]")
    assert (group.threshold, len(group.keys)) == (3, 4)

    ours = generate_key(2, 3, random.Random(7))
    lines = {"certs": ours.certificates, "polynomials": ours.polynomials}
    for name, rows in lines.items():
        tool.write(f"{name}.jsons", b"".join(encode(row) + b"\n" for row in rows))
    steps = ("--certs", "certs.jsons", "--step")
    tool.run(*SETUP, *steps, "2")
    for old in tool.folder.glob("*.vinput"):
        old.unlink()
    tool.run(*SETUP, *steps, "4", "--polynomials", "polynomials.jsons")
    routed = route_polynomials(ours.certificates, ours.polynomials)
    assert {path.read_bytes().strip() for path in tool.folder.glob("*.vinput")} == set(map(encode, routed))
    outputs = b"".join(encode(output) + b"\n" for output in ours.outputs)
    made = tool.run(*SETUP, *steps, "6", "--polynomials", "polynomials.jsons", given=outputs)
    assert made.strip() == encode(ours.parameters)


def test_forged_ballots_are_refused_by_both(tool: BeleniosTool, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, uuid = setup_of(sample()), sample().uuid
    assert tool.accepts_ballot(archive, uuid, sample().ballot_of(0))
    forged = forged_ballots()
    assert [name for name, (raw, _) in forged.items() if tool.accepts_ballot(archive, uuid, raw)] == []

    question = HomomorphicQuestion(answers=("a",), min=0, max=1, question="?")
    other = SampleElection(random.Random(3), [question], voters=1, threshold=None, singles=1)
    raw = ballot_with_small_order(other, [[1]], monkeypatch)
    assert not tool.accepts_ballot(setup_of(other), other.uuid, raw)
    # The one that the tool takes: the specification allows an exponent of zero.
    assert tool.accepts_ballot(setup_of(other), other.uuid, ballot_with_identity(other, [[1]]))


def test_forged_elections_are_refused_by_both(tool: BeleniosTool) -> None:
    """`election verify` alone takes six of them: the ballots and the tally are other commands."""
    uuid = polled().uuid
    assert tool.proves(whole(), uuid)
    forged = {name: forge(whole()) for name, (forge, _) in ELECTION_FORGERIES.items()}
    assert [name for name, archive in forged.items() if tool.proves(archive, uuid)] == []


def test_no_ballots_are_counted_by_both(tool: BeleniosTool) -> None:
    question = random_question(random.Random(8), 3, blank=True)
    one = SampleElection(random.Random(8), [question], threshold=(2, 3))
    assert tool.proves(one.archive(), one.uuid)
    assert verify_archive(write_archive(one.archive())).ballots == 0
