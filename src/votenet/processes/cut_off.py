"""Which nodes of a network are cut off from the others: without links to them, or on another chain; pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from votenet.errors import Command, NextStep

WINDOW_SECONDS: Final = 15.0
"""Two nodes are on one chain if they had a tip in common within this time: nodes report once a second, and
blocks may come faster."""
CUT_OFF_PATIENCE: Final = 5.0
"""A node without peers, or with another tip, may be joining, or just be going on after a pause."""
_REPORT_SECONDS: Final = 1.0


class NodeReport(NamedTuple):
    """The facts of a node; `cut` names the nodes that `votenet partition` keeps it from."""

    name: str
    runs: bool
    """Was ready, and is not paused: the report is of now."""
    peers: int | None
    tip: str | None
    height: int | None
    cut: tuple[str, ...] = ()


class CutOff(NamedTuple):
    """`code`: partition, no-peers, other-tip. `message` follows the name of the node and `is cut off: `."""

    code: str
    message: str
    next_step: str


class CutOffDetector:
    """Takes the reports of all nodes; `current` has the nodes that are cut off now, by name."""

    def __init__(self) -> None:
        self._tips: dict[str, _RecentTips] = {}
        self._since: dict[str, tuple[str, float]] = {}
        self.current: dict[str, CutOff] = {}

    def update(self, nodes: Sequence[NodeReport], now: float) -> None:
        """Take over the reports of all nodes at monotonic time `now`."""
        # 1. Remember the tips of each node for a while.
        self._tips = {node.name: self._tips.get(node.name, _RecentTips()) for node in nodes}
        for node in nodes:
            self._tips[node.name].add(node, now)
        # 2. Nodes of one chain are a group; the largest group, then the highest, is the network.
        running = {node.name: node for node in nodes if node.runs}
        groups = self._groups(running)
        main = max(groups, key=lambda group: _weight(group, running), default=set())
        # 3. A fault other than a partition counts when it has lasted.
        seen = {node.name: fault for node in nodes if (fault := _fault(node, running, main))}
        self._since = {
            name: self._since[name] if self._since.get(name, ("",))[0] == fault.code else (fault.code, now)
            for name, fault in seen.items()
        }
        self.current = {
            name: fault
            for name, fault in seen.items()
            if fault.code == "partition" or now - self._since[name][1] >= CUT_OFF_PATIENCE
        }

    def _groups(self, names: Collection[str]) -> list[set[str]]:
        """Nodes of one chain each, as far as the reports show that there are several."""
        groups: list[set[str]] = []
        for name in (name for name in names if self._tips[name].tips):
            tips = self._tips[name]
            near = [
                group for group in groups if not all(tips.contradicts(self._tips[other]) for other in group)
            ]
            groups = [group for group in groups if group not in near]
            groups.append({name}.union(*near))
        return groups


class _RecentTips:
    """The tips that a node has reported within WINDOW_SECONDS."""

    def __init__(self) -> None:
        self._reports: deque[tuple[float, str, int]] = deque()
        self.tips: set[str] = set()
        self.heights: set[int] = set()
        self.stands = False
        """It has had one tip all the time."""

    def add(self, node: NodeReport, now: float) -> None:
        if node.runs and node.tip is not None:
            self._reports.append((now, node.tip, node.height or 0))
        while self._reports and self._reports[0][0] < now - WINDOW_SECONDS:
            self._reports.popleft()
        self.tips = {tip for _, tip, _ in self._reports}
        self.heights = {height for _, _, height in self._reports}
        since = self._reports[0][0] if self._reports else now
        self.stands = len(self.tips) == 1 and now - since > WINDOW_SECONDS - 2 * _REPORT_SECONDS

    def contradicts(self, other: _RecentTips) -> bool:
        """Whether the two have no tip in common and should: at one height, or since one of them stands."""
        if not self.tips or not other.tips or self.tips & other.tips:
            return False
        return bool(self.heights & other.heights) or self.stands or other.stands


def _weight(group: Collection[str], nodes: Mapping[str, NodeReport]) -> tuple[int, int]:
    return len(group), max(nodes[name].height or 0 for name in group)


def _fault(node: NodeReport, running: Mapping[str, NodeReport], main: Collection[str]) -> CutOff | None:
    if node.cut:
        return _cut_off(node, "partition", f"a partition keeps it from {', '.join(node.cut)}")
    if not node.runs or len(running) < 2:
        return None
    if node.peers == 0:
        others = "another node runs" if len(running) == 2 else f"{len(running) - 1} others run"
        return _cut_off(node, "no-peers", f"it has no peers, though {others}")
    if node.tip is not None and node.name not in main:
        message = f"its chain is another one than that of {', '.join(sorted(main))}"
        return _cut_off(node, "other-tip", message)
    return None


def _cut_off(node: NodeReport, code: str, message: str) -> CutOff:
    return CutOff(code, message, str(way_back(node.name, code)))


def way_back(node: str, code: str) -> NextStep:
    """What to type about a node that is cut off, by the code of `CutOff`."""
    if code == "partition":
        return NextStep("{}", Command("heal"))
    if code == "no-peers":
        return NextStep("{}, {}", Command("logs", node), Command("peers", "list", "--banned"))
    return NextStep("{}, {}", Command("logs", node), Command("restart", node))
