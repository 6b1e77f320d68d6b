"""Faults on the links between nodes, as a person asks for them: partition, heal, slow.

What lives here: `Links`, which turns groups of nodes into each node's faults, writes its file, and waits
until the running ones follow it. What must not: what a fault does to a link (`network/link_faults.py`).

The files are all that is kept, so a node that is started again, or adopted, is as cut off as before. A
network that starts anew, with nothing adopted, starts whole.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from votenet.config import private_dir
from votenet.errors import Stopping, StorageError, VotenetError
from votenet.network import link_faults
from votenet.network.link_faults import MAX_DELAY, LinkFaults
from votenet.processes.files import write_atomically
from votenet.processes.machine import State
from votenet.processes.slot import Slot
from votenet.processes.spec import Role

if TYPE_CHECKING:
    from votenet.processes.supervisor import Supervisor

FOLLOW_SECONDS: Final = 5.0
"""A node looks at its file four times a second."""

Select = Callable[[Mapping[str, Any]], dict[str, Slot]]
"""A request's `names` to programs; raises NoSuchNode."""


class Links:
    """The links between the nodes of one supervisor."""

    def __init__(self, supervisor: Supervisor, select: Select) -> None:
        self._supervisor, self._select = supervisor, select

    async def partition(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Cut every node of a group off from those of the other groups; `groups` is a list of `names`.

        It takes the place of an earlier partition. Nodes that no group names reach everybody.
        """
        groups = self._groups(request.get("groups"))
        wanted: dict[str, tuple[str, ...]] = {}
        for group in groups:
            others = [slot for other in groups if other is not group for slot in other.values()]
            cut = tuple(str(slot.spec.address) for slot in others)
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
        slots = _nodes_only(self._select(request))
        words = f"{', '.join(slots)}: links slowed by {delay * 1000:g} ms"
        return await self._change(
            words, lambda name, now: LinkFaults(now.cut, float(delay)) if name in slots else now
        )

    def _groups(self, groups: Any) -> list[dict[str, Slot]]:
        if not isinstance(groups, list) or len(groups) < 2:
            raise VotenetError("`groups` must be a list of at least two lists of nodes", code="bad-message")
        found = [_nodes_only(self._select({"names": group})) for group in groups]
        names = [name for group in found for name in group]
        if twice := {name for name in names if names.count(name) > 1}:
            raise VotenetError(
                f"{', '.join(sorted(twice))}: in more than one group",
                code="bad-message",
                next_step="Name each node in one group: votenet partition node-1,node-2 / node-3",
            )
        return found

    async def _change(self, words: str, change: Callable[[str, LinkFaults], LinkFaults]) -> dict[str, Any]:
        """Write every node's file, then wait for those that run.

        Raises:
            StorageError: a file cannot be written; links are then as before for the nodes not yet told.
        """
        supervisor = self._supervisor
        if supervisor.stopping:
            raise Stopping("the network is stopping")
        slots = {name: slot for name, slot in supervisor.slots.items() if slot.spec.role is Role.NODE}
        wanted = {name: change(name, read(slot.spec.data_dir)) for name, slot in slots.items()}
        for name, faults in wanted.items():
            if faults != read(slots[name].spec.data_dir):
                write(slots[name].spec.data_dir, faults)
        supervisor.tell(words)

        def follows(slot: Slot) -> bool:
            if slot.program.state is not State.READY:  # it reads its file when it starts or goes on
                return True
            return slot.vitals.links == wanted[slot.spec.name]

        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await supervisor.until(lambda: all(follows(slot) for slot in slots.values()))
        supervisor.look_apart()
        return {
            "programs": [supervisor.program_status(slot) for slot in slots.values()],
            "late": [name for name, slot in slots.items() if not follows(slot)],
        }


def forget(data_dirs: Iterable[Path]) -> None:
    """The nodes with these folders start with whole links."""
    for folder in data_dirs:
        with contextlib.suppress(OSError):
            (folder / link_faults.FILE_NAME).unlink()


def read(data_dir: Path) -> LinkFaults:
    """The faults that a node has or will start with; none where the file cannot be used."""
    try:
        return link_faults.read(data_dir / link_faults.FILE_NAME)
    except (OSError, ValueError, RecursionError):
        return LinkFaults()


def write(data_dir: Path, faults: LinkFaults) -> None:
    """Raises StorageError, ConfigError."""
    if not faults:
        try:
            (data_dir / link_faults.FILE_NAME).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot remove the link faults in {data_dir}: {error.strerror}",
                next_step=f"Remove it by hand: {data_dir / link_faults.FILE_NAME}",
            ) from error
        return
    write_atomically(private_dir(data_dir) / link_faults.FILE_NAME, link_faults.encode(faults))


def _cut(now: LinkFaults, cut: tuple[str, ...]) -> LinkFaults:
    return msgspec.structs.replace(now, cut=cut)


def _nodes_only(slots: dict[str, Slot]) -> dict[str, Slot]:
    if wrong := [name for name, slot in slots.items() if slot.spec.role is not Role.NODE]:
        raise VotenetError(
            f"{', '.join(wrong)}: faults on links are between nodes",
            code="bad-message",
            next_step=f"To take it away: votenet pause {wrong[0]}, or votenet stop {wrong[0]}.",
        )
    return slots
