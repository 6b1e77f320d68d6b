"""The miner's thread: it finds, stops, changes over and ends, told by events and never by a clock."""

from __future__ import annotations

import os
import queue
import threading

import pytest

from support.elections import EASY_BITS, make_election, make_votes
from votenet.core.ledger.block import Header, genesis_header, votes_root
from votenet.network.node import miner as miner_module
from votenet.network.node.miner import NAMED_NICENESS, NICENESS, NonceSearcher
from votenet.pow import bits_to_target, meets
from votenet.protocol.node.events import Template

IMPOSSIBLE = 0x03000001
"""The target 1: no search will ever meet it."""
PATIENCE = 60.0


def template(number: int, bits: int) -> Template:
    election = make_election()
    votes = tuple(make_votes(election, 1))
    genesis = genesis_header(election)
    return Template(number, Header(1, genesis.hash, votes_root(votes), genesis.time, bits, 0), votes)


class Found:
    """What a miner found, from its thread."""

    def __init__(self) -> None:
        self.results: queue.Queue[tuple[int, int | None]] = queue.Queue()

    def __call__(self, number: int, nonce: int | None) -> None:
        self.results.put((number, nonce))

    def next(self) -> tuple[int, int | None]:
        return self.results.get(timeout=PATIENCE)


def test_it_finds_a_nonce_that_meets_the_target() -> None:
    found = Found()
    with NonceSearcher(found) as miner:
        for number in range(3):
            wanted = template(number, EASY_BITS)
            miner.mine(wanted)
            got, nonce = found.next()
            assert got == number
            assert nonce is not None
            assert meets(wanted.header._replace(nonce=nonce).hash, bits_to_target(EASY_BITS))


def test_a_new_template_takes_the_place_of_a_hopeless_one() -> None:
    found = Found()
    with NonceSearcher(found) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        miner.mine(template(2, EASY_BITS))
        assert found.next()[0] == 2
    assert found.results.empty()


def test_a_search_that_is_under_way_ends_when_something_else_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    searching: queue.Queue[int] = queue.Queue()
    real = miner_module.search

    def watched(header: bytes, target: int, start: int, count: int, kernel: str | None) -> int | None:
        searching.put(target)
        return real(header, target, start, count, kernel=kernel)

    monkeypatch.setattr(miner_module, "search", watched)
    found = Found()
    with NonceSearcher(found) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        assert searching.get(timeout=PATIENCE) == 1
        miner.mine(template(2, EASY_BITS))
        assert found.next()[0] == 2
        while not searching.empty():
            last = searching.get()
        assert last == bits_to_target(EASY_BITS)


def test_nothing_is_searched_when_nothing_is_wanted() -> None:
    found = Found()
    with NonceSearcher(found) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        miner.mine(None)
        miner.mine(template(2, EASY_BITS))
        assert found.next()[0] == 2
    assert found.results.empty()


def test_a_range_without_a_good_nonce_is_reported_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miner_module, "NONCES", 10_000)
    found = Found()
    with NonceSearcher(found) as miner:
        miner.mine(template(7, IMPOSSIBLE))
        assert found.next() == (7, None)
        miner.mine(template(8, EASY_BITS))
        assert found.next()[0] == 8


def test_an_exhausted_range_was_searched_once_and_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miner_module, "NONCES", 10_000)
    searched: list[int] = []

    def none(header: bytes, target: int, start: int, count: int, kernel: str | None) -> int | None:
        searched.extend(range(start, start + count))
        return None

    monkeypatch.setattr(miner_module, "search", none)
    found = Found()
    with NonceSearcher(found) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        assert found.next() == (1, None)
    assert sorted(searched) == list(range(10_000))


def test_it_ends_in_the_middle_of_a_hopeless_search() -> None:
    with NonceSearcher(Found()) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        assert any(thread.name.startswith("miner-") for thread in threading.enumerate())
    assert not any(thread.name.startswith("miner-") for thread in threading.enumerate())


def test_several_threads_search_the_range_once_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miner_module, "NONCES", 50_000)
    searched: queue.Queue[range] = queue.Queue()

    def none(header: bytes, target: int, start: int, count: int, kernel: str | None) -> int | None:
        searched.put(range(start, start + count))
        return None

    monkeypatch.setattr(miner_module, "search", none)
    found = Found()
    with NonceSearcher(found, threads=3) as miner:
        miner.mine(template(1, IMPOSSIBLE))
        assert found.next() == (1, None)
    pieces = sorted((searched.get() for _ in range(searched.qsize())), key=lambda piece: piece.start)
    assert [nonce for piece in pieces for nonce in piece] == list(range(50_000))
    assert found.results.empty()


def test_several_threads_report_a_find_once() -> None:
    found = Found()
    with NonceSearcher(found, threads=4) as miner:
        for number in range(20):
            miner.mine(template(number, EASY_BITS))
            assert found.next()[0] == number
    assert found.results.empty()


@pytest.mark.parametrize("threads", [0, -1, 1000])
def test_an_impossible_number_of_threads_is_refused(threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        NonceSearcher(Found(), threads=threads)


def test_a_nonce_for_an_old_template_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search that was under way goes on to its end, and the new one with it."""
    started, go_on, told = threading.Event(), threading.Event(), threading.Event()

    def slow(header: bytes, target: int, start: int, count: int, kernel: str | None) -> int | None:
        if target != bits_to_target(EASY_BITS):
            assert told.wait(60)
            return 7
        started.set()
        assert go_on.wait(60)
        return start

    monkeypatch.setattr(miner_module, "search", slow)
    found = Found()
    with NonceSearcher(found, threads=2) as miner:
        miner.mine(template(1, EASY_BITS))
        assert started.wait(60)
        miner.mine(template(2, IMPOSSIBLE))
        go_on.set()
        number, nonce = found.next()
        assert (number, nonce is None) == (1, False)
        told.set()
        assert found.next() == (2, 7)
    assert found.results.empty()


@pytest.mark.parametrize("niceness", [NICENESS, NAMED_NICENESS])
def test_threads_are_as_nice_as_asked_and_never_less_than_the_program(niceness: int) -> None:
    seen: queue.Queue[int] = queue.Queue()

    def found(number: int, nonce: int | None) -> None:
        seen.put(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    with NonceSearcher(found, niceness=niceness) as miner:
        miner.mine(template(1, EASY_BITS))
        assert seen.get(timeout=PATIENCE) == max(niceness, os.getpriority(os.PRIO_PROCESS, os.getpid()))
