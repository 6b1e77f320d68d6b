"""`votenet trustee decrypt`: only of the trustees' own election, and only once it is final.

The whole way to a share and to the counts is in `tests/cli/archive/test_belenios_export.py`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import CommandResult, node_of

from support.belenios_check import verify_archive
from support.ceremonies import NAMES, draft_for, run
from support.named_files import good_archives
from support.network_shell import wait_until
from support.secret_archives import archived_setup, secret_archive
from support.secret_definitions import SecretSetup
from votenet.cli.trustee import decrypt as decrypt_command
from votenet.cli.trustee.decrypt import hand_in
from votenet.core.election.ceremony_draft import completed, draft_of
from votenet.core.election.definition import Election
from votenet.core.election.recovery_code import recovery_code
from votenet.core.election.secret_rules import with_belenios
from votenet.core.records.secret_archive import SecretArchive
from votenet.errors import Rejected
from votenet.secret.ceremony.bulletin import read_record
from votenet.secret.ceremony.trustee import TrusteeShare
from votenet.secret.documents import decode
from votenet.secret.group import BASE, Scalar, multiply
from votenet.secret.key_generation import TrusteeSeed
from votenet.secret.tally import PartialDecryption
from votenet.storage.ceremony_folder import CeremonyFolder

Cli = Callable[..., CommandResult]
SETUP = archived_setup(weights=(1, 1))


@pytest.fixture
def decrypt(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], str]:
    """What the command says of an archive, in a folder with the ceremony of another election."""
    monkeypatch.chdir(tmp_path)
    folder = CeremonyFolder(Path("ceremony"))
    folder.begin(draft_for())
    for raw in run().files.values():
        folder.hand_in(read_record(raw))
    Path("roll.json").write_bytes(SETUP.roll.to_file())

    def told(archive: bytes) -> str:
        Path("a.jsonl").write_bytes(archive)
        words = ("--archive", "a.jsonl", "--roll", "roll.json")
        return cli("trustee", "decrypt", "ceremony", NAMES[0], *words).err

    return told


def test_an_election_of_other_trustees_is_refused(decrypt: Callable[[bytes], str]) -> None:
    final = secret_archive(SETUP.definition, [SETUP.vote("voter-1")])
    assert "[other-election]" in decrypt(final)


def test_an_election_that_is_not_final_is_refused(decrypt: Callable[[bytes], str]) -> None:
    assert "[not-final]" in decrypt(secret_archive(SETUP.definition, [SETUP.vote("voter-1")], closed=False))


def test_a_public_election_is_refused(cli: Cli, decrypt: Callable[[bytes], str]) -> None:
    decrypt(b"")
    Path("a.jsonl").write_bytes(good_archives()["whole"])
    done = cli("trustee", "decrypt", "ceremony", NAMES[0], "--archive", "a.jsonl")
    assert "[contradiction]" in done.err


def test_shares_with_two_private_keys_have_no_nonce_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others can make two ceremonies with one election key, and know by what the private keys differ."""
    secret = SETUP.election.secret
    assert secret is not None
    found = SecretArchive(SETUP.election, secret, (), {}, 0)
    commitments = []
    for private in (Scalar(7), Scalar(8)):
        own = TrusteeShare(1, private)
        monkeypatch.setattr(decrypt_command, "restore_share", lambda *of, own=own: own)
        made = decrypt_command._share(
            found, SETUP.counted([]).tally, run().bulletin, 1, TrusteeSeed.parse("1" * 22)
        )
        parts = decode(made.decryption, PartialDecryption, "the partial decryption")
        for proof in (made.proof, *(one for row in parts.decryption_proofs for one in row)):
            # g^nonce = g^response key^challenge
            commitments.append(multiply(BASE, proof.response + private * proof.challenge))
    assert len(set(commitments)) == len(commitments)


def of_one_voter(setup: SecretSetup, **changed: Any) -> bytes:
    """The archive of an election of `setup`, changed, in which only voter-1 votes."""
    other = replace(setup)
    other.__dict__["definition"] = with_belenios(msgspec.structs.replace(setup.definition, **changed))
    return secret_archive(other.definition, [other.vote("voter-1")])


