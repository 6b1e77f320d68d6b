"""`votenet election`: the file that describes an election, and the genesis file made of it."""

from __future__ import annotations

import stat
import sys
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from votenet.cli import ui
from votenet.cli.election.amend import cancel, close, extend
from votenet.cli.election.election_from_file import (
    TRUSTEES_NAME,
    SourcedElection,
    faulty,
    load_source,
    read_source,
    say_faults,
    with_ceremony,
)
from votenet.cli.election.election_questions import ask_election
from votenet.cli.election.election_setup import chosen_bits
from votenet.cli.election.member_setup import cards_lines, keep_members
from votenet.cli.election.network_id import code_svg, id_fields, show_code
from votenet.cli.election.roll import ROLL_NAME, write_roll
from votenet.cli.options import FilePath, json_option
from votenet.core.election.ballot_text import ballot_lines
from votenet.core.election.definition import Election
from votenet.core.election.election_file import ElectionFile, election_of
from votenet.core.election.election_file_writer import election_toml
from votenet.core.election.secret_rules import with_belenios
from votenet.core.election.simple_definition import DEFAULT_CANDIDATES, DEFAULT_TITLE
from votenet.errors import Command, ConfigError, NextStep, VotenetError
from votenet.storage.input_file import STDIN
from votenet.storage.key_store import AUTHORITY, AUTHORITY_KEY_NAME, load_or_make_key
from votenet.storage.member_files import MemberFiles
from votenet.storage.output_file import STDOUT, refuse_existing, write_output
from votenet.text import spoken

_FILE: Final = FilePath()
_force = click.option("--force", is_flag=True, help="Replace the file if it is there.")


@click.group(
    epilog="""\b
Examples:
  votenet election new -o election.toml          asks, and writes the file
  votenet election check election.toml           says everything that is wrong
  votenet election show election.toml            the ballot as a voter sees it
  votenet up -d -f election.toml                 starts it on this machine
  votenet election extend +3h --reason "the hall was late"

\b
extend, close and cancel change an election that runs, with the key of its authority: see docs/elections.md,
"When something changes"."""
)
def election() -> None:
    """Write, check and show the file that describes an election; change the hours of one that runs."""


@election.command()
@click.option("-o", "--output", type=_FILE, default=Path("election.toml"), help="[election.toml]")
@_force
def new(output: Path, force: bool) -> None:
    """Ask what an election needs, and write its file. Without a terminal: write one to change."""
    refuse_existing(output, force)
    asked = ask_election() if sys.stdin.isatty() else _sample()
    write_output(output, election_toml(asked).encode())
    if output != STDOUT:
        ui.say(f"Written to {output}. Look at it, then: {Command.calling('election check', str(output))}")


@election.command()
@click.argument("file", type=_FILE)
@json_option
def check(file: Path, as_json: bool) -> None:
    """Say everything that is wrong in an election FILE, with its line and what to change."""
    found, faults = read_source(file, time.time())
    if as_json:
        told = [{"code": "bad-genesis", **one._asdict()} for one in faults]
        ui.print_json({"file": str(file), "valid": found is not None, "faults": told})
    if found is None:
        if not as_json:
            say_faults(faults)
        error = faulty(file, faults)
        error.reported = as_json
        raise error
    if as_json:
        return
    ui.echo("The election is in order.")
    if file != STDIN:
        ui.echo(f"  {_how_to_start(file, found)}")


@election.command()
@click.argument("file", type=_FILE)
@json_option
def show(file: Path, as_json: bool) -> None:
    """Print the ballot of an election FILE as a voter sees it. It shows no count."""
    source = load_source(file, None)
    if as_json:
        definition = msgspec.to_builtins(source.definition)
        shown = ("title", "organiser", "opens", "closes", "time_zone", "registration", "contests")
        ui.print_json({name: definition[name] for name in shown})
        return
    for line in ballot_lines(source.definition):
        ui.echo(line)


