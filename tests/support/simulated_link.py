"""One end of a wire between two simulated nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, cast

from votenet.errors import VotenetError
from votenet.network.transport import LINGER_SECONDS, Link, LinkHandler, error_line


class Wires(Protocol):
    """What a wire asks of its network: the time, the schedule, and luck."""

    now: float
    link_ids: Iterator[int]
    refusals: list[Refusal]

    def at(self, time: float, act: Callable[[], None]) -> None: ...

    def later(self, delay: float, act: Callable[[], None]) -> None: ...

    def delay_on(self, link: SimulatedLink, line: bytes) -> float: ...

    def copies_of(self, line: bytes) -> int: ...


class Refusal(NamedTuple):
    """A link that one side refused: by whom (a node's name), and the code."""

    by: str
    code: str


class SimulatedLink:
    """One end of a wire; has what a LinkTable needs of `transport.Link`."""

    def __init__(self, network: Wires, handler: LinkHandler, owner: str, *, outbound: bool) -> None:
        self.id = next(network.link_ids)
        self.local = "" if outbound else owner
        self.dialled: tuple[str, ...] = ()
        self.handler, self.owner, self.outbound = handler, owner, outbound
        self.host, self.port = "memory", 0
        self.held, self.owes = 0, False
        self.other: SimulatedLink = self
        self.closing = self.silent = False
        self.bytes_sent = self.bytes_received = 0
        self._network = network
        self._ended = self._paused = False
        self._held: deque[bytes] = deque()
        self._last_arrival = 0.0

    # -- what a LinkTable calls ----------------------------------------------------------------

    def send_line(self, line: bytes) -> None:
        if not self.closing:
            self.bytes_sent += len(line) + 1
            for _ in range(self._network.copies_of(line)):
                self._after_all_lines(lambda: self.other.arrive(line), line)

    def answer(self, line: bytes) -> None:
        self.send_line(line)

    def expect_answer(self) -> None:
        """Half-closed connections are not simulated."""

    def close(self, final_line: bytes | None = None) -> None:
        if final_line is not None:
            self.send_line(final_line)
        if not self.closing:
            self._after_all_lines(self.end_both)
            self.closing = True
            self._network.later(LINGER_SECONDS, self.abort)

    def refuse(self, error: VotenetError) -> None:
        if not self.closing:
            self._network.refusals.append(Refusal(self.owner, error.code))
        self.close(error_line(error))

    def abort(self) -> None:
        self.closing = True
        self._network.later(0.0, self.end if self.silent else self.end_both)

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        while self._held and not self._paused:
            self._hand_out(self._held.popleft())

    def evict(self, error: VotenetError) -> None:
        self.refuse(error)

    def allow_lines_of(self, max_line: int) -> None:
        """Lines have no limit here."""

    # -- the wire ------------------------------------------------------------------------------

    def arrive(self, line: bytes) -> None:
        self.bytes_received += len(line) + 1
        if self._paused or self._held:
            self._held.append(line)
        else:
            self._hand_out(line)

    def end(self) -> None:
        """This end hears that the wire is gone; once."""
        self.closing = True
        if not self._ended:
            self._ended = True
            self.handler.link_closed(cast(Link, self), None)

    def end_both(self) -> None:
        self.end()
        self.other.end()

    def die(self) -> None:
        """The process at this end is killed: it hears nothing; the kernel still sends what it was given."""
        self.closing = self.other.silent = True
        self._after_all_lines(self.end_both)

    def fall_silent(self) -> None:
        """From now on nothing arrives, and neither end is told: a cable pulled out far away."""
        self.silent = self.other.silent = True

    @property
    def ended(self) -> bool:
        return self._ended

    def _hand_out(self, line: bytes) -> None:
        if not self.closing:
            self.handler.line_received(cast(Link, self), line)

    def _after_all_lines(self, act: Callable[[], None], line: bytes = b"") -> None:
        """Lines keep their order, whatever the delay of each."""
        arrival = self._network.now + self._network.delay_on(self, line)
        self._last_arrival = max(arrival, self._last_arrival)
        self._network.at(self._last_arrival, lambda: None if self.silent else act())