def test_a_trustee_decrypts_one_count(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a second one without a voter's vote, that nodes in one hand call final; not a second election's."""
    monkeypatch.chdir(tmp_path)
    setup = archived_setup(weights=(1, 1, 1))
    base = msgspec.structs.replace(setup.definition, belenios="", trustees=None)
    ceremony = run(draft=draft_of(base, NAMES[:3], 2))
    setup.__dict__["definition"] = with_belenios(completed(base, ceremony.bulletin))
    folder = CeremonyFolder(Path("ceremony"))
    folder.begin(ceremony.draft)
    for raw in ceremony.files.values():
        folder.hand_in(read_record(raw))
    Path("roll.json").write_bytes(setup.roll.to_file())
    Path("code").write_text(recovery_code(ceremony.seeds[0].text))
    votes = [setup.vote(voter) for voter in setup.voters]
    words = ("trustee", "decrypt", "ceremony", NAMES[0], "--code-file", "code", "--key", "key")

    def decrypt(archive: bytes) -> CommandResult:
        Path("a.jsonl").write_bytes(archive)
        return cli(*words, "--archive", "a.jsonl", "--roll", "roll.json")

    done = decrypt(secret_archive(setup.definition, votes))
    assert (done.code, "the sum of 3 votes" in done.err) == (0, True), done.err
    share = Path("share-1.json").read_bytes()
    without = secret_archive(setup.definition, votes[1:])
    for other in (without, of_one_voter(setup, organiser="The same club"), of_one_voter(setup)):
        refused = decrypt(other)
        assert "a second one may show how single voters voted [other-election]" in refused.err, refused.err
        assert "Decrypting" not in refused.err
    assert Path("share-1.json").read_bytes() == share
    assert decrypt(secret_archive(setup.definition, votes)).code == 0, "the same count again"


def test_a_node_that_still_sums_is_asked_again() -> None:
    early, wrong = Rejected("not-final", "no"), Rejected("bad-decryption", "no")
    answers = [early, early, None, wrong]

    def submit() -> None:
        if (answer := answers.pop(0)) is not None:
            raise answer

    hand_in(submit, pause=0.0)
    assert len(answers) == 1
    with pytest.raises(Rejected) as caught:
        hand_in(submit, pause=0.0)
    assert caught.value.code == "bad-decryption"
    answers.append(early)
    with pytest.raises(Rejected):
        hand_in(submit, seconds=-1.0)


def test_shares_are_handed_in_at_a_node_which_counts(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An election that closed before its node began: nobody has voted, and that is decrypted, too."""
    monkeypatch.chdir(tmp_path)
    setup = SecretSetup(closes=int(time.time()) - 60, nodes=1, grace=1, weights=(1, 1))
    base = msgspec.structs.replace(setup.definition, belenios="", trustees=None)
    ceremony = run(draft=draft_of(base, NAMES[:3], 2))
    election = Election(with_belenios(completed(base, ceremony.bulletin)))
    folder = CeremonyFolder(Path("ceremony"))
    folder.begin(ceremony.draft)
    for raw in ceremony.files.values():
        folder.hand_in(read_record(raw))
    Path("roll.json").write_bytes(setup.roll.to_file())
    Path("trustees.json").write_bytes(ceremony.bulletin.trustees)
    with node_of(election, tmp_path, "--roll", "roll.json") as node:
        where = ("--node", str(node.address))
        shown: dict[str, Any] = {}

        def is_final() -> bool:
            done = cli("results", *where, "--json")
            shown.update(json.loads(done.out) if done.code == 0 else {})
            return bool(shown.get("final"))

        wait_until(is_final)
        assert (shown["contests"], shown["decrypted_by"]) == ([], [])
        for place in (1, 3):
            Path("code").write_text(recovery_code(ceremony.seeds[place - 1].text))
            words = ("trustee", "decrypt", "ceremony", NAMES[place - 1], "--code-file", "code")
            words += ("--key", f"key-{place}")
            done = cli(*words, *where, "--roll", "roll.json", "--json")
            assert done.code == 0, done.err
            assert json.loads(done.out)["handed_in"] is True
        noted = Path("key-3.count").read_text()
        assert cli(*words, *where, "--roll", "roll.json").code == 0, "the same count again"
        Path("key-3.count").write_text(noted.replace(election.network_hex, "ab" * 32))
        done = cli(*words, *where, "--roll", "roll.json")
        assert "[other-election]" in done.err
        wait_until(lambda: is_final() and shown["contests"])
        assert shown["decrypted_by"] == [1, 3]
        export = ("export", *where, "--belenios", "e.bel", "--roll", "roll.json")
        done = cli(*export, "--trustees", "trustees.json")
        assert done.code == 0, done.err
    assert verify_archive(Path("e.bel").read_bytes()).counts == ((0, 0, 0),)
