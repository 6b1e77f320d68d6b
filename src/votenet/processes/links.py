"""Faults on the links between nodes, made on request: partition, heal, slow.

A node follows the file in its data folder (`network/link_faults.py`). The files are all that is kept, so a
node that is started again, or adopted, is as cut off as before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from votenet.config import private_dir
from votenet.errors import Command, NextStep, Stopping, StorageError, VotenetError
from votenet.network import link_faults
from votenet.network.link_faults import MAX_DELAY, LinkFaults
from votenet.processes.machine import State
from votenet.processes.managed_program import ManagedProgram
from votenet.processes.program_table import ProgramTable
from votenet.storage.files import write_atomically

FOLLOW_SECONDS: Final = 15.0
"""A node looks at its file once a second, or oftener, unless a busy machine gives it no processor."""

Select = Callable[[Mapping[str, Any]], dict[str, ManagedProgram]]
"""A request's `names` to programs; raises NoSuchNode."""


class Links:
    """Answers the requests about links."""

    def __init__(self, table: ProgramTable, select: Select) -> None:
        self._table, self._select = table, select

    async def partition(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Cut every node of a group off from those of the other groups; `groups` is a list of `names`.

        It takes the place of an earlier partition. Nodes that no group names reach all others.
        """
        groups = self._groups(request.get("groups"))
        wanted: dict[str, tuple[str, ...]] = {}
        for group in groups:
            others = [program for other in groups if other is not group for program in other.values()]
            cut = tuple(str(program.spec.address) for program in others)
            wanted.update(dict.fromkeys(group, cut))
        words = " / ".join(", ".join(group) for group in groups)
        return await self._change(f"partition: {words}", lambda name, now: _cut(now, wanted.get(name, ())))

    async def heal(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """End a partition."""
        return await self._change("partition healed", lambda name, now: _cut(now, ()))

    async def slow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Delay each line that nodes (`names`) send to peers or get from them by `delay` s; 0 ends it."""
        delay = request.get("delay")
        if isinstance(delay, bool) or not isinstance(delay, int | float) or not 0 <= delay <= MAX_DELAY:
            raise VotenetError(f"`delay` must be from 0 to {MAX_DELAY:g} seconds", code="bad-message")
        nodes = _nodes_only(self._select(request))
        words = f"{', '.join(nodes)}: links slowed by {delay * 1000:g} ms"
        return await self._change(
            words, lambda name, now: LinkFaults(now.cut, float(delay)) if name in nodes else now
        )

    def _groups(self, groups: Any) -> list[dict[str, ManagedProgram]]:
        if not isinstance(groups, list) or len(groups) < 2:
            raise VotenetError("`groups` must be a list of at least two lists of nodes", code="bad-message")
        selected = [_nodes_only(self._select({"names": group})) for group in groups]
        names = [name for group in selected for name in group]
        if twice := {name for name in names if names.count(name) > 1}:
            raise VotenetError(
                f"{', '.join(sorted(twice))}: in more than one group",
                code="bad-message",
                next_step=NextStep(
                    "Name each node in one group: {}", Command("partition", "node-1,node-2", "/", "node-3")
                ),
            )
        return selected

    async def _change(self, words: str, change: Callable[[str, LinkFaults], LinkFaults]) -> dict[str, Any]:
        """Write every node's file, then wait for the nodes that run.

        Raises:
            StorageError: a file cannot be written; the nodes after it have their links as before.
        """
        table = self._table
        if table.stopping:
            raise Stopping("the network is stopping")
        nodes = {name: program for name, program in table.programs.items() if program.is_node}
        wanted = {name: change(name, read(node.spec.data_dir)) for name, node in nodes.items()}
        for name, faults in wanted.items():
            if faults != read(nodes[name].spec.data_dir):
                write(nodes[name].spec.data_dir, faults)
        table.tell(words)

        def follows(node: ManagedProgram) -> bool:
            if node.state is not State.READY:  # it reads its file when it starts or goes on
                return True
            return node.heartbeat.links == wanted[node.name]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await table.until(lambda: all(follows(node) for node in nodes.values()))
        table.detect_cut_off()
        return {
            "programs": [table.program_status(node) for node in nodes.values()],
            "late": [name for name, node in nodes.items() if not follows(node)],
        }


def forget(data_dirs: Iterable[Path]) -> None:
    """Let the nodes with these folders start with whole links."""
    for folder in data_dirs:
        with contextlib.suppress(OSError):
            (folder / link_faults.LINK_FAULTS_FILE).unlink()


def read(data_dir: Path) -> LinkFaults:
    """The faults that a node has or will start with; none where the file cannot be used."""
    try:
        return link_faults.read(data_dir / link_faults.LINK_FAULTS_FILE)
    except (OSError, ValueError, RecursionError):
        return LinkFaults()


def write(data_dir: Path, faults: LinkFaults) -> None:
    """Raises StorageError, ConfigError."""
    path = data_dir / link_faults.LINK_FAULTS_FILE
    if faults:
        write_atomically(private_dir(data_dir) / path.name, link_faults.encode(faults))
        return
    what = f"cannot remove the link faults in {data_dir}"
    with StorageError.of_os_errors(what, next_step=f"Remove it by hand: {path}"):
        path.unlink(missing_ok=True)


def _cut(now: LinkFaults, cut: tuple[str, ...]) -> LinkFaults:
    return msgspec.structs.replace(now, cut=cut)


def _nodes_only(programs: dict[str, ManagedProgram]) -> dict[str, ManagedProgram]:
    if wrong := [name for name, program in programs.items() if not program.is_node]:
        raise VotenetError(
            f"{', '.join(wrong)}: faults on links are between nodes",
            code="bad-message",
            next_step=NextStep(
                "To take it away: {}, or {}.", Command("pause", wrong[0]), Command("stop", wrong[0])
            ),
        )
    return programs
