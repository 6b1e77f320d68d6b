"""Which nodes of a network are cut off from the others: no link to them, or another chain; pure.

What lives here: `Apart`, which is shown what all nodes report and says who is cut off and why. What must not:
clocks, sockets, and what to do about it, other than the command that a person may type.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from votenet.processes.machine import State
from votenet.processes.slot import Slot
from votenet.processes.spec import Role

WINDOW_SECONDS: Final = 15.0
"""Two nodes are on one chain if they had a tip in common within this time: nodes report once a second, and
blocks may come faster."""
LOOK_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
"""A node without peers, or with another tip, may be joining, or just be going on after a pause."""


class Report(NamedTuple):
    """What is known of a node; `cut` names the nodes that `votenet partition` keeps it from."""

    name: str
    runs: bool
    """Was ready, and is not paused: its words are of now."""
    peers: int | None
    tip: str | None
    height: int | None
    cut: tuple[str, ...] = ()


class CutOff(NamedTuple):
    """`code`: partition, no-peers, other-tip. `message` follows the name of the node and `is cut off: `."""

    code: str
    message: str
    next_step: str


class Apart:
    """Who is cut off now. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        self._since: dict[str, tuple[str, float]] = {}
        self.found: dict[str, CutOff] = {}
        """By the name of the node."""

    def look(self, nodes: Sequence[Report], now: float) -> None:
        """Take over what is known of all nodes."""
        self._remember(nodes, now)
        running = {node.name: node for node in nodes if node.runs}
        groups = self._groups(running)
        main = max(groups, key=lambda group: _weight(group, running), default=set())
        seen = {node.name: fault for node in nodes if (fault := _fault(node, running, main))}
        self._since = {
            name: self._since[name] if self._since.get(name, ("",))[0] == fault.code else (fault.code, now)
            for name, fault in seen.items()
        }
        self.found = {
            name: fault
            for name, fault in seen.items()
            if fault.code == "partition" or now - self._since[name][1] >= PATIENCE_SECONDS
        }

    def _remember(self, nodes: Sequence[Report], now: float) -> None:
        self._said = {node.name: self._said.get(node.name, _Said()) for node in nodes}
        for node in nodes:
            self._said[node.name].hear(node, now)

    def _groups(self, names: Collection[str]) -> list[set[str]]:
        """Nodes of one chain each, as far as anything shows that there are several."""
        groups: list[set[str]] = []
        for name in (name for name in names if self._said[name].tips):
            near = [group for group in groups if any(self._near(name, other) for other in group)]
            groups = [group for group in groups if group not in near]
            groups.append({name}.union(*near))
        return groups

    def _near(self, one: str, other: str) -> bool:
        return not self._said[one].contradicts(self._said[other])


class _Said:
    """What a node has reported lately."""

    def __init__(self) -> None:
        self._tips: deque[tuple[float, str, int]] = deque()
        self.tips: set[str] = set()
        self.heights: set[int] = set()
        self.stands = False
        """It has had one tip all the time."""

    def hear(self, node: Report, now: float) -> None:
        if node.runs and node.tip is not None:
            self._tips.append((now, node.tip, node.height or 0))
        while self._tips and self._tips[0][0] < now - WINDOW_SECONDS:
            self._tips.popleft()
        self.tips = {tip for _, tip, _ in self._tips}
        self.heights = {height for _, _, height in self._tips}
        since = self._tips[0][0] if self._tips else now
        self.stands = len(self.tips) == 1 and now - since > WINDOW_SECONDS - 2 * LOOK_SECONDS

    def contradicts(self, other: _Said) -> bool:
        """Whether the two have no tip in common and should: at one height, or since one of them stands."""
        if not self.tips or not other.tips or self.tips & other.tips:
            return False
        return bool(self.heights & other.heights) or self.stands or other.stands


def reports(slots: Iterable[Slot]) -> list[Report]:
    """What the supervisor knows of its nodes."""
    nodes = [slot for slot in slots if slot.spec.role is Role.NODE]
    names = {str(slot.spec.address): slot.spec.name for slot in nodes}
    found = []
    for slot in nodes:
        said, runs = slot.vitals, slot.program.state in (State.READY, State.UNREADY)
        cut = () if said.links is None else tuple(names.get(address, address) for address in said.links.cut)
        found.append(Report(slot.spec.name, runs, said.peers, said.tip, said.height, cut))
    return found


def _weight(group: Collection[str], nodes: Mapping[str, Report]) -> tuple[int, int]:
    return len(group), max(nodes[name].height or 0 for name in group)


def _fault(node: Report, running: Mapping[str, Report], main: Collection[str]) -> CutOff | None:
    if node.cut:
        return CutOff("partition", f"a partition keeps it from {', '.join(node.cut)}", "votenet heal")
    if not node.runs or len(running) < 2:
        return None
    if node.peers == 0:
        others = _nodes(len(running) - 1)
        return CutOff(
            "no-peers",
            f"it has no peers, though {others} run{'s' * (len(running) == 2)}",
            f"votenet logs {node.name}, votenet peers list --banned",
        )
    if node.tip is not None and node.name not in main:
        message = f"its chain is another one than that of {', '.join(sorted(main))}"
        return CutOff("other-tip", message, f"votenet logs {node.name}, votenet restart {node.name}")
    return None


def _nodes(count: int) -> str:
    return "another node" if count == 1 else f"{count} others"
