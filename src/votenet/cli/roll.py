"""`votenet roll`: the list of those who may vote.

What lives here: options, reading voters from CSV, the roll's file. What must not: the roll's rules
(`core/roll.py`), key files (`storage/key_store.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from votenet.cli.options import FilePath, instance_option, json_option
from votenet.cli.output import echo_bytes
from votenet.core.election import Election
from votenet.core.limits import MAX_RECEIPT
from votenet.core.roll import Roll, roll_from_file, with_roll
from votenet.errors import ConfigError, VotenetError
from votenet.storage.input_file import read_input
from votenet.storage.output_file import STDOUT, written

_FILE = FilePath()


@click.group()
def roll() -> None:
    """Make and check the roll of an election: voter ids and their public keys."""


@roll.command(
    epilog="""\b
Examples:
  votenet roll create members.csv -o roll.json                 columns: id first, and public_key
  votenet roll create members.csv -o roll.json --make-keys     keys made and kept for this user
  votenet up -d --roll roll.json"""
)
@click.argument("voters", type=_FILE)
@click.option("-o", "--output", type=_FILE, required=True, help="Roll file to write.")
@click.option("--id-column", metavar="COL", help="Column with the voter id  [the first].")
@click.option(
    "--key-column",
    metavar="COL",
    default="public_key",
    show_default=True,
    help="Column with the Ed25519 public key, 64 hexadecimal digits.",
)
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@click.option("--make-keys", is_flag=True, help="Make keys in this user's key store instead.")
@instance_option
@json_option
def create(
    voters: Path,
    output: Path,
    id_column: str | None,
    key_column: str,
    force: bool,
    make_keys: bool,
    instance: str,
    as_json: bool,
) -> None:
    """Make a roll from the CSV file VOTERS (or standard input: -), which has a header line."""
    from votenet.config import instance_dirs
    from votenet.storage.key_store import KeyStore

    if output != STDOUT and output.is_file() and not force:
        raise ConfigError(
            f"{output} is there already",
            code="file-exists",
            next_step="Name another file, or replace it with --force.",
        )
    keys = KeyStore(instance_dirs(instance).keys)
    make = (lambda voter_id: keys.get_or_make(voter_id).key.public_hex) if make_keys else None
    made = Roll(_voters(voters, id_column, key_column, make))
    if output == STDOUT:
        echo_bytes(made.to_file())
        return
    write_roll(output, made)
    _print(f"Roll written to {output}.", made, as_json)


@roll.command()
@click.argument("file", metavar="ROLL", type=_FILE)
@click.argument("voter_id", required=False)
@click.option("--genesis", type=_FILE, help="Check that it is the roll of this election.")
@json_option
def check(file: Path, voter_id: str | None, genesis: Path | None, as_json: bool) -> None:
    """Check a roll file; look a voter up in it; compare it with an election."""
    from votenet.cli.actions import read_genesis

    found = read_roll(file)
    if genesis is not None:
        with_roll(read_genesis(genesis), found)
    if voter_id is not None and voter_id not in found.keys:
        raise VotenetError(
            f"{voter_id!r} is not on the roll", code="not-on-roll", next_step="Check the spelling of the id."
        )
    said = "The roll is in order" + (" and that of the election." if genesis else ".")
    _print(said, found, as_json, voter_id)


def read_roll(path: Path) -> Roll:
    """Raises ConfigError, code bad-roll."""
    data = read_input(
        path,
        MAX_RECEIPT,
        code="bad-roll",
        next_step="Make one with: votenet roll create VOTERS.csv -o roll.json",
    )
    return roll_from_file(data)


def election_with_roll(election: Election, path: Path | None) -> Election:
    """An election with the roll in a file. Raises ConfigError as `with_roll` does."""
    return with_roll(election, None if path is None else read_roll(path))


def write_roll(path: Path, made: Roll) -> None:
    """Whole or not at all. Raises ConfigError."""
    try:
        with written(path) as file:
            file.write(made.to_file())
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror or error}",
            code="bad-roll",
            next_step="Name a file in a folder that you may write to, on a disk with room.",
        ) from error


def _voters(
    source: Path, id_column: str | None, key_column: str, make: Callable[[str], str] | None
) -> list[tuple[str, str]]:
    """(voter id, public key) of every line; the file is read to its end before a key is made."""
    from votenet.cli.ballots import BadLine, BallotColumns, BallotFile

    file = BallotFile(source)
    ids = id_column or file.header[0]
    columns = BallotColumns((ids if make else key_column,), voter=ids)
    file.check(columns)
    found: list[tuple[str, str]] = []
    for line in file.ballots(columns):
        if isinstance(line, BadLine):
            what = (
                f"the column {key_column!r} is empty" if line.reason.startswith("no choice") else line.reason
            )
            raise ConfigError(
                f"line {line.line} of {file.source}: {what}",
                code="bad-roll",
                next_step="Every line needs a voter id and a key; or make keys with --make-keys.",
            )
        found.append((line.voter_id, line.choices[0].strip().lower()))
    return [(voter_id, make(voter_id)) for voter_id, _ in found] if make else found


def _print(said: str, made: Roll, as_json: bool, voter_id: str | None = None) -> None:
    from votenet.cli import render

    one = {} if voter_id is None else {"voter_id": voter_id, "public_key": made.keys[voter_id]}
    if as_json:
        render.print_json({"voters": len(made.keys), "root": made.root_hex, **one})
        return
    fields = [("voters", f"{len(made.keys):,}"), ("root", made.root_hex)]
    render.print_fields(said, fields + [(name.replace("_", " "), text) for name, text in one.items()])
