"""A wire keeps the order of its lines, waits for a paused end, and is silent when it is cut."""

from __future__ import annotations

from typing import Any, cast

from support.elections import CREATED, make_election
from support.simulated_link import SimulatedLink
from support.simulated_network import SimulatedNetwork
from votenet.errors import VotenetError
from votenet.network.transport import Link


class End:
    """Records what one end of a wire is told."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = 0

    def link_opened(self, link: Link) -> None:
        return None

    def line_received(self, link: Link, line: bytes) -> None:
        self.lines.append(line)

    def link_closed(self, link: Link, reason: VotenetError | None) -> None:
        self.closed += 1


def wire(seed: int = 1, **luck: Any) -> tuple[SimulatedNetwork, SimulatedLink, SimulatedLink, End, End]:
    network = SimulatedNetwork(make_election(), seed=seed, start=CREATED, **luck)
    ends = End(), End()
    near = SimulatedLink(network, ends[0], "near", outbound=True)
    far = SimulatedLink(network, ends[1], "far", outbound=False)
    near.other, far.other = far, near
    return network, near, far, *ends


def test_lines_arrive_in_order_though_packets_are_lost() -> None:
    network, near, _, _, end = wire(lost=0.5)
    sent = [b"%d" % number for number in range(50)]
    for line in sent:
        near.send_line(line)
    network.run(120.0)
    assert end.lines == sent


def test_a_paused_end_gets_its_lines_when_it_goes_on() -> None:
    network, near, far, _, end = wire()
    far.pause()
    near.send_line(b"one")
    near.send_line(b"two")
    network.run(5.0)
    assert end.lines == []
    far.resume()
    assert end.lines == [b"one", b"two"]


def test_both_ends_are_told_once_that_a_wire_is_closed_after_its_last_line() -> None:
    network, near, _, ours, theirs = wire()
    near.close(b"bye")
    network.run(10.0)
    assert theirs.lines == [b"bye"]
    assert (ours.closed, theirs.closed) == (1, 1)


def test_nothing_arrives_over_a_silent_wire_and_no_end_is_told() -> None:
    network, near, far, ours, theirs = wire()
    near.fall_silent()
    near.send_line(b"lost")
    far.send_line(b"lost")
    network.run(60.0)
    assert (ours.lines, theirs.lines, ours.closed, theirs.closed) == ([], [], 0, 0)


def test_a_refusal_is_recorded_with_the_side_that_refused() -> None:
    from votenet.errors import RemoteProtocolError

    network, near, _, _, end = wire()
    near.refuse(RemoteProtocolError("bad-json", "no JSON"))
    network.run(10.0)
    assert [tuple(refusal) for refusal in network.refusals] == [("near", "bad-json")]
    assert cast(bytes, end.lines[0]).startswith(b'{"error"')


def test_the_links_of_each_network_are_numbered_anew() -> None:
    """They are part of what a node decides: without this a history depends on those before it."""
    assert [link.id for link in wire()[1:3]] == [link.id for link in wire()[1:3]] == [1, 2]
