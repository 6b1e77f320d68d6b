"""`votenet trustee status --genesis`: an organiser who puts in other keys is found before anybody votes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.conftest import CommandResult, node_of

from support.ceremonies import NAMES, Ceremony, run
from support.elections import make_election
from support.secret_definitions import SecretSetup
from votenet.core.election.ceremony_draft import completed, draft_of, trustees_of
from votenet.core.election.definition import Election, ElectionDefinition
from votenet.core.election.secret_rules import with_belenios
from votenet.secret.ceremony.bulletin import STEPS, read_record
from votenet.storage.ceremony_folder import CeremonyFolder

Cli = Callable[..., CommandResult]
SETUP = SecretSetup(nodes=1)


@cache
def base() -> ElectionDefinition:
    """As it is before its trustees have a key."""
    return msgspec.structs.replace(SETUP.definition, belenios="", trustees=None)


@cache
def ceremony(seed: int = 31) -> Ceremony:
    """With each seed the trustees of the same names have other keys."""
    return run(draft=draft_of(base(), NAMES[:3], 2), seed=seed)


@cache
def made() -> ElectionDefinition:
    return with_belenios(completed(base(), ceremony().bulletin))


def keep(records: Ceremony) -> None:
    folder = CeremonyFolder(Path("ceremony"))
    folder.begin(records.draft)
    for raw in records.files.values():
        folder.hand_in(read_record(raw))


@pytest.fixture
def ask(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., CommandResult]:
    """What a trustee is told of an election, beside the folder of the ceremony."""
    monkeypatch.chdir(tmp_path)
    keep(ceremony())

    def told(election: ElectionDefinition, *options: str) -> CommandResult:
        Path("genesis.json").write_bytes(Election(election).to_file())
        return cli("trustee", "status", "ceremony", "--genesis", "genesis.json", *options)

    return told


def test_an_election_with_the_keys_of_the_ceremony_is_shown_with_its_network(
    ask: Callable[..., CommandResult],
) -> None:
    network = Election(made()).network_hex
    told = ask(made())
    assert told.code == 0, told.err
    assert network in told.out
    assert "5 voters, and these nodes: Node 0." in told.out
    found = json.loads(ask(made(), "--json").out)
    assert (found["network_id"], found["own_keys"]) == (network, True)
    assert (found["voters"], found["weighted"], found["nodes"]) == (5, False, ["Node 0"])


def test_roll_and_nodes_are_not_what_trustees_agreed_on(ask: Callable[..., CommandResult]) -> None:
    other = msgspec.structs.replace(made(), roll_root="cd" * 32, roll_size=7, language="id", weighted=True)
    told = ask(with_belenios(other))
    assert told.code == 0, told.err
    assert "The organiser added 7 voters" in told.out
    assert "A weight like no other's betrays its vote" in told.out
    assert "weights" not in ask(made()).out


def others() -> dict[str, ElectionDefinition]:
    trustees, stranger = made().trustees, trustees_of(ceremony(seed=32).bulletin)
    assert trustees is not None
    swapped = tuple(
        msgspec.structs.replace(one, name=name)
        for one, name in zip(trustees.keys, (NAMES[1], NAMES[0], NAMES[2]), strict=True)
    )
    record = trustees.record
    changes: dict[str, dict[str, Any]] = {
        "keys of another ceremony of the same draft": {"trustees": stranger},
        "those keys with the record of this one": {
            "trustees": msgspec.structs.replace(stranger, record=record)
        },
        "names of two trustees swapped": {"trustees": msgspec.structs.replace(trustees, keys=swapped)},
        "another record": {"trustees": msgspec.structs.replace(trustees, record="cd" * 32)},
        "a later closing": {"closes": SETUP.closes + 1},
        "another title": {"title": "Pemilihan"},
    }
    made_again = {
        name: with_belenios(msgspec.structs.replace(made(), **change)) for name, change in changes.items()
    }
    return made_again | {"a public election": make_election().definition}


@pytest.mark.parametrize("name", others())
def test_an_election_that_the_trustees_did_not_agree_on_is_refused(
    ask: Callable[..., CommandResult], name: str
) -> None:
    told = ask(others()[name])
    assert told.code != 0
    assert "[other-election]" in told.err
    assert "can read its votes" in told.err
    if name == "a later closing":
        assert "in: closes" in told.err


def test_before_there_are_keys_no_election_can_have_them(
    ask: Callable[..., CommandResult], tmp_path: Path
) -> None:
    for path in Path("ceremony").glob("*-key-*.json"):
        path.unlink()
    assert "[ceremony-incomplete]" in ask(made()).err


def test_the_election_of_a_node_is_asked_for(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(ceremony())
    Path("roll.json").write_bytes(SETUP.roll.to_file())
    election = Election(made())
    with node_of(election, tmp_path, "--roll", "roll.json") as node:
        told = cli("trustee", "status", "ceremony", "--node", str(node.address))
        assert (told.code, election.network_hex in told.out) == (0, True), told.err
        both = cli("trustee", "status", "ceremony", "--node", str(node.address), "--genesis", "genesis.json")
        assert both.code == 2


def test_a_ceremony_goes_on_without_an_election(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keep(run(STEPS[:3], ceremony().draft))
    assert "Waiting for Citra, Dewi, Eko." in cli("trustee", "status", "ceremony").out
