"""`votenet ls`: the networks of this user on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import click

from votenet.cli import ui
from votenet.cli.options import json_option
from votenet.cli.targets import network_status
from votenet.config import instance_dirs, instance_names
from votenet.errors import Command, ConfigError, VotenetError
from votenet.processes.identity import leftovers
from votenet.processes.instance import load_network
from votenet.storage.env_file import joined_nodes
from votenet.storage.genesis_file import read_genesis


@dataclass(frozen=True, slots=True)
class Row:
    """One instance. `state`: its phase where it runs, else stopped or without a supervisor."""

    instance: str
    state: str
    nodes: int
    title: str
    folder: str
    genesis: str
    page: str
    """Where the page of a running network is; else empty."""


@click.command(
    epilog="""\b
Examples:
  votenet ls
  votenet ls --json"""
)
@json_option
def ls(as_json: bool) -> None:
    """List the networks of this user on this machine, running or stopped, and where their files are."""

    rows = list(_rows())
    if as_json:
        ui.print_json([dataclasses.asdict(row) for row in rows])
        return
    if not rows:
        if joined := joined_nodes():
            look = Command("status", "--network")
            ui.echo(f"The network that {', '.join(joined)} joined is seen with: {look}")
        else:
            ui.echo("There is no network yet. Make one with: votenet up --detach")
        return
    made = ui.table(
        "",
        [("instance", "left"), ("state", "left"), ("nodes", "right"), ("election", "left"), ("page", "left"),
         ("genesis file", "left")],
    )  # fmt: skip
    for row in rows:
        made.add_row(row.instance, row.state, str(row.nodes), row.title, row.page or "-", row.genesis)
    ui.print_table(made)


def _rows() -> Iterator[Row]:
    """A row for each instance; folders with names that no instance can have are passed over."""
    for name in instance_names():
        with contextlib.suppress(ConfigError):
            yield row_of(name)


def row_of(instance: str) -> Row:
    """One instance as it is now. What cannot be read is said in its place."""
    dirs = instance_dirs(instance)
    try:
        title = read_genesis(dirs.genesis).definition.title
    except VotenetError as error:
        title = f"[{error.code}]"
    try:
        nodes = len(load_network(dirs).node_ports)
    except VotenetError:
        nodes = 0
    page = ""
    try:
        status = network_status(instance)
        state, nodes, page = str(status["phase"]), len(status["nodes"]), status.get("page") or ""
    except VotenetError as error:
        gone = bool(leftovers(dirs))
        state = "no supervisor" if gone else "stopped" if error.code == "not-running" else error.code
    return Row(instance, state, nodes, title, str(dirs.state), str(dirs.genesis), page)
