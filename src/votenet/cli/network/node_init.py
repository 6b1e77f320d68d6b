"""`votenet node init`: the key of a node, made once, and the line that its owner hands in."""

from __future__ import annotations

from pathlib import Path

import click

from votenet.cli import ui
from votenet.cli.options import json_option

folder_option = click.option(
    "--data-dir",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the node  [nodes/NAME in the folder of this user].",
)


@click.command(
    short_help="Make the key of a node, and its line.",
    epilog="""\b
Examples:
  votenet node init --name north
  votenet node init --name north --data-dir /var/lib/votenet/north

\b
The line is public: hand it in to the organiser, who puts it into election.toml:
  nodes = ["north:…", "south:…"]
The key stays in the folder of the node, by default nodes/north in ~/.local/state/votenet or in
VOTENET_HOME. Called again, it prints the same line.

\b
Exit codes: 0 ok, 78 the folder or its key cannot be used.""",
)
@click.option("--name", required=True, metavar="NAME", help="Name of the node in the election.")
@folder_option
@click.option("--table", is_flag=True, help="Print a table [[nodes]] for the election file, not the line.")
@json_option
def init(name: str, data_dir: Path | None, table: bool, as_json: bool) -> None:
    """Make the key of a node, and print the one line to hand in to the organiser."""
    from votenet.cli.election.election_setup import named_node
    from votenet.config import node_dir, private_dir
    from votenet.core.election.definition_rules import node_name_fault
    from votenet.core.election.election_file_writer import node_toml
    from votenet.core.election.node_line import node_line
    from votenet.storage.key_store import NODE_KEY_NAME, load_or_make_key

    if fault := node_name_fault(name):
        raise click.BadParameter(fault, param_hint="--name")
    folder = private_dir(data_dir or node_dir(name))
    there = (folder / NODE_KEY_NAME).exists()
    made = named_node(name, load_or_make_key(folder / NODE_KEY_NAME, "node"))
    if as_json:
        ui.echo_json({"name": name, "line": node_line(made), "data_dir": str(folder), "key_made": not there})
        return
    for line in (node_toml(made) if table else node_line(made)).splitlines():
        ui.echo(line)
    ui.say(f"The key of the node {'was there already' if there else 'is made'}: {folder / NODE_KEY_NAME}")
    ui.say("Hand the line in to the organiser. The file stays here: who has it speaks for this node.")
