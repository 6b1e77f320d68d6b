"""`votenet top --network`: pictures of a network that is found from any machine."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from typing import Final

from votenet.cli.network.finality_view import named_up, of_answers
from votenet.cli.network.network_status import node_state
from votenet.cli.network.top import NodeLine, Rates, TopSnapshot, certified, first_results, said_by
from votenet.cli.where import look_again
from votenet.client.failover import ask_each
from votenet.client.network_view import NetworkView, SeenNode, WayIn
from votenet.errors import Unreachable, VotenetError
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus

FIND_SECONDS: Final = 15.0
"""Between two looks for nodes that are new, or come back; those that are known are asked each time."""
ANSWER_SECONDS: Final = 10.0


class NetworkWatch:
    """Looks at one network again and again.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, way: WayIn, clock: Callable[[], float] = time.monotonic) -> None:
        self._way, self._clock, self._rates = way, clock, Rates()
        self._view: NetworkView | None = None
        self._find_at = 0.0

    def look(self) -> TopSnapshot:
        """What is so now."""
        if self._view is None or self._clock() >= self._find_at:
            self._view = look_again(self._way)
            self._find_at = self._clock() + FIND_SECONDS
        else:
            self._view = asyncio.run(_asked_again(self._view))
        return self._picture(self._view)

    def _picture(self, view: NetworkView) -> TopSnapshot:
        now = self._clock()
        self._rates.keep({_key(node) for node in view.answering})
        nodes = tuple(self._line(node, now) for node in view.nodes)
        believed = [node.status for node in view.believed if node.status is not None]
        asked = [node.address for node in view.believed if node.address is not None]
        shown = zip(view.nodes, nodes, strict=True)
        rates = [line.votes_per_second for node, line in shown if node in view.believed]
        return TopSnapshot(
            instance=view.election.definition.title,
            nodes=nodes,
            results=first_results(asked),
            votes_per_second=max((rate for rate in rates if rate is not None), default=None),
            agree=len({status.tip for status in believed}) <= 1,
            final_height=certified(believed),
            lies=tuple(dict.fromkeys(lie for status in believed for lie in status.lies)),
            named_nodes=named_up(of_answers(believed, ())),
            network_id=view.election.network_hex,
        )

    def _line(self, node: SeenNode, now: float) -> NodeLine:
        where = "-" if node.address is None else str(node.address)
        line = NodeLine(node.name, node_state(node), where, clock_offset=node.ahead)
        if node.status is None:
            return line
        told = said_by(node.status, self._rates.rates(_key(node), node.status, now))
        return dataclasses.replace(line, cut_off=node.status.cut_off or None, **told)


def _key(node: SeenNode) -> str:
    return node.node_key or str(node.address)


async def _asked_again(view: NetworkView) -> NetworkView:
    """The same nodes with what they say now. One with another key is no longer the same."""
    asked = [node.address for node in view.answering if node.address is not None]
    answers = dict(
        await ask_each(asked, lambda node: node.ask(GetStatus(), NodeStatus, timeout=ANSWER_SECONDS))
    )

    def now(node: SeenNode) -> SeenNode:
        if node.address not in answers:
            return node
        answer = answers[node.address]
        if isinstance(answer, VotenetError):
            return dataclasses.replace(node, status=None, error=answer)
        if (answer.network_id, answer.node_key) != (
            view.election.network_hex,
            node.node_key or answer.node_key,
        ):
            moved = Unreachable(f"another node answers at {node.address} now", code="other-key")
            return dataclasses.replace(node, status=None, error=moved)
        return dataclasses.replace(node, status=answer)

    return dataclasses.replace(view, nodes=tuple(map(now, view.nodes)))