@election.command()
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=_FILE, required=True, help="Genesis file to write.")
@click.option(
    "--authority-key",
    type=_FILE,
    help="Made if it is not there  [authority.key beside the genesis file].",
)
@click.option("--no-named-nodes", is_flag=True, help="Make an election without nodes that decide.")
@click.option("--qr", type=_FILE, help="Write the network id as a QR code, too: an SVG picture.")
@_force
@json_option
def create(
    file: Path,
    output: Path,
    authority_key: Path | None,
    no_named_nodes: bool,
    qr: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Make the genesis file of an election FILE whose nodes run on several machines.

    The file names the nodes, nodes = ["north:…", "south:…"]. Each line is that of one operator: see
    votenet help node init
    """
    refuse_existing(output, force)
    if qr is not None:
        refuse_existing(qr, force)
    now = time.time()
    source = load_source(file, now)
    definition = source.definition
    if source.members:
        _refuse_members(output, force)
    if bool(definition.nodes) == no_named_nodes:
        raise _nodes_contradict(file, no_named_nodes)
    source = with_ceremony(file, source)
    bits = chosen_bits(source.file.difficulty, None, ui.say, named=bool(definition.nodes))
    new = source.made(now)  # what this refuses leaves no key behind
    key_file = authority_key or _beside(output, AUTHORITY_KEY_NAME)
    there = key_file.exists()
    key = load_or_make_key(key_file, AUTHORITY)
    try:
        chain = msgspec.structs.replace(definition.chain, bits=bits)
        fields = {"authority_key": key.public_hex, "chain": chain}
        made = Election(with_belenios(msgspec.structs.replace(new.definition, **fields)))
        if new.trustees is not None and output != STDOUT:
            write_output(output.with_name(TRUSTEES_NAME), new.trustees)
        if new.members is not None:
            write_roll(output.with_name(ROLL_NAME), new.members.roll)
            keep_members(output.parent, made, new.members, source.file.public_url, genesis=output)
        if qr is not None:
            write_output(qr, code_svg(made))
        write_output(output, made.to_file())
    except BaseException:
        if not there:
            key_file.unlink(missing_ok=True)
        raise
    if output != STDOUT:
        roll = output.with_name(ROLL_NAME) if new.members else _roll_of(file, source)
        _say_made(made, output, key_file, roll, as_json=as_json)


def _roll_of(file: Path, source: SourcedElection) -> Path | None:
    """The roll that an election file names."""
    return file.parent / source.file.roll if source.file.roll else None


def _say_made(made: Election, output: Path, key_file: Path, roll: Path | None, *, as_json: bool) -> None:
    if as_json:
        files = {"genesis": str(output), "authority_key_file": str(key_file)}
        ui.print_json({"network_id": made.network_hex, "read_aloud": spoken(made.network_hex), **files})
        return
    ui.print_fields(f"Genesis file written to {output}.", [*id_fields(made), ("key", key_file)])
    show_code(made)
    for line in cards_lines(output.parent, made, output):
        ui.echo(line)
    ui.echo(
        "Keep the key of the authority away from the nodes. Give the genesis file to every node"
        + (", with the roll." if roll else ".")
    )
    if made.named:
        served = ("--genesis", str(output), *(("--roll", str(roll)) if roll else ()))
        start = Command.calling("web", options=(*served, "--bootstrap", "HOST:4000"))
        ui.echo(f"Or serve it: {start}, and each operator joins with the address of that page.")
        ui.echo("Read the eight numbers out to the operators: they prove that all have the same election.")


def _sample() -> ElectionFile:
    """An election to change: the file of a person who has no terminal."""
    contest = {
        "id": "chair",
        "title": "Chair",
        "description": "Who speaks for us.",
        "candidates": list(DEFAULT_CANDIDATES),
    }
    values = {"title": DEFAULT_TITLE, "contests": [contest]}
    found, faults = election_of(values)
    assert found is not None, faults
    return found


def _how_to_start(file: Path, source: SourcedElection) -> str:
    try:
        with_ceremony(file, source)
    except VotenetError as error:
        return f"Its trustees make a key first: {error.message}. {error.next_step}"
    if source.definition.nodes:
        make = Command.calling("election create", str(file), options=("-o", "genesis.json"))
        return f"Make the genesis file for its nodes with: {make}"
    return f"Start it with: {Command('up', '-d', '-f', str(file))}"


def _nodes_contradict(file: Path, no_named_nodes: bool) -> ConfigError:
    if no_named_nodes:
        what, step = (
            "the file names nodes, and --no-named-nodes says that there are none",
            "Leave one of them out.",
        )
        return ConfigError(what, code="contradiction", next_step=step)
    return ConfigError(
        f"{file} names no nodes that decide",
        code="no-nodes",
        next_step=NextStep(
            'On the machine of each node: {}. Put the lines into the file: nodes = ["north:…"]. To run all'
            " nodes here: {}",
            Command("node", "init", "--name", "north"),
            Command("up", "-d", "-f", str(file)),
        ),
    )


def _refuse_members(output: Path, force: bool) -> None:
    """The roll, the codes and the cards of members are made beside the genesis file."""
    if output == STDOUT:
        raise ConfigError(
            "the members of this election get cards, which are written beside the genesis file",
            code="contradiction",
            next_step="Name a file for it: -o genesis.json",
        )
    for path in (output.with_name(ROLL_NAME), *MemberFiles(output.parent).paths()):
        refuse_existing(path, force)


def _beside(output: Path, name: str) -> Path:
    """A file in the folder of the output, or here where the output is no file."""
    regular = output != STDOUT and (not output.exists() or stat.S_ISREG(output.stat().st_mode))
    return output.parent / name if regular else Path(name)


for _command in (extend, close, cancel):
    election.add_command(_command)
