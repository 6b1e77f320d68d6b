"""`votenet peers ban`, `unban`, `list --banned`: what the operator does at the nodes of this machine.

What lives here: their options and output, and which nodes are meant. What must not: the channel
(`node_control.py`), what a ban does (`protocol/blame.py`).
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from votenet.cli.options import instance_option, json_option, parse_hour
from votenet.cli.output import echo, echo_json
from votenet.config import instance_dirs
from votenet.errors import NoSuchNode

EXIT_NOT_BANNED: Final = 4

F = TypeVar("F", bound=Callable[..., Any])


class NodeFolders:
    """The data folders of which nodes: one named with --data-dir, one or all nodes of the instance."""

    def __init__(self, data_dir: Path | None, node: str | None) -> None:
        self._data_dir, self._node = data_dir, node

    def ask(self, instance: str, request: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(name, answer) of each. Raises VotenetError: NotRunning, NoSuchNode, what a node refused."""
        from votenet.cli.node_control import ask_node

        if self._data_dir is not None:
            yield self._data_dir.name, ask_node(self._data_dir, request)
            return
        actions = importlib.import_module("votenet.cli.actions")
        programs = actions.network_status(instance)["programs"]
        running = [p["name"] for p in programs if p["role"] == "node" and p["pid"]]
        if self._node is not None and self._node not in running:
            raise NoSuchNode(f"no node {self._node!r} is running")
        for name in running if self._node is None else [self._node]:
            yield name, ask_node(instance_dirs(instance).data_dir(name), request)


def node_folder_options(command: F) -> F:
    """`--node NAME` and `--data-dir DIR`, as one argument `folders`."""

    @click.option("--node", metavar="NAME", help="Only this node of the network running here.")
    @click.option("--data-dir", type=click.Path(path_type=Path), help="The node with this data folder.")
    @functools.wraps(command)
    def wrapped(*args: Any, data_dir: Path | None, node: str | None, **kwargs: Any) -> Any:
        return command(*args, folders=NodeFolders(data_dir, node), **kwargs)

    return cast(F, wrapped)


@click.command()
@click.argument("subject", metavar="ADDRESS|KEY")
@click.option("--for", "span", default="24h", show_default=True, metavar="1h", help="How long: 30m, 12h, 7d.")
@node_folder_options
@instance_option
@json_option
def ban(folders: NodeFolders, instance: str, subject: str, span: str, as_json: bool) -> None:
    """Ban a node's key, an IP address, or the peer that listens at HOST:PORT, at the nodes running here.

    Links to it are closed at once. Voters behind the address may still vote. Only this user of this machine
    can do it: nodes listen for it on a socket in their data folder.

    \b
    Examples:
      votenet peers ban 203.0.113.7 --for 7d
      votenet peers ban 127.0.0.1:3002 --node node-1
      votenet peers ban 10.0.0.9:3000 --data-dir /var/lib/votenet/n1
    """
    request = {"command": "ban", "subject": subject, "seconds": _seconds(span)}
    say_bans({name: answer["bans"] for name, answer in folders.ask(instance, request)}, as_json)


@click.command()
@click.argument("subject", metavar="ADDRESS|KEY")
@node_folder_options
@instance_option
@json_option
@click.pass_context
def unban(ctx: click.Context, folders: NodeFolders, instance: str, subject: str, as_json: bool) -> None:
    """Lift a ban: what was given to `ban`, or a subject as `list --banned` shows it.

    Exit code 4 when there was none.

    \b
    Examples:
      votenet peers unban 203.0.113.7
      votenet peers unban key:5b9447a3c11043bb5f37d1b174dbd0f551f58b32ca95bb7d3e9f01b29ac37247
    """
    request = {"command": "unban", "subject": subject}
    lifted = {name: answer["lifted"] for name, answer in folders.ask(instance, request)}
    if as_json:
        echo_json(lifted)
    else:
        for name, number in lifted.items():
            echo(f"{name}  {'unbanned' if number else 'was not banned'}")
    if not any(lifted.values()):
        ctx.exit(EXIT_NOT_BANNED)


def _seconds(span: str) -> int:
    try:
        return parse_hour("+" + span, 0.0)
    except ValueError:
        raise click.BadParameter(f"{span!r} is not like 30m, 12h or 7d", param_hint="--for") from None


def say_bans(found: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    if as_json:
        echo_json(found)
        return
    for name, bans in found.items():
        for one in bans:
            until = datetime.fromtimestamp(one["until"], UTC).isoformat(timespec="seconds")
            echo(f"{name}  {one['subject']}  until {until}  {one['code']}")
    echo(f"{sum(map(len, found.values()))} bans at {len(found)} nodes", err=True)
