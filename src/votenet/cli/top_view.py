"""What `votenet top` shows: the supervisor's programs, every node's own word, the count, and rates.

What lives here: Watch, which asks and compares with the time before; Picture, what was found; drawn(), how it
looks. What must not: options, terminals.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from votenet.cli import actions
from votenet.cli.hints import for_instance
from votenet.errors import VotenetError
from votenet.protocol.address import parse_address
from votenet.protocol.messages import GetResults, GetStatus, NodeStatus, Results

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

LEADERS: Final = 10
"""Candidates shown; the rest are added up."""
RATE_SECONDS: Final = 10.0
"""Rates are those of this time. Votes come by the block: from one second to the next they would jump."""
DISPENSABLE: Final = ("TO PEERS", "RESTARTS", "TIP", "MEMORY", "PEERS", "CPU", "VOTES/S")
"""Columns that a narrow terminal goes without, the first of these first."""
_ALIVE: Final = ("ready", "starting", "unready")


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node. What only the node itself can say is None when it does not answer; rates are per second."""

    name: str
    state: str
    address: str
    height: int | None = None
    tip: str | None = None
    votes: int | None = None
    votes_per_second: float | None = None
    waiting: int | None = None
    peers: int | None = None
    bytes_per_second: float | None = None
    cpu: float | None = None
    memory: int | None = None
    restarts: int = 0
    cut_off: str | None = None
    """Why it is cut off from the other nodes, and what to type next."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The network at one moment; `results` of the first node that answered, None if none did.

    `votes_per_second` are votes that came into blocks, by the node that has most of them.
    """

    instance: str
    nodes: tuple[NodeLine, ...]
    results: Results | None
    votes_per_second: float | None
    agree: bool
    """Whether all nodes that answered have the same tip."""

    def as_dict(self) -> dict[str, Any]:
        import msgspec

        found: dict[str, Any] = msgspec.to_builtins(self)
        if self.results is not None:
            found["results"] = {
                "title": self.results.title,
                "votes": self.results.votes,
                "waiting": self.results.waiting,
                "height": self.results.height,
                "tip": self.results.tip,
                "counts": dict(self.results.counts),
            }
        return found


