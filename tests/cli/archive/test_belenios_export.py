"""From an election file to Belenios' archive, all by commands but for the votes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult
from tests.cli.trustee.test_trustee import FILE, NAMES, joined, write_code

from support.belenios_check import read_archive, verify_archive
from support.belenios_tool import find_tool
from support.secret_archives import named_nodes_of_files, secret_archive
from votenet.cli.archive.belenios_export import read_share_file, read_trustees_file
from votenet.core.election.definition import Election
from votenet.core.election.election_file_writer import node_toml
from votenet.core.election.secret_rules import description_of
from votenet.core.election.voting_code import key_of_code
from votenet.core.ledger.vote import HashedVote, sign_vote
from votenet.errors import ConfigError
from votenet.secret.ballot import make_ballot
from votenet.secret.credentials import credential_of_code, secret_exponent
from votenet.secret.definition import read_election
from votenet.storage.genesis_file import read_genesis

Cli = Callable[..., CommandResult]
MEMBERS = "id,name\n0001,Ani\n0002,Budi\n0003,Cici\n"


def done(result: CommandResult) -> CommandResult:
    assert result.code == 0, result.err
    return result


def votes(election: Election, codes: dict[str, str]) -> list[HashedVote]:
    """Two of the three members vote for Budi, by the codes on their cards."""
    found = []
    for voter in ("0001", "0003"):
        uuid, secret = election.definition.uuid, election.secret
        assert secret is not None
        exponent = secret_exponent(credential_of_code(codes[voter], uuid), uuid)
        ballot = make_ballot(secret, exponent, [[0, 1]], random.Random(voter).randbytes)
        found.append(
            sign_vote(
                key_of_code(codes[voter], uuid),
                network_hex=election.network_hex,
                voter_id=voter,
                choices=(),
                time=election.definition.created,
                ballot=ballot.decode(),
            )
        )
    return found


@pytest.fixture
def folder(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished election: `archive.jsonl`, `genesis.json`, `roll.json`, `trustees.json`, `ceremony`."""
    monkeypatch.chdir(tmp_path)
    nodes = "\n".join(map(node_toml, named_nodes_of_files()))
    Path("election.toml").write_text(f"difficulty = 1\n{FILE}\n{nodes}\n")
    Path("members.csv").write_text(MEMBERS)
    done(cli("trustee", "init", "election.toml"))
    early = cli("election", "create", "election.toml", "-o", "genesis.json")
    assert "[ceremony-incomplete]" in early.err
    assert not Path("genesis.json").exists()
    assert not Path("authority.key").exists()
    joined(cli)
    for place, name in enumerate(NAMES, start=1):
        done(cli("trustee", "rehearse", "ceremony", name, "--code-file", write_code(place)))
    done(cli("election", "create", "election.toml", "-o", "genesis.json"))
    election = read_genesis(Path("genesis.json"))
    codes = json.loads(Path("codes.json").read_text())["codes"]
    Path("archive.jsonl").write_bytes(secret_archive(election.definition, votes(election, codes)))
    return tmp_path


def shares(cli: Cli, *places: int) -> list[str]:
    """Shares of these trustees, as options of `export`."""
    found = []
    for place in places:
        done(cli("trustee", "decrypt", "ceremony", NAMES[place - 1], "--archive", "archive.jsonl", *ROLL))
        found += ["--share", f"share-{place}.json"]
    return found


ROLL = ("--roll", "roll.json")
EXPORT = ("export", "--data-dir", "node", "--genesis", "genesis.json", "--belenios", "e.bel")


def test_two_trustees_decrypt_and_belenios_has_the_counts(cli: Cli, folder: Path) -> None:
    done(cli("import", "archive.jsonl", "--data-dir", "node", *ROLL))
    told = done(cli(*EXPORT, *ROLL, *shares(cli, 1, 3)))
    assert "Ketua: Ani 0, Budi 2" in told.out
    verified = verify_archive(Path("e.bel").read_bytes())
    assert (verified.voters, verified.ballots, verified.counts) == (3, 2, ((0, 2),))
    again = Path("share-1.json").read_bytes()
    shares(cli, 1)
    assert Path("share-1.json").read_bytes() == again, "a trustee has one share"


def test_belenios_own_tool_proves_what_is_exported(cli: Cli, folder: Path) -> None:
    tool = find_tool(folder)
    done(cli("import", "archive.jsonl", "--data-dir", "node", *ROLL))
    done(cli(*EXPORT, *ROLL, *shares(cli, 2, 3)))
    archive = read_archive(Path("e.bel").read_bytes())
    definition = read_genesis(Path("genesis.json")).definition
    assert read_election(archive.election).definition.description == description_of(definition)
    assert tool.proves(archive, definition.uuid)


def test_too_few_shares_and_damaged_ones_are_told(cli: Cli, folder: Path) -> None:
    done(cli("import", "archive.jsonl", "--data-dir", "node", *ROLL))
    few = cli(*EXPORT, *ROLL, *shares(cli, 2))
    assert "1 of 2 trustees decrypted [too-few-decryptions]" in few.err
    other = json.loads(Path("share-2.json").read_bytes()) | {"place": 1}
    Path("share-1.json").write_text(json.dumps(other, separators=(",", ":")))
    wrong = cli(*EXPORT, *ROLL, "--share", "share-1.json", "--share", "share-2.json")
    assert "the share of trustee 1: " in wrong.err
    assert "[bad-point]" not in wrong.err
    assert not Path("e.bel").exists()
    Path("trustees.json").write_bytes(b"[]")
    assert "[bad-trustees]" in cli(*EXPORT, *ROLL).err


def test_options_of_the_one_export_are_refused_in_the_others(cli: Cli, folder: Path) -> None:
    for options in (("--share", "share-1.json"), ("--belenios", "e.bel", "-o", "e.jsonl")):
        assert cli("export", *options).code == 2


def test_a_lost_key_is_typed_in_from_a_card(cli: Cli, folder: Path) -> None:
    for key in (folder / "home" / "keys").glob("trustee-*-2.json"):
        key.unlink()
    words = ("trustee", "decrypt", "ceremony", "Dewi", "--archive", "archive.jsonl", *ROLL)
    wrong = cli(*words, "--code-file", write_code(1))
    assert "this is the card of Citra, not of Dewi [wrong-card]" in wrong.err
    done(cli(*words, "--code-file", write_code(2)))
    election = read_genesis(Path("genesis.json"))
    assert read_share_file(Path("share-2.json")).place == 2
    assert read_trustees_file(Path("trustees.json"), election)


def test_the_trustees_of_another_election_are_refused(folder: Path) -> None:
    Path("trustees.json").write_bytes(b"[]")
    with pytest.raises(ConfigError) as caught:
        read_trustees_file(Path("trustees.json"), read_genesis(Path("genesis.json")))
    assert caught.value.code == "bad-trustees"
