"""`--dry-run`: what `up` and `scale` would do, shown and not done.

What lives here: the plan as text and JSON. What must not: decisions (`network_prepare.py`,
`votenet.processes.plans`), changing anything.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from votenet.cli.output import echo, echo_json
from votenet.config import InstanceDirs
from votenet.errors import NotRunning
from votenet.processes.control import ask


def dry_run(
    dirs: InstanceDirs, *, detach: bool, as_json: bool, options: Mapping[str, Any], given: Collection[str]
) -> None:
    """Print what `up` would do.

    Raises:
        VotenetError: what `up` would refuse.
    """
    from votenet.cli import network_prepare
    from votenet.cli.network_view import say

    try:
        status = ask(dirs, {"command": "status"})
    except NotRunning:
        merged, kept = network_prepare.as_last_time(dirs, options, given)
        if kept:
            say(f"as last time: {', '.join(kept)}")
        plan = network_prepare.dry_run(dirs, merged, adopt=detach)
        _print(plan, _start_lines(plan), as_json)
        return
    request = network_prepare.change(dirs, status, options, given)
    nodes = request.get("nodes", len(status["nodes"]))
    idle = network_prepare.lies_idle(status["programs"])
    scale(status, nodes, as_json, settings=request.get("settings", {}), idle=idle)


def scale(
    status: Mapping[str, Any],
    nodes: int,
    as_json: bool,
    *,
    settings: Mapping[str, Any] | None = None,
    idle: Collection[str] = (),
) -> None:
    """Print what another number of nodes, or other settings, would do to a running network.

    Args:
        idle: what is started again.
    """
    has = len(status["nodes"])
    changed = {name: value for name, value in (settings or {}).items() if value != status["settings"][name]}
    restarts = [p["name"] for p in status["programs"] if p["role"] == "node"][:nodes]
    stops = [f"node-{number}" for number in range(nodes + 1, has + 1)]
    plan = {
        "dry_run": True,
        "instance": status["instance"],
        "stops": stops,
        "starts": [name for name in idle if name not in stops]
        + [f"node-{number}" for number in range(has + 1, nodes + 1)],
        "settings": changed,
        "restarts": restarts if "node_args" in changed else [],
    }
    _print(plan, _change_lines(plan, has), as_json)


def _print(plan: Mapping[str, Any], lines: Iterator[str], as_json: bool) -> None:
    if as_json:
        echo_json(plan)
        return
    for line in lines:
        echo(line)


def _start_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    yield f"Nothing was started. {plan['instance']!r} would be:"
    yield f"  state      {plan['state']}"
    yield f"  sockets    {plan['run']}"
    yield f"  election   {plan['genesis']} ({plan['election']})"
    if plan["ports_moved"]:
        yield f"  ports      moved: {plan['ports_moved']}"
    for stopped in plan["stops"]:
        yield f"  stops      {stopped}, left from a supervisor that died"
    for program in plan["programs"]:
        adopts = f"  (pid {program['adopts_pid']} goes on)" if program["adopts_pid"] else ""
        yield f"{program['name']}  {program['address']}  {program['data_dir']}{adopts}"
        yield f"    {shlex.join(program['argv'])}"


def _change_lines(plan: Mapping[str, Any], has: int) -> Iterator[str]:
    changes = [(word, plan[word]) for word in ("stops", "starts", "restarts") if plan[word]]
    if not changes and not plan["settings"]:
        yield f"Nothing would change: {plan['instance']!r} runs with {has} nodes."
        return
    yield f"Nothing was changed. {plan['instance']!r}, which runs with {has} nodes, would get:"
    for word, names in changes:
        yield f"  {word:<9} {', '.join(names)}"
    for name, value in plan["settings"].items():
        yield f"  {name:<9} {value}"
