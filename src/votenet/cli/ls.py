"""`votenet ls`: the networks of this user on this machine.

What lives here: options and the table. What must not: the programs of a network (`network_view.py`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import click

from votenet.cli.options import json_option
from votenet.cli.output import echo


@dataclass(frozen=True, slots=True)
class Row:
    """One instance. `state`: its phase where it runs, else stopped or without a supervisor."""

    instance: str
    state: str
    nodes: int
    title: str
    folder: str
    genesis: str


@click.command(
    epilog="""\b
Examples:
  votenet ls
  votenet ls --json"""
)
@json_option
def ls(as_json: bool) -> None:
    """List the networks of this user on this machine, running or stopped, and where their files are."""
    from votenet.cli import render

    rows = list(_rows())
    if as_json:
        import dataclasses

        render.print_json([dataclasses.asdict(row) for row in rows])
        return
    if not rows:
        echo("There is no network yet. Make one with: votenet up --detach")
        return
    made = render.table(
        "",
        [("instance", "left"), ("state", "left"), ("nodes", "right"), ("election", "left"),
         ("genesis file", "left")],
    )  # fmt: skip
    for row in rows:
        made.add_row(row.instance, row.state, str(row.nodes), row.title, row.genesis)
    render.print_table(made)


def _rows() -> Iterator[Row]:
    """Folders that somebody else put beside ours, with names that no instance can have, are passed over."""
    from votenet.config import instance_names
    from votenet.errors import ConfigError

    for name in instance_names():
        with contextlib.suppress(ConfigError):
            yield row_of(name)


def row_of(instance: str) -> Row:
    """One instance as it is now. What cannot be read is said in its place."""
    from votenet.cli.actions import network_status, read_genesis
    from votenet.config import instance_dirs
    from votenet.errors import VotenetError
    from votenet.processes.identity import leftovers
    from votenet.processes.instance import load_network

    dirs = instance_dirs(instance)
    try:
        title = read_genesis(dirs.genesis).definition.title
    except VotenetError as error:
        title = f"[{error.code}]"
    try:
        nodes = len(load_network(dirs).node_ports)
    except VotenetError:
        nodes = 0
    try:
        status = network_status(instance)
        state, nodes = str(status["phase"]), len(status["nodes"])
    except VotenetError as error:
        gone = bool(leftovers(dirs))
        state = "no supervisor" if gone else "stopped" if error.code == "not-running" else error.code
    return Row(instance, state, nodes, title, str(dirs.state), str(dirs.genesis))
