"""The memory limit for itself: it closes enough, and those of the heaviest address first."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from votenet.errors import VotenetError
from votenet.network.node.backpressure import OpenLink
from votenet.network.node.memory_limit import MEASURE_BYTES, MemoryLimit


class Held:
    """The part of an open link that the limit looks at."""

    host, port = "192.0.2.1", 1

    def __init__(self, memory: int, crowd: str, *, peer: bool = False, outbound: bool = False) -> None:
        self.memory, self.crowd, self.is_peer, self.outbound = memory, crowd, peer, outbound
        self.link = self
        self.codes: list[str] = []

    def evict(self, error: VotenetError) -> None:
        self.codes.append(error.code)


def limit(links: list[Held], most: int, most_of_strangers: int) -> MemoryLimit:
    table = cast(dict[int, OpenLink], dict[int, Any](enumerate(links)))
    return MemoryLimit(table, most, most_of_strangers)


def kept(links: list[Held]) -> list[Held]:
    return [link for link in links if not link.codes]


@given(
    sizes=st.lists(st.tuples(st.integers(0, 500), st.sampled_from("abc"), st.booleans()), max_size=30),
)
def test_what_is_kept_fits_and_nothing_is_closed_without_need(sizes: list[tuple[int, str, bool]]) -> None:
    links = [Held(size, crowd, peer=peer) for size, crowd, peer in sizes]
    limit(links, 2000, 1000).enforce()
    strangers = [link for link in links if not link.is_peer]
    assert sum(link.memory for link in kept(strangers)) <= 1000
    assert sum(link.memory for link in kept(links)) <= 2000
    if sum(link.memory for link in strangers) <= 1000:
        assert kept(strangers) == strangers
    assert {code for link in links for code in link.codes} <= {"busy"}


def test_a_crowd_of_small_links_goes_before_one_larger_link_and_those_we_dialled_go_last() -> None:
    crowd = [Held(100, "crowd") for _ in range(8)]
    single, ours = Held(300, "single"), Held(900, "ours", outbound=True)
    limit([ours, single, *crowd], 10_000, 1900).enforce()
    assert not single.codes
    assert not ours.codes
    assert sum(bool(link.codes) for link in crowd) == 6


def test_bytes_that_move_are_measured_now_and_then() -> None:
    link = Held(500, "a")
    memory = limit([link], 10_000, 100)
    memory.moved(MEASURE_BYTES)
    assert not link.codes
    memory.moved(1)
    assert link.codes == ["busy"]
