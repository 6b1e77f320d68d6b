"""Commands about the links between nodes of a running network: partition, heal, slow.

What lives here: options, reading groups and delays, what is said. What must not: what a fault does
(`network/link_faults.py`), who is told (`processes/links.py`).
"""

from __future__ import annotations

import re
from typing import Any, Final

import click

from votenet.cli.network_control import EXITS, MARGIN, PATTERNS, complete_nodes, nodes_argument
from votenet.cli.options import instance_option, json_option
from votenet.config import InstanceDirs, instance_dirs
from votenet.errors import VotenetError, WaitTimedOut

_DELAY: Final = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)|0")
_MAX_DELAY: Final = 60.0
"""As `network.link_faults` has it; not imported for a check of one option."""


def parse_groups(words: tuple[str, ...]) -> list[list[str]]:
    """`node-1,node-2 / node-3`, however spaced, to lists of names.

    Raises:
        ValueError: fewer than two groups, or an empty one.
    """
    groups = [re.findall(r"[^\s,]+", part) for part in " ".join(words).split("/")]
    if len(groups) < 2 or not all(groups):
        raise ValueError("name at least two groups with / between them: node-1,node-2 / node-3,node-4")
    return groups


def parse_delay(text: str) -> float:
    """`200ms`, `1.5s`, `0` to seconds. Raises ValueError."""
    found = _DELAY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no delay; such as 200ms or 1.5s, 0ms to end it")
    delay = float(found[1] or 0) / (1000 if found[2] == "ms" else 1)
    if delay > _MAX_DELAY:
        raise ValueError(
            f"{text!r} is longer than {_MAX_DELAY:g} s: nodes give such a peer up; use partition"
        )
    return delay


@click.command(
    epilog=f"""\b
Examples:
  votenet partition node-1,node-2 / node-3,node-4,node-5
  votenet partition node-5 / 'node-[1-4]'
  votenet heal

Nodes that no group names reach everybody; so do voters, and the bootstrap server. It holds for nodes
that are started again, until the network is started anew, or until: votenet heal.
{PATTERNS}

{EXITS}, 2 groups that make no sense, 5 not in force in time."""
)
@click.argument("groups", nargs=-1, required=True, shell_complete=complete_nodes, metavar="A,B / C,D")
@instance_option
@json_option
def partition(groups: tuple[str, ...], instance: str, as_json: bool) -> None:
    """Cut the links between groups of nodes, as if a cable was pulled.

    Nothing gets through and nobody is told. What was under way arrives when the links are healed in time.
    """
    try:
        found = parse_groups(groups)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    _change(instance_dirs(instance), {"command": "partition", "groups": found}, as_json)


@click.command(
    epilog=f"""\b
Examples:
  votenet heal

{EXITS}, 5 not in force in time."""
)
@instance_option
@json_option
def heal(instance: str, as_json: bool) -> None:
    """End a partition: every node reaches every other one again."""
    _change(instance_dirs(instance), {"command": "heal"}, as_json)


@click.command(
    epilog=f"""\b
Examples:
  votenet slow node-3 200ms
  votenet slow 'node-*' 1.5s
  votenet slow node-3 0ms        as fast as before

{PATTERNS}

{EXITS}, 2 no such delay, 5 not in force in time."""
)
@nodes_argument()
@click.argument("delay", metavar="DELAY")
@instance_option
@json_option
def slow(names: tuple[str, ...], delay: str, instance: str, as_json: bool) -> None:
    """Delay each line between nodes and their peers, in both directions."""
    try:
        seconds = parse_delay(delay)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="DELAY") from None
    _change(instance_dirs(instance), {"command": "slow", "names": list(names), "delay": seconds}, as_json)


def _change(dirs: InstanceDirs, request: dict[str, Any], as_json: bool) -> None:
    """Raises WaitTimedOut: some nodes do not follow yet; VotenetError, exit 2: names that make no sense."""
    from votenet.cli.network_view import show
    from votenet.processes.control import ask

    try:
        answer = ask(dirs, request, timeout=2 * MARGIN)
    except VotenetError as error:
        if error.code == "bad-message":
            error.exit_code = 2
        raise
    show({"instance": dirs.instance, "phase": "running", "programs": answer["programs"]}, as_json)
    if answer["late"]:
        failure = WaitTimedOut(
            f"not yet in force at {', '.join(answer['late'])}",
            next_step=f"Look with: votenet ps, votenet logs {answer['late'][0]}",
        )
        failure.reported = as_json
        raise failure
