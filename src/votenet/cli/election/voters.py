"""`votenet voters`: who may vote: the roll, its keys, and who has voted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from votenet.ballots.table import DELIMITERS, delimiter_named
from votenet.ballots.voter_list import VoterColumns, read_voter_list
from votenet.cli import targets, ui
from votenet.cli.election.amend import add, replace_key
from votenet.cli.election.cards import cards
from votenet.cli.election.enrol import approve, invite, show_enrolment
from votenet.cli.election.in_force import voters_here
from votenet.cli.election.roll import read_roll, roll_here, write_roll
from votenet.cli.options import (
    FilePath,
    given_roll_option,
    instance_option,
    json_option,
    network_option,
    node_option,
)
from votenet.client.answers import fetch_amendments, fetch_vote_status
from votenet.client.connection import NodeConnection
from votenet.config import instance_dirs
from votenet.core.election.definition import Election
from votenet.core.election.roll import Roll, not_on_roll, with_roll
from votenet.core.limits import MAX_RECEIPT
from votenet.errors import ConfigError
from votenet.storage.input_file import STDIN, read_input
from votenet.storage.key_store import KeyStore, StoredKey
from votenet.storage.member_files import MemberFiles, MemberNote
from votenet.storage.output_file import STDOUT, refuse_existing

_FILE = FilePath()


@click.group(
    epilog="""add and replace-key change an election that runs, with the key of its authority: see
docs/elections.md, "When something changes"."""
)
def voters() -> None:
    """Make and check the roll of an election; see whose keys are here and who has voted; add late members."""


@voters.command(
    "import",
    epilog="""\b
Examples:
  votenet voters import members.csv -o roll.json                 columns: id, public_key, weight if any
  votenet voters import members.csv -o roll.json --make-keys     keys made and kept for this user
  votenet up -d --roll roll.json

Ids that people take for one (0017 and 0017 with a space, Ann and ANN) are refused.""",
)
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=_FILE, required=True, help="Roll file to write.")
@click.option(
    "--id-column", metavar="COL", help="Name or number of the column with the id  [id, or the first]."
)
@click.option("--key-column", metavar="COL", help="That of the Ed25519 public key, 64 digits  [public_key].")
@click.option(
    "--weight-column", metavar="COL", help="That of the weight  [weight, else each voter weighs 1]."
)
@click.option("--header/--no-header", default=None, help="Whether the first line names the columns.")
@click.option("--encoding", metavar="NAME", help="Encoding of the file  [UTF-8, or its mark].")
@click.option(
    "--delimiter", type=click.Choice([*DELIMITERS.values()]), help="What is between the cells  [found]."
)
@click.option("--make-keys", is_flag=True, help="Make keys in this user's key store instead.")
@click.option("--force", is_flag=True, help="Replace the roll file if it is there.")
@instance_option
@json_option
def import_(
    file: Path,
    output: Path,
    id_column: str | None,
    key_column: str | None,
    weight_column: str | None,
    header: bool | None,
    encoding: str | None,
    delimiter: str | None,
    make_keys: bool,
    force: bool,
    instance: str,
    as_json: bool,
) -> None:
    """Make a roll from the CSV file FILE (or standard input: -)."""
    refuse_existing(output, force)
    data = read_input(file, MAX_RECEIPT, code="bad-roll")
    mark = delimiter_named(delimiter)
    columns = VoterColumns(id_column, key_column, weight_column, not make_keys, header, encoding, mark)
    listed = read_voter_list(data, "standard input" if file == STDIN else str(file), columns)
    if make_keys:
        keys = KeyStore(instance_dirs(instance).keys)
        listed = [one._replace(key=keys.get_or_make(one.voter_id).key.public_hex) for one in listed]
    made = Roll(listed)
    del data, listed  # a million voters take 400 MB so
    if output == STDOUT:
        ui.echo_bytes(made.to_file())
        return
    write_roll(output, made)
    _print(f"Roll written to {output}.", made, as_json)


@voters.command()
@click.argument("file", metavar="ROLL", type=_FILE)
@click.argument("voter_id", required=False)
@click.option("--genesis", type=_FILE, help="Check that it is the roll of this election.")
@json_option
def check(file: Path, voter_id: str | None, genesis: Path | None, as_json: bool) -> None:
    """Check a roll file; look a voter up in it; compare it with an election."""
    from votenet.storage.genesis_file import read_genesis

    found = read_roll(file, for_new=True)
    if genesis is not None:
        with_roll(read_genesis(genesis), found)
    if voter_id is not None and voter_id not in found.keys:
        raise not_on_roll(found.keys, voter_id)
    said = "The roll is in order" + (" and that of the election." if genesis else ".")
    _print(said, found, as_json, voter_id)


@voters.command()
@click.argument("voter_ids", nargs=-1, metavar="[VOTER_ID]...")
@given_roll_option
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Copy their key files to FOLDER, to be handed out: keys import and vote --key take them.",
)
@instance_option
@json_option
def keys(
    voter_ids: tuple[str, ...], roll_file: Path | None, folder: Path | None, instance: str, as_json: bool
) -> None:
    """Show which members' keys this user has (of all, or of VOTER_ID...), and export their files."""
    registered = voters_here(instance) if roll_file is None else read_roll(roll_file).keys
    if registered is None:
        raise _no_roll()
    stored = _stored(registered, voter_ids, instance)
    if folder is not None:
        ours = [key for voter_id, key in stored.items() if key and key.key.public_hex == registered[voter_id]]
        _export(ours, folder)
    rows = [
        {
            "voter_id": voter_id,
            "public_key": registered[voter_id],
            "key": key_state(registered[voter_id], key),
        }
        for voter_id, key in stored.items()
    ]
    if as_json:
        ui.print_json(rows)
        return
    _print_rows(rows, [("voter_id", "voter"), ("public_key", "public key"), ("key", "key here")])
    if folder is not None:
        ui.echo(f"Wrote {ui.count_of(len(ours), 'key file')} to {folder}. Each lets its holder vote.")