class Watch:
    """Looks at one instance again and again."""

    def __init__(self, instance: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._instance, self._clock = instance, clock
        self._before: dict[str, deque[tuple[float, NodeStatus]]] = defaultdict(deque)
        """What each node said, the oldest first, RATE_SECONDS back."""

    def look(self) -> Picture:
        """What is so now.

        Raises:
            NotRunning: no network of that name runs here.
        """
        programs = [p for p in actions.network_status(self._instance)["programs"] if p["role"] == "node"]
        alive = [p for p in programs if p["state"] in _ALIVE]
        addresses = [parse_address(p["address"]) for p in alive]
        answers = actions.run(actions.ask_all(addresses, GetStatus(), NodeStatus))
        found = {
            p["name"]: status
            for p, (_, status) in zip(alive, answers, strict=True)
            if isinstance(status, NodeStatus)
        }
        now = self._clock()
        nodes = tuple(self._line(program, found.get(program["name"]), now) for program in programs)
        for name in self._before.keys() - found.keys():
            del self._before[name]
        rates = [node.votes_per_second for node in nodes if node.votes_per_second is not None]
        return Picture(
            instance=self._instance,
            nodes=nodes,
            results=self._results([parse_address(p["address"]) for p in alive if p["name"] in found]),
            votes_per_second=max(rates, default=None),
            agree=len({status.tip for status in found.values()}) <= 1,
        )

    def _results(self, addresses: list[Any]) -> Results | None:
        try:
            found: Results = actions.run(actions.ask_one(addresses, GetResults(), Results))[1]
        except VotenetError:
            return None
        return found

    def _line(self, program: Mapping[str, Any], status: NodeStatus | None, now: float) -> NodeLine:
        known = {key: program[key] for key in ("name", "state", "address", "cpu", "memory", "restarts")}
        if fault := program.get("cut_off"):
            step = for_instance(fault["next_step"], self._instance)
            known["cut_off"] = f"{fault['message']}. Next: {step}"
        elif status is not None and status.cut_off:
            known["cut_off"] = for_instance(status.cut_off, self._instance)
        if status is None:
            return NodeLine(**known)
        votes_rate, bytes_rate = self._rates(program["name"], status, now)
        return NodeLine(
            **known,
            height=status.height,
            tip=status.tip,
            votes=status.votes,
            votes_per_second=votes_rate,
            waiting=status.waiting,
            peers=status.peers,
            bytes_per_second=bytes_rate,
        )

    def _rates(self, name: str, status: NodeStatus, now: float) -> tuple[float | None, float | None]:
        """Since the oldest look; None where there is none, or the node was started anew in between."""
        looks = self._before[name]
        if looks and _bytes(status) < _bytes(looks[-1][1]):
            looks.clear()
        while len(looks) > 1 and looks[0][0] < now - RATE_SECONDS:
            looks.popleft()
        looks.append((now, status))
        then, before = looks[0]
        if now <= then:
            return None, None
        sent = _bytes(status) - _bytes(before)
        return (status.votes - before.votes) / (now - then), sent / (now - then)


def _bytes(status: NodeStatus) -> int:
    return status.peer_bytes_sent + status.peer_bytes_received


def drawn(picture: Picture) -> RenderableType:
    """The picture for a terminal or a file."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(picture), style="bold"), _Nodes(picture)]
    parts += [Text(f"{node.name} is cut off: {node.cut_off}") for node in picture.nodes if node.cut_off]
    if picture.results is not None and picture.results.votes:
        parts += [Text(), _tally(picture.results)]
    return Group(*parts)


def _headline(picture: Picture) -> str:
    found = picture.results
    if found is None:
        return f"{picture.instance}: no node answers"
    rate = "" if picture.votes_per_second is None else f" (+{picture.votes_per_second:,.0f}/s)"
    tips = "one chain" if picture.agree else "tips differ"
    return (
        f"{found.title}: {found.votes:,} votes{rate} in {found.height} blocks, "
        f"{found.waiting:,} waiting; {tips}"
    )


class _Nodes:
    """The table of nodes, in as many columns as there is room for."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        yield _nodes(self._picture, options.max_width)


def _nodes(picture: Picture, width: int) -> Table:
    from votenet.cli.render import table

    rows = [_cells(node) for node in picture.nodes]
    widths = {name: max(len(name), *(len(row[name]) for row in rows)) for name in (rows[0] if rows else ())}
    for name in DISPENSABLE:
        if sum(widths.values()) + 2 * (len(widths) - 1) > width:
            widths.pop(name, None)
    left = ("NAME", "STATE", "TIP")
    made = table("", [(name, "left" if name in left else "right") for name in widths])
    for row in rows:
        made.add_row(*(row[name] for name in widths))
    return made


def _cells(node: NodeLine) -> dict[str, Text]:
    """By heading."""
    from rich.text import Text

    from votenet.cli.network_view import STATE_COLOURS, size

    plain = {
        "TIP": (node.tip or "-")[:12],
        "HEIGHT": _number(node.height),
        "VOTES": _number(node.votes),
        "VOTES/S": _number(node.votes_per_second),
        "WAITING": _number(node.waiting),
        "PEERS": _number(node.peers),
        "TO PEERS": "-" if node.bytes_per_second is None else f"{node.bytes_per_second / 1000:,.0f} kB/s",
        "CPU": "-" if node.cpu is None else f"{node.cpu:.0f}%",
        "MEMORY": size(node.memory),
        "RESTARTS": str(node.restarts),
    }
    word = "cut off" if node.cut_off and node.state in ("ready", "unready") else node.state
    state = Text(word, style=STATE_COLOURS.get(word, ""))
    return {"NAME": Text(node.name), "STATE": state, **{name: Text(text) for name, text in plain.items()}}


def _tally(results: Results) -> Table:
    from votenet.cli.render import bar, table

    made = table("", [("CANDIDATE", "left"), ("VOTES", "right"), ("SHARE", "right"), ("", "left")])
    for candidate, votes in results.counts[:LEADERS]:
        share = votes / results.votes
        made.add_row(candidate, f"{votes:,}", f"{share:.1%}", bar(share))
    rest = results.counts[LEADERS:]
    if rest:
        votes = sum(count for _, count in rest)
        made.add_row(f"{len(rest)} more", f"{votes:,}", f"{votes / results.votes:.1%}", "")
    return made


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
