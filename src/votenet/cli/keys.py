"""`votenet keys`: the voters' keys of this user.

What lives here: options and tables. What must not: key files (`storage/key_store.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from votenet.cli.options import instance_option, json_option

if TYPE_CHECKING:
    from votenet.storage.key_store import KeyStore


@click.group()
def keys() -> None:
    """Make, list and show voters' keys. The secret halves never leave their files (mode 0600)."""


@keys.command("make")
@click.argument("voter_ids", nargs=-1, required=True, metavar="VOTER_ID...")
@instance_option
@json_option
def make(voter_ids: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Make a key for each VOTER_ID that has none. Example: votenet keys make voter123"""
    from votenet.core.vote import check_voter_id

    for voter_id in voter_ids:
        check_voter_id(voter_id)
    store = _store(instance)
    _print([store.get_or_make(voter_id) for voter_id in voter_ids], as_json)


@keys.command("list")
@instance_option
@json_option
def list_(instance: str, as_json: bool) -> None:
    """List all keys with their public halves."""
    _print(_store(instance).all(), as_json)


@keys.command("show")
@click.argument("voter_id")
@instance_option
@json_option
def show(voter_id: str, instance: str, as_json: bool) -> None:
    """Show the public key of VOTER_ID and where its file is."""
    from votenet.cli.hints import command_line
    from votenet.errors import VotenetError

    found = _store(instance).find(voter_id)
    if found is None:
        raise VotenetError(
            f"there is no key for {voter_id!r}",
            code="no-key",
            next_step=f"Make one with: {command_line('keys make', voter_id, instance=instance)}",
        )
    _print([found], as_json)


def _store(instance: str) -> KeyStore:
    from votenet.config import instance_dirs
    from votenet.storage.key_store import KeyStore

    return KeyStore(instance_dirs(instance).keys)


def _print(found: object, as_json: bool) -> None:
    from votenet.cli import render
    from votenet.storage.key_store import StoredKey

    assert isinstance(found, list)
    stored: list[StoredKey] = found
    if as_json:
        render.print_json(
            [{"voter_id": s.owner, "public_key": s.key.public_hex, "file": str(s.path)} for s in stored]
        )
        return
    made = render.table("", [("voter", "left"), ("public key", "left"), ("file", "left")])
    for one in stored:
        made.add_row(one.owner, one.key.public_hex, str(one.path))
    render.print_table(made)
