"""What is final in a network with named nodes, and whether enough of them are up, in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from votenet.core.election.quorum import NOT_FINAL_WHILE_AWAY

if TYPE_CHECKING:
    from votenet.protocol.wire.client_messages import NodeStatus

AWAY: Final = ("paused", "stopped", "failed", "removed", "backoff")
"""States of programs that take part in nothing now. The links to a paused one last for a while."""

TOO_FEW: Final = f"Too few: {NOT_FINAL_WHILE_AWAY}."


@dataclass(frozen=True, slots=True)
class NodeFinality:
    """What one node says. Named nodes are written as indexes.

    `height`: up to there its chain is final. `index`: its own, None at a relay. `reachable`: the named nodes
    that it is joined to. `away`: the program is paused or has ended, and this is its last word. `is_out`: it
    says of itself that it decides nothing now.
    """

    name: str
    height: int
    index: int | None
    named: int
    quorum: int
    reachable: Collection[int]
    away: bool = False
    is_out: bool = False


def of_programs(programs: Iterable[Mapping[str, Any]]) -> list[NodeFinality]:
    """What the nodes of a supervisor's status have reported; nothing where no nodes are named."""
    told = [program for program in programs if program.get("finality")]
    cut = _cut_from(told)
    found = []
    for program in told:
        report = program["finality"]
        reachable = set(report["reachable"]) - cut[program["name"]]
        away = program["state"] in AWAY
        found.append(NodeFinality(program["name"], **{**report, "reachable": reachable}, away=away))
    return found


def of_answers(answers: Iterable[NodeStatus], programs: Iterable[Mapping[str, Any]]) -> list[NodeFinality]:
    """What nodes have answered, and which of the others are paused, by the word of their supervisor."""
    from votenet.protocol.wire.client_messages import COUNTS_AS_DOWN  # programs alone need none of this

    told = [program for program in programs if program.get("finality")]
    cut = _cut_from(told)
    found = [
        NodeFinality(
            one.name,
            one.finality.certificate,
            one.finality.index,
            one.finality.named,
            one.finality.quorum,
            set(one.finality.reachable) - cut.get(one.name, set()),
            is_out=any(warning.code in COUNTS_AS_DOWN for warning in one.warnings),
        )
        for one in answers
        if one.finality is not None
    ]
    return found + [one for one in of_programs(told) if one.away]


def _cut_from(told: Sequence[Mapping[str, Any]]) -> dict[str, set[int | None]]:
    """The indexes of nodes that a partition made here keeps each node from, whose links last for a while."""
    index_at = {program["address"]: program["finality"]["index"] for program in told}
    cut = {program["name"]: (program["links"] or {}).get("cut", ()) for program in told}
    return {name: {index_at.get(address) for address in far} for name, far in cut.items()}


class NamedUp(NamedTuple):
    """How many named nodes reach each other and take part, of how many, and how many must agree."""

    up: int
    named: int
    quorum: int

    def __str__(self) -> str:
        return f"{self.up} of {self.named} named nodes are connected, {self.quorum} must agree"

    @property
    def too_few(self) -> bool:
        return self.up < self.quorum


def named_up(nodes: Sequence[NodeFinality]) -> NamedUp | None:
    """Counted at the named node that reaches most, or at a relay; None without a word of any node."""
    out = {one.index for one in nodes if one.away or one.is_out}
    asked = [one for one in nodes if not one.away]
    asked = [one for one in asked if one.index is not None] or asked
    reached = [len(set(one.reachable) - out) for one in asked]
    return NamedUp(max(reached, default=0), nodes[0].named, nodes[0].quorum) if nodes else None


def finality_lines(nodes: Sequence[NodeFinality], signed: int = 0, more: str = "") -> Iterator[str]:
    """Up to where the chain is final, how many named nodes are connected, and what too few of them cost.

    Args:
        signed: how many have signed the newest certificate, where that is known.
        more: what follows in the first line.
    """
    if (up := named_up(nodes)) is None:
        return
    height = max(one.height for one in nodes)
    where = f"up to block {height}" + (f", signed by {signed}" if signed else "") if height else "nothing yet"
    yield f"Final: {where}; {up}{more}."
    if up.too_few:
        yield TOO_FEW
