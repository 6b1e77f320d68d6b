"""What `votenet top` shows: the supervisor's programs, every node's own word, the count, and rates.

What lives here: Watch, which asks and compares with the time before; Picture, what was found; drawn(), how it
looks. What must not: options, terminals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from votenet.cli import actions
from votenet.errors import VotenetError
from votenet.protocol.address import parse_address
from votenet.protocol.messages import GetResults, GetStatus, NodeStatus, Results

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

LEADERS: Final = 10
"""Candidates shown; the rest are added up."""
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
        self._before: dict[str, tuple[float, NodeStatus]] = {}

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
        self._before = {name: (now, status) for name, status in found.items()}
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
        """Since the last look; None where there is none, or the node was started anew in between."""
        then, before = self._before.get(name, (now, status))
        sent = _bytes(status) - _bytes(before)
        if now <= then or sent < 0:
            return None, None
        return (status.votes - before.votes) / (now - then), sent / (now - then)


def _bytes(status: NodeStatus) -> int:
    return status.peer_bytes_sent + status.peer_bytes_received


def drawn(picture: Picture) -> RenderableType:
    """The picture for a terminal or a file."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_headline(picture), style="bold"), _nodes(picture)]
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


def _nodes(picture: Picture) -> Table:
    from rich.text import Text

    from votenet.cli.network_view import STATE_COLOURS, size
    from votenet.cli.render import table

    right = ("HEIGHT", "VOTES", "VOTES/S", "WAITING", "PEERS", "TO PEERS", "CPU", "MEMORY", "RESTARTS")
    made = table("", [("NAME", "left"), ("STATE", "left"), ("TIP", "left"), *((t, "right") for t in right)])
    for node in picture.nodes:
        made.add_row(
            node.name,
            Text(node.state, style=STATE_COLOURS.get(node.state, "")),
            (node.tip or "-")[:12],
            _number(node.height),
            _number(node.votes),
            _number(node.votes_per_second),
            _number(node.waiting),
            _number(node.peers),
            "-" if node.bytes_per_second is None else f"{node.bytes_per_second / 1000:,.0f} kB/s",
            "-" if node.cpu is None else f"{node.cpu:.0f}%",
            size(node.memory),
            str(node.restarts),
        )
    return made


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