@voters.command()
@click.argument("voter_ids", nargs=-1, metavar="[VOTER_ID]...")
@given_roll_option
@click.option(
    "--enrolment",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Before the election: who has enrolled in FOLDER, and who is missing.",
)
@node_option
@network_option
@instance_option
@json_option
def status(
    voter_ids: tuple[str, ...],
    roll_file: Path | None,
    enrolment: Path | None,
    node: str | None,
    network_hex: str | None,
    instance: str,
    as_json: bool,
) -> None:
    """Show who on the roll has a card or a key here and who has voted, not what. A node is asked."""
    if enrolment is not None:
        show_enrolment(enrolment, as_json=as_json)
        return
    roll = read_roll(roll_file) if roll_file is not None else roll_here(instance)
    if roll is None:
        raise _no_roll()

    async def states(connection: NodeConnection) -> tuple[Mapping[str, str], _Stored, list[str]]:
        in_force = (await fetch_amendments(connection, known)).election
        registered = in_force.registered or {}
        stored = _stored(registered, voter_ids, instance)
        states = [(await fetch_vote_status(connection, voter_id)).state for voter_id in stored]
        return registered, stored, states

    with targets.connect(instance, node, network_hex) as election:
        known = with_roll(election.election, roll)
        notes = _notes(instance, known)
        (registered, stored, found), asked = election.at_one_node(states), str(election.node)
    rows = [
        {
            "voter_id": voter_id,
            "name": notes[voter_id].name if voter_id in notes else None,
            "by": notes[voter_id].by if voter_id in notes else None,
            "key": key_state(registered[voter_id], key),
            "voted": state != "unknown",
            "state": state,
        }
        for (voter_id, key), state in zip(stored.items(), found, strict=True)
    ]
    voted = sum(bool(row["voted"]) for row in rows)
    if as_json:
        ui.print_json({"node": asked, "registered": len(registered), "voted": voted, "voters": rows})
        return
    shown = [row | {"state": "not yet" if row["state"] == "unknown" else row["state"]} for row in rows]
    known_columns = [("name", "name"), ("by", "votes by")] if notes else []
    _print_rows(shown, [("voter_id", "voter"), *known_columns, ("key", "key here"), ("state", "vote")])
    ui.echo(f"Voted: {voted:,} of {len(rows):,}, says {asked}.")


def _notes(instance: str, election: Election) -> dict[str, MemberNote]:
    """What the organiser keeps of the members of this election, if it is here."""
    kept = MemberFiles(instance_dirs(instance).state).read_members(election.network_hex)
    return {} if kept is None else kept.by_id()


def key_state(registered: str, stored: StoredKey | None) -> str:
    """Whether the key of this user is the registered one: yes, no (there is none), another."""
    if stored is None:
        return "no"
    return "yes" if stored.key.public_hex == registered else "another"


def _no_roll() -> ConfigError:
    return ConfigError(
        "the network here has no roll",
        code="roll-missing",
        next_step="Give the roll file of the election: --roll FILE",
    )


_Stored = dict[str, StoredKey | None]


def _stored(registered: Mapping[str, str], voter_ids: Sequence[str], instance: str) -> _Stored:
    """The keys of this user for these voters, or for all on the roll. Raises Rejected: not-on-roll."""
    for voter_id in voter_ids:
        if voter_id not in registered:
            raise not_on_roll(registered, voter_id)
    store = KeyStore(instance_dirs(instance).keys)
    return {voter_id: store.find(voter_id) for voter_id in dict.fromkeys(voter_ids) or sorted(registered)}


def _export(ours: Iterable[StoredKey], folder: Path) -> None:
    """Copy the key files. A file that is there is never replaced. Raises ConfigError."""
    target = KeyStore(folder)
    for stored in ours:
        target.put(stored.owner, stored.key)


def _print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> None:
    made = ui.table("", [(heading, "left") for _, heading in columns])
    for row in rows:
        made.add_row(*(str(row[name]) for name, _ in columns))
    ui.print_table(made)


def _print(said: str, made: Roll, as_json: bool, voter_id: str | None = None) -> None:
    one: dict[str, Any] = {}
    if voter_id is not None:
        one = {"voter_id": voter_id, "public_key": made.keys[voter_id], "weight": made.weights[voter_id]}
    weight = made.weight
    if as_json:
        ui.print_json({"voters": len(made.keys), "weight": weight, "root": made.root_hex, **one})
        return
    weights = f"{weight:,} in all" if made.weighted else "none: each voter has one vote"
    fields = [("voters", f"{len(made.keys):,}"), ("weights", weights), ("root", made.root_hex)]
    ui.print_fields(said, fields + [(name.replace("_", " "), str(text)) for name, text in one.items()])


for _command in (add, replace_key, cards, invite, approve):
    voters.add_command(_command)
