"""The small state of an election as the page shows it: one frozen value, replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from votenet.core.election.definition import Election
from votenet.errors import VotenetError
from votenet.protocol.wire.client_messages import NodeStatus, Results

State = Literal["before", "open", "closed", "final", "cancelled"]
"""`closed`: no more votes are taken, and the result is not final yet."""


class NodeView(msgspec.Struct, frozen=True):
    """One node as the page last saw it. `problem` says why it is not asked; empty while it is up.

    `signs`: it has proved the key of a named node, and has its name. `unproven`: it only says that it is one.
    `given`: it answers at an address that the page was started with.
    `warnings` are sentences in English, as the node writes them; `warning_codes` has the code of each.
    `lies` are sentences about what named nodes are proven to have done, as this node tells them.
    """

    address: str
    name: str = ""
    up: bool = False
    height: int = 0
    tip: str = ""
    final_height: int | None = None
    warnings: tuple[str, ...] = ()
    warning_codes: tuple[str, ...] = ()
    lies: tuple[str, ...] = ()
    signs: bool = False
    unproven: bool = False
    given: bool = False
    problem: str = ""
    code: str = ""

    @classmethod
    def of(cls, address: str, status: NodeStatus) -> NodeView:
        finality = status.finality
        return cls(
            address=address,
            name=status.name,
            up=True,
            height=status.height,
            tip=status.tip,
            final_height=None if finality is None else finality.certificate,
            warnings=tuple(warning.message for warning in status.warnings),
            warning_codes=tuple(warning.code for warning in status.warnings),
            lies=status.lies,
        )

    def away(self, error: VotenetError) -> NodeView:
        """The node while it does not answer: only its name stays, and whether that was proven."""
        return NodeView(
            self.address,
            self.name,
            signs=self.signs,
            unproven=self.unproven,
            given=self.given,
            problem=error.message,
            code=error.code,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the nodes showed at `at` (Unix seconds). `election` is in force, with amendments and the roll.

    `stale`: seconds that no node has answered since. `alarm`: what named nodes did that breaks the election's
    trust; empty as it should be. `version` grows when anything but `at` changes. `cancelled_at`: when the
    election was cancelled, where that is known.
    """

    election: Election
    state: State
    results: Results
    nodes: tuple[NodeView, ...]
    at: int
    stale: int = 0
    alarm: str = ""
    version: int = 0
    cancelled_at: int | None = None

    @property
    def network_id(self) -> str:
        return self.election.network_hex

    @property
    def final_height(self) -> int | None:
        return self.results.final_height

    @property
    def signed_by(self) -> tuple[str, ...]:
        """Names of the nodes that signed up to `final_height`."""
        return self.results.signed_by

    @property
    def named(self) -> int:
        """How many nodes the definition names; without any nothing is ever final."""
        return self.election.named

    @property
    def nodes_up(self) -> int:
        return sum(node.up for node in self.nodes)

    @property
    def event_id(self) -> str:
        chain = f"{self.results.height}.{self.results.tip}"
        # Trustees' shares are not on the chain: by it alone a page would think that it has their counts.
        return chain if self.election.secret is None else f"{chain}.{len(self.results.decrypted_by)}"


def state_of(election: Election, results: Results, now: float) -> State:
    """Where the election is at `now` (Unix seconds)."""
    if election.cancelled or results.cancelled:
        return "cancelled"
    if results.final:
        return "final"
    opens, closes = election.definition.opens, election.closes
    if results.over or (closes is not None and now >= closes):
        return "closed"
    return "before" if opens is not None and now < opens else "open"


def small_state(snapshot: Snapshot) -> dict[str, Any]:
    """What `GET /api/v1/state` and each event carry: always the whole."""
    results, election = snapshot.results, snapshot.election
    return {
        "network_id": snapshot.network_id,
        "state": snapshot.state,
        "opens": election.definition.opens,
        "closes": election.closes,
        "height": results.height,
        "tip": results.tip,
        "final_height": snapshot.final_height,
        "named": snapshot.named,
        "signed_by": list(snapshot.signed_by),
        "votes": results.votes,
        "registered": results.registered,
        "waiting": results.waiting,
        "nodes_up": snapshot.nodes_up,
        "at": snapshot.at,
        "stale": snapshot.stale,
        "alarm": snapshot.alarm,
    }


def best_first(nodes: Iterable[NodeView]) -> list[NodeView]:
    """The nodes that answer, those first whose chain is signed furthest, then the highest."""
    up = [node for node in nodes if node.up]
    return sorted(up, key=lambda node: (node.final_height or 0, node.height), reverse=True)
