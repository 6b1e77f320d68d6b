"""`votenet peers ban`, `unban`, `list --banned`: what the operator does at the nodes of this machine."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from votenet.cli import targets, ui
from votenet.cli.network.node_control import ask_node
from votenet.cli.options import instance_option, json_option, parse_hour, placed
from votenet.config import instance_dirs, node_dir
from votenet.errors import Command, ConfigError, NextStep, NoSuchNode, NotRunning, SomeFailed, VotenetError

EXIT_NOT_BANNED: Final = 4

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class OperatorAnswers:
    """What nodes said to one request, and why others did not do it; by name."""

    said: dict[str, dict[str, Any]]
    refused: dict[str, VotenetError]

    def raise_refused(self) -> None:
        """Raises SomeFailed when a node did not do it for another reason than that it knows no such peer."""
        broken = {name: error for name, error in self.refused.items() if error.code != "bad-address"}
        if broken:
            name, error = next(iter(broken.items()))
            raise SomeFailed(
                f"{ui.count_of(len(broken), 'node')} did not do it; {name}: {error.message}",
                next_step=error.next_step,
                reported=True,
            )


class NodeFolders:
    """The data folders of which nodes: one named with --data-dir, one or all nodes of the instance."""

    def __init__(self, data_dir: Path | None, node: str | None) -> None:
        self._data_dir, self._node = data_dir, node

    @property
    def options(self) -> tuple[str, ...]:
        """What names the same nodes on a command line."""
        named = (("--data-dir", self._data_dir), ("--node", self._node))
        return tuple(word for name, value in named if value is not None for word in (name, str(value)))

    def ask(self, instance: str, request: dict[str, Any]) -> OperatorAnswers:
        """What each of them answers. Raises NotRunning, NoSuchNode; what every one of them refused."""
        found = OperatorAnswers({}, {})
        for name, folder in self._folders(instance).items():
            try:
                found.said[name] = ask_node(folder, request)
            except VotenetError as error:
                found.refused[name] = error
        if not found.said:
            first = next(iter(found.refused.values()))
            if first.code == "bad-address":
                first.advising("Name a key, an address of another machine, or HOST:PORT of a joined peer.")
            raise first
        return found

    def _folders(self, instance: str) -> dict[str, Path]:
        if self._data_dir is not None:
            return {self._data_dir.name: self._data_dir}
        if (joined := self._joined()) is not None:
            return {joined.name: joined}
        nodes = [p for p in targets.network_status(instance)["programs"] if p["role"] == "node"]
        wanted = [p for p in nodes if self._node in (None, p["name"])]
        if not wanted:
            raise NoSuchNode(f"no node {self._node!r} in {instance!r}")
        away = [p for p in wanted if not p["pid"] or p["state"] == "paused"]
        if len(away) == len(wanted):
            raise NotRunning(
                "no node to ask: " + ", ".join(f"{p['name']} is {p['state']}" for p in away),
                next_step=NextStep("{}", Command("resume" if away[0]["pid"] else "start", away[0]["name"])),
            )
        for program in away:
            ui.say(f"{program['name']} is {program['state']} and was not asked.")
        return {p["name"]: instance_dirs(instance).data_dir(p["name"]) for p in wanted if p not in away}

    def _joined(self) -> Path | None:
        """The folder of the node that has joined an election under this name, by `votenet node join`."""
        if self._node is None:
            return None
        with contextlib.suppress(ConfigError):  # a name that fits no folder
            folder = node_dir(self._node)
            return folder if (folder / "node.env").exists() else None
        return None


def node_folder_options(command: F) -> F:
    """`--node NAME` and `--data-dir DIR`, as one argument `folders`."""

    @click.option(
        "--node", metavar="NAME", help="Only this node of the network here, or one that has joined."
    )
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
      votenet peers ban 10.0.0.9:3000 --node north
      votenet peers ban 10.0.0.9:3000 --data-dir /var/lib/votenet/n1
    """
    answers = folders.ask(instance, {"command": "ban", "subject": subject, "seconds": _seconds(span)})
    say_bans({name: answer["bans"] for name, answer in answers.said.items()}, as_json)
    for name, error in answers.refused.items():
        ui.say(f"{name} has set no ban: {error.message}")
    answers.raise_refused()


@click.command()
@click.argument("subject", metavar="ADDRESS|KEY")
@node_folder_options
@instance_option
@json_option
@click.pass_context
def unban(ctx: click.Context, folders: NodeFolders, instance: str, subject: str, as_json: bool) -> None:
    """Lift a ban: what was given to `ban`, or a subject as `list --banned` shows it.

    Exit code 4 when no node had such a ban, 6 when some could not be asked.

    \b
    Examples:
      votenet peers unban 203.0.113.7
      votenet peers unban 127.0.0.1:3002
      votenet peers unban key:5b9447a3c11043bb5f37d1b174dbd0f551f58b32ca95bb7d3e9f01b29ac37247
    """
    answers = folders.ask(instance, {"command": "unban", "subject": subject})
    lifted = {name: answer["lifted"] for name, answer in answers.said.items()}
    if as_json:
        ui.echo_json(lifted)
    else:
        for name, number in lifted.items():
            ui.echo(f"{name}  {'unbanned' if number else 'had no such ban'}")
    for name, error in answers.refused.items():
        ui.say(f"{name}: {error.message}")
    answers.raise_refused()
    if not any(lifted.values()):
        listed = Command.calling("peers list", options=("--banned", *folders.options))
        ui.say(placed(NextStep("No node has such a ban. Those there are: {}", listed), instance))
        ctx.exit(EXIT_NOT_BANNED)


def _seconds(span: str) -> int:
    try:
        return parse_hour("+" + span, 0.0)
    except ValueError:
        raise click.BadParameter(f"{span!r} is not like 30m, 12h or 7d", param_hint="--for") from None


def say_bans(found: dict[str, list[dict[str, Any]]], as_json: bool) -> None:
    if as_json:
        ui.echo_json(found)
        return
    for name, bans in found.items():
        for one in bans:
            ui.echo(f"{name}  {one['subject']}  until {ui.when(one['until'])}  {one['code']}")
    count = sum(map(len, found.values()))
    ui.say(f"{ui.count_of(count, 'ban')} at {ui.count_of(len(found), 'node')}")
