"""`votenet voters cards` as typed: again, for some, with another address, and never again."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult
from tests.client.test_amendments import Node

from support.amendments import AUTHORITY, amendment
from support.elections import key_of, make_election, named_nodes
from support.lying_node import lying_node
from votenet.ballots.voter_list import Member
from votenet.cli import targets
from votenet.cli.election.card_words import hours_text
from votenet.cli.election.member_setup import cards_here, keep_members, make_members
from votenet.cli.election.roll import write_roll
from votenet.config import instance_dirs, private_dir
from votenet.core.election.voting_code import shown_code
from votenet.storage.genesis_file import read_genesis
from votenet.storage.key_store import AUTHORITY as OWNER
from votenet.storage.key_store import KeyStore
from votenet.storage.member_files import CodesFile, MemberFiles

Cli = Callable[..., CommandResult]
CLOSES = 2**33


@pytest.fixture
def files(cli: Cli) -> MemberFiles:
    """Those of an election that this instance holds: ann and bo have codes, cy a key."""
    dirs = instance_dirs()
    private_dir(dirs.state)
    members = [Member("ann", "Ann"), Member("bo", "Bo"), Member("cy", "Cy", key_of("cy").public_hex)]
    made = make_members(members, make_election().definition.uuid)
    fields = {"nodes": named_nodes(1), "authority_key": AUTHORITY.public_hex, "closes": CLOSES}
    election = make_election(roll=made.roll, **fields)
    keep_members(dirs.state, election, made, "")
    write_roll(dirs.state / "roll.json", made.roll)
    dirs.genesis.write_bytes(election.to_file())
    return MemberFiles(dirs.state)


def hours_of(closes: int | None) -> str:
    return hours_text(make_election().definition, closes)


def codes_of(files: MemberFiles) -> CodesFile:
    found = files.read_codes(read_genesis(instance_dirs().genesis).network_hex)
    assert found is not None
    return found


def test_cards_again_with_another_address_and_for_some(cli: Cli, files: MemberFiles, tmp_path: Path) -> None:
    files.cards.unlink()
    done = cli("voters", "cards", "--public-url", "https://vote.example/", "--json")
    assert json.loads(done.out) == {
        "file": str(files.cards), "cards": 2, "sheets": 1, "public_url": "https://vote.example",
        "replaced": [],
    }  # fmt: skip
    assert stat.S_IMODE(files.cards.stat().st_mode) == 0o600
    page = files.cards.read_text()
    assert all(shown_code(code)[:17] in page for code in codes_of(files).codes.values())
    output = tmp_path / "one.html"
    output.touch(0o644)
    again = cli("voters", "cards", "bo", "-o", str(output))
    assert (again.code, "A person who prints a card" in again.err) == (0, True)
    assert "this machine only" not in again.err, "the address is as last time"
    assert output.read_text().count("<section") == 1
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert cli("voters", "cards", "bo", "-o", "-").out == output.read_text()
    for asked, code in (("Ann", "not-on-roll"), ("cy", "no-codes")):
        assert f"[{code}]" in cli("voters", "cards", asked).err
    assert cli("voters", "cards", "--public-url", "vote.example").code == 2
    files.codes.chmod(0o644)
    assert "[open-file]" in cli("voters", "cards").err


def test_a_card_that_was_replaced_is_left_out(cli: Cli, files: MemberFiles) -> None:
    kept = codes_of(files)
    files.write_codes(CodesFile(network_id=kept.network_id, codes=kept.codes | {"bo": kept.codes["ann"]}))
    done = cli("voters", "cards")
    assert "Left out, because the roll has another key by now: bo" in done.err
    assert files.cards.read_text().count("<section") == 1


def test_cards_have_the_closing_time_in_force(
    cli: Cli, files: MemberFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the page's address, again, by the file of the election, and for a new member."""
    genesis = instance_dirs().genesis
    election = read_genesis(genesis)
    later = CLOSES + 2 * 86400
    assert hours_of(election.definition.closes) in files.cards.read_text()
    output, key = tmp_path / "dan.html", KeyStore(tmp_path / "k").put(OWNER, AUTHORITY).path
    node = Node(amendment(election, "extend", closes=later), honest=True)
    with lying_node(election, node.answers) as address:
        monkeypatch.setattr(targets, "node_addresses", lambda instance, node=None: [address])
        assert "Voting cards to print" in "".join(cards_here(instance_dirs(), "http://10.1.1.1:8080"))
        written = [files.cards.read_text()]
        assert "10.1.1.1" in written[0]
        for more in ((), ("--genesis", str(genesis))):
            assert cli("voters", "cards", *more).code == 0
            written.append(files.cards.read_text())
        late = ("voters", "add", "dan", "--card", "-o", str(output), "--wait", "0")
        done = cli(*late, "--node", str(address), "--authority-key", str(key))
        assert done.code == 0, done.err
        written.append(output.read_text())
    assert [hours_of(later) in page for page in written] == [True] * 4


def test_codes_are_forgotten(cli: Cli, files: MemberFiles) -> None:
    assert cli("voters", "cards", "ann").code == 0
    done = cli("voters", "cards", "--forget")
    assert "Removed: codes.json, cards.html, card-ann.html." in done.out
    assert "Cards that were written with -o" in done.err
    assert "[no-codes]" in cli("voters", "cards").err
    assert json.loads(cli("voters", "cards", "--forget", "--json").out) == {"removed": []}


def test_single_cards_beside_a_genesis_file_that_is_named_are_forgotten_too(
    cli: Cli, files: MemberFiles
) -> None:
    genesis = ("--genesis", str(instance_dirs().genesis))
    (files.folder / "card-game.html").touch()
    for some in (("ann",), ("ann", "bo")):
        assert cli("voters", "cards", *some, *genesis).code == 0
    done = cli("voters", "cards", "--forget", *genesis)
    assert "Removed: codes.json, cards.html, cards-some.html, card-ann.html." in done.out
    assert [path.name for path in files.folder.glob("card*.html")] == ["card-game.html"]
