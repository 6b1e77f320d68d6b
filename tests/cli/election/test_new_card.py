"""A card for a late member, and for one who has lost a card: the old code is worth nothing from then on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import CommandResult, node_of

from support.amendments import AUTHORITY
from support.elections import key_of, make_election, named_nodes
from support.secret_definitions import SecretSetup
from votenet.ballots.voter_list import Member
from votenet.cli.election.member_setup import keep_members, make_members
from votenet.cli.election.new_card import NewCard, note_key
from votenet.cli.election.roll import write_roll
from votenet.config import instance_dirs, private_dir
from votenet.secret.credentials import credential_of_code, public_credential
from votenet.storage.key_store import AUTHORITY as OWNER
from votenet.storage.key_store import KeyStore
from votenet.storage.member_files import MemberFiles

Cli = Callable[..., CommandResult]
MEMBERS = [Member("ann", "Ann"), Member("bo", "Bo"), Member("cy", "Cy", key_of("cy").public_hex)]
MADE = make_members(MEMBERS, make_election().definition.uuid)


def test_a_lost_card_and_a_late_member(cli: Cli, tmp_path: Path) -> None:
    fields = {"nodes": named_nodes(1), "authority_key": AUTHORITY.public_hex}
    election = make_election(roll=MADE.roll, created=int(time.time()), **fields)
    dirs = instance_dirs()
    private_dir(dirs.state)
    dirs.genesis.write_bytes(election.to_file())
    keep_members(dirs.state, election, MADE, "https://vote.example")
    write_roll(dirs.state / "roll.json", MADE.roll)
    files, key = MemberFiles(dirs.state), KeyStore(tmp_path / "k").put(OWNER, AUTHORITY).path

    def vote(code: str) -> CommandResult:
        (tmp_path / "code").write_text(code)
        return cli("vote", *where, "--code-file", str(tmp_path / "code"), "Bob", "--wait", "150")

    def code_of(voter: str) -> str:
        found = files.read_codes(election.network_hex)
        assert found is not None
        return found.codes[voter]

    with node_of(election, tmp_path, "--roll", str(dirs.state / "roll.json")) as node:
        where = ("--node", str(node.address))
        by = (*where, "--authority-key", str(key), "--wait", "150")
        done = cli("voters", "replace-key", *by, "ann", "--card", "--reason", "lost her card")
        assert (done.code, f"New card: {files.some_cards(['ann'])}." in done.err) == (0, True), done.err
        assert "vote.example/vote</strong>" in files.some_cards(["ann"]).read_text()
        assert "<bdi>Ann</bdi>" in files.some_cards(["ann"]).read_text()
        assert "this code was replaced by another one [not-on-roll]" in vote(MADE.codes["ann"]).err
        assert vote(code_of("ann")).code == 0
        before = code_of("ann")
        refused = cli("voters", "replace-key", *by, "ann", "--card", "-o", str(tmp_path / "no.html"))
        assert ("'ann' has voted" in refused.err, (tmp_path / "no.html").exists()) == (True, False)
        older = files.some_cards(["ann"]).read_bytes()
        assert "'ann' has voted" in cli("voters", "replace-key", *by, "ann", "--card").err
        assert files.some_cards(["ann"]).read_bytes() == older
        assert code_of("ann") == before
        added = cli(
            "voters", "add", *by, "dan", "--card", "--name", "Dan <i>", "-o", str(tmp_path / "d.html")
        )
        assert (added.code, "Dan &lt;i&gt;" in (tmp_path / "d.html").read_text()) == (0, True), added.err
        assert vote(code_of("dan")).code == 0
        assert cli("voters", "replace-key", *by, "bo", key_of("own").public_hex).code == 0
        desk = json.loads(cli("voters", "status", *where, "--json").out)["voters"]
        assert [(one["voter_id"], one["name"], one["by"], one["voted"]) for one in desk] == [
            ("ann", "Ann", "card", True), ("bo", "Bo", "own", False), ("cy", "Cy", "own", False),
            ("dan", "Dan <i>", "card", True),
        ]  # fmt: skip
        assert "votes by" in cli("voters", "status", *where).out
    kept = files.read_members(election.network_hex)
    assert kept is not None
    assert [(one.voter_id, one.by) for one in kept.members] == [
        ("ann", "card"), ("bo", "own"), ("cy", "own"), ("dan", "card")
    ]  # fmt: skip
    for wrong in (
        ("ann",),
        ("ann", "--card", key_of("x").public_hex),
        ("ann", key_of("x").public_hex, "--name", "A"),
    ):
        assert cli("voters", "replace-key", *wrong).code == 2


def test_a_card_where_no_members_are_kept_is_written_here(cli: Cli, tmp_path: Path) -> None:
    card = NewCard("dan", "default", output=tmp_path / "card.html")
    card.write(make_election())
    assert (card.written, card.public_url) == (tmp_path / "card.html", "http://127.0.0.1:8080")
    assert card.code not in repr(card)
    note_key("default", make_election(), "dan", card)
    assert not instance_dirs().state.exists()
    card.drop()
    card.drop()
    assert not (tmp_path / "card.html").exists()


def test_a_new_card_has_a_credential_where_ballots_are_secret() -> None:
    card = NewCard("ann", "default")
    assert card.credential_in(make_election()) is None
    election = SecretSetup().election
    uuid = election.definition.uuid
    assert (
        card.credential_in(election) == public_credential(credential_of_code(card.code, uuid), uuid).written()
    )


def test_a_new_card_of_secret_ballots_says_what_is_not_secret(tmp_path: Path) -> None:
    card = NewCard("ann", "default", output=tmp_path / "card.html")
    card.write(SecretSetup().election)
    assert "2 trustees together could open your vote" in (tmp_path / "card.html").read_text()
