"""`votenet keys`: the voters' keys of this user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from votenet.cli import ui
from votenet.cli.election.in_force import voters_here
from votenet.cli.options import FilePath, instance_option, json_option
from votenet.config import instance_dirs
from votenet.core.text import check_voter_id
from votenet.errors import Command, NextStep, VotenetError
from votenet.storage.key_store import KeyStore, StoredKey, read_voter_key


@click.group()
def keys() -> None:
    """Make, take in, list and show voters' keys. The secret halves never leave their files (mode 0600)."""


@keys.command("make")
@click.argument("voter_ids", nargs=-1, required=True, metavar="VOTER_ID...")
@instance_option
@json_option
def make(voter_ids: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Make a key for each VOTER_ID that has none. Example: votenet keys make voter123"""
    for voter_id in voter_ids:
        check_voter_id(voter_id)
    store = _store(instance)
    _print([store.get_or_make(voter_id) for voter_id in voter_ids], instance, as_json)


@keys.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@instance_option
@json_option
def import_(files: tuple[Path, ...], instance: str, as_json: bool) -> None:
    """Take in key files that were handed over. A key that is here already is never replaced."""
    found = [read_voter_key(file) for file in files]
    for one in found:
        check_voter_id(one.owner)
    store = _store(instance)
    _print([store.put(one.owner, one.key) for one in found], instance, as_json)


@keys.command("list")
@instance_option
@json_option
def list_(instance: str, as_json: bool) -> None:
    """List all keys with their public halves, and which of them are on the roll of the network here."""
    _print(_store(instance).all(), instance, as_json)


@keys.command("show")
@click.argument("voter_id")
@instance_option
@json_option
def show(voter_id: str, instance: str, as_json: bool) -> None:
    """Show the public key of VOTER_ID and where its file is."""
    found = _store(instance).find(voter_id)
    if found is None:
        registered = voters_here(instance)
        if registered is not None and voter_id in registered:  # a new one could not vote
            step = NextStep(
                "The roll has one: take its file in with: {}", Command("keys", "import", "KEYFILE")
            )
        else:
            step = NextStep("Make one with: {}", Command.calling("keys make", voter_id))
        raise VotenetError(f"there is no key for {voter_id!r}", code="no-key", next_step=step)
    _print([found], instance, as_json)


def _store(instance: str) -> KeyStore:
    return KeyStore(instance_dirs(instance).keys)


def _print(stored: Sequence[StoredKey], instance: str, as_json: bool) -> None:
    registered = voters_here(instance)
    if as_json:
        ui.print_json(
            [
                {
                    "voter_id": one.owner,
                    "public_key": one.key.public_hex,
                    "file": str(one.path),
                    "on_roll": None if registered is None else _on_roll(registered, one) == "yes",
                }
                for one in stored
            ]
        )
        return
    headings = ["voter", "public key", "file"] + (["on the roll"] if registered is not None else [])
    made = ui.table("", [(heading, "left") for heading in headings])
    for one in stored:
        standing = [] if registered is None else [_on_roll(registered, one)]
        made.add_row(one.owner, one.key.public_hex, str(one.path), *standing)
    ui.print_table(made)


def _on_roll(registered: Mapping[str, str], stored: StoredKey) -> str:
    key = registered.get(stored.owner)
    if key is None:
        return "no"
    return "yes" if key == stored.key.public_hex else "no: another key is"
