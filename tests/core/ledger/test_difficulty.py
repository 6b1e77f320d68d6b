"""Retargeting: the arithmetic, and a chain under load in virtual time."""

from __future__ import annotations

import random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from votenet.core.ledger.difficulty import next_bits
from votenet.core.limits import LONG_GAP, MAX_CLOCK_AHEAD, MAX_RISE, MEDIAN_SPAN
from votenet.core.limits import RETARGET_SPAN as SPAN
from votenet.pow import bits_for_zero_bits, bits_to_target, target_to_bits, work_of

FLOOR = bits_for_zero_bits(27)
HARDER = bits_for_zero_bits(32)


@pytest.mark.parametrize("interval", [1, 7, 600])
def test_a_block_in_time_changes_nothing(interval: int) -> None:
    assert next_bits(HARDER, FLOOR, interval, interval, 0) == HARDER


@pytest.mark.parametrize("interval", [1, 7, 600])
def test_one_long_gap_is_a_pause_and_not_counted(interval: int) -> None:
    for gap in (LONG_GAP * interval + 1, 86_400 * 365):
        assert next_bits(HARDER, FLOOR, interval, gap, interval) == HARDER
        assert next_bits(HARDER, FLOOR, interval, gap, LONG_GAP * interval) == HARDER


def test_two_long_gaps_are_a_network_too_slow_for_its_difficulty() -> None:
    eased = next_bits(HARDER, FLOOR, 1, 500, 500)
    assert eased == next_bits(HARDER, FLOOR, 1, LONG_GAP, 1)
    assert bits_to_target(eased) > bits_to_target(HARDER)


# The formula of docs/protocol.md, worked out by hand: 0x0000ffff << 216 times 47/48 and 57/48.
@pytest.mark.parametrize(
    ("gap", "bits"), [(0, 0x1D00FAA9), (1, 0x1D00FFFF), (2, 0x1D010554), (10, 0x1D012FFE)]
)
def test_vectors(gap: int, bits: int) -> None:
    assert next_bits(0x1D00FFFF, FLOOR, 1, gap, 1) == bits


@given(
    floor=st.integers(1, 248),
    rise=st.integers(1, MAX_RISE),
    interval=st.integers(1, 3600),
    gap=st.integers(0, 2**32),
    gap_before=st.integers(0, 2**32),
)
def test_it_stays_within_its_bounds_and_moves_little_at_a_time(
    floor: int, rise: int, interval: int, gap: int, gap_before: int
) -> None:
    easiest = bits_to_target(bits_for_zero_bits(floor))
    bits = target_to_bits(max(easiest // rise, 1))
    found = next_bits(bits, bits_for_zero_bits(floor), interval, gap, gap_before)
    before, after = bits_to_target(bits), bits_to_target(found)
    hardest = bits_to_target(target_to_bits(max(easiest // MAX_RISE, 1)))
    assert hardest <= after <= easiest
    rounded = 1 - 2**-15  # what a compact target may be below the number that it stands for
    assert (before * (SPAN - 1) // SPAN) * rounded <= after <= before * (SPAN + LONG_GAP - 1) // SPAN + 1


@given(
    floor=st.integers(1, 248).map(bits_for_zero_bits),
    times=st.lists(st.integers(0, 3 * MAX_CLOCK_AHEAD), min_size=250, max_size=250)
    | st.integers(0, 3 * MAX_CLOCK_AHEAD).map(lambda time: [time] * 250),
)
def test_no_times_that_miners_claim_lead_out_of_the_bounds(floor: int, times: list[int]) -> None:
    miners = Miners(0, floor)
    begin = miners.medians[-1]
    for time in times:
        miners.add(max(begin + time, miners.medians[-1]))
    easiest = bits_to_target(floor)
    hardest = bits_to_target(target_to_bits(max(easiest // MAX_RISE, 1)))
    assert all(hardest <= bits_to_target(bits) <= easiest for bits in miners.bits)


def test_the_hardest_target_stays_until_a_block_is_late() -> None:
    hardest = target_to_bits(bits_to_target(FLOOR) // MAX_RISE)
    for gap in (0, 1):
        assert next_bits(hardest, FLOOR, 1, gap, 1) == hardest
    assert bits_to_target(next_bits(hardest, FLOOR, 1, 2, 1)) > bits_to_target(hardest)


@given(
    gaps=st.lists(st.integers(0, 10), min_size=2, max_size=2, unique=True),
    bits=st.integers(28, 32).map(bits_for_zero_bits),
)
def test_a_later_block_is_followed_by_an_easier_one(gaps: list[int], bits: int) -> None:
    sooner, later = (bits_to_target(next_bits(bits, FLOOR, 1, gap, 1)) for gap in sorted(gaps))
    assert sooner < later


@pytest.mark.parametrize("easiest", [1, 2, MAX_RISE - 1, MAX_RISE])
def test_no_target_is_below_one(easiest: int) -> None:
    hardest = 0x01010000
    assert bits_to_target(hardest) == 1
    assert bits_to_target(next_bits(hardest, target_to_bits(easiest), 1, 0, 0)) == 1


class Miners:
    """Blocks found at random by `rate` hashes a second; each time is cut to whole seconds, as in headers."""

    def __init__(self, seed: int, floor: int, interval: int = 1) -> None:
        self.random = random.Random(seed)
        self.floor, self.interval, self.now = floor, interval, 1_700_000_000.0
        self.times: list[int] = [int(self.now)] * MEDIAN_SPAN
        self.medians = [self.times[-1]] * 3
        self.bits = [floor]

    def mine(self, blocks: int, rate: float) -> list[float]:
        """Seconds that each block took."""
        taken = []
        for _ in range(blocks):
            seconds = self.random.expovariate(rate / work_of(self.bits[-1]))
            taken.append(seconds)
            self.now += seconds
            self.add(max(int(self.now), self.medians[-1]))
        return taken

    def burst(self, blocks: int, ahead: int | None) -> None:
        """Blocks of a miner so fast that no time passes: as old as may be, or `ahead` of the clock."""
        for _ in range(blocks):
            self.add(self.medians[-1] if ahead is None else int(self.now) + ahead)

    def add(self, time: int) -> None:
        self.times = [*self.times[-MEDIAN_SPAN + 1 :], time]
        self.medians = [*self.medians[-2:], sorted(self.times)[MEDIAN_SPAN // 2]]
        before, last, newest = self.medians
        self.bits.append(next_bits(self.bits[-1], self.floor, self.interval, newest - last, last - before))

    @property
    def work(self) -> int:
        return work_of(self.bits[-1])


RATE = 20e6
"""Hashes a second of one good core."""
SLOW = bits_for_zero_bits(20)


@pytest.mark.parametrize(("interval", "floor"), [(1, SLOW), (30, bits_for_zero_bits(25))])
def test_under_load_blocks_come_one_an_interval(interval: int, floor: int) -> None:
    miners = Miners(1, floor, interval)
    early = mean(miners.mine(20, RATE))
    assert early < 0.1 * interval, "the floor is far too easy for these miners"
    miners.mine(300, RATE)
    settled = miners.mine(2000, RATE)
    assert 0.9 * interval < mean(settled) < 1.1 * interval


def test_idle_gaps_do_not_lower_the_difficulty() -> None:
    """Bursts of votes with an idle hour after each: the blocks of every burst are as hard as before."""
    miners = Miners(2, SLOW)
    miners.mine(400, RATE)
    for _ in range(40):
        miners.now += 3600
        miners.mine(60, RATE)
    miners.now += 3600
    assert 0.8 < mean(miners.mine(200, RATE)) < 1.2


def test_a_network_that_lost_its_miners_recovers() -> None:
    miners = Miners(3, bits_for_zero_bits(24))
    miners.mine(500, 50 * RATE)
    hard = miners.work
    first = mean(miners.mine(10, RATE))
    assert first > 2 * LONG_GAP, "one fiftieth of the power is left"
    miners.mine(200, RATE)
    assert miners.work < hard / 20
    assert mean(miners.mine(500, RATE)) < 2


def test_early_and_late_times_in_turn_gain_nothing() -> None:
    """A miner of every block writes the earliest time allowed, and the true one, in turn."""
    honest, cheat = Miners(4, SLOW), Miners(4, SLOW)
    honest.mine(1500, RATE)
    for block in range(1500):
        cheat.now += cheat.random.expovariate(RATE / cheat.work)
        cheat.add(max(int(cheat.now), cheat.medians[-1]) if block % 2 else cheat.medians[-1])
    assert cheat.work > honest.work / 2


@pytest.mark.parametrize("ahead", [None, 0, MAX_CLOCK_AHEAD])
@pytest.mark.parametrize("floor", [20, 24])
@pytest.mark.parametrize("seed", range(3))
def test_after_a_burst_a_slow_network_makes_blocks_at_once_and_is_soon_at_its_pace(
    seed: int, floor: int, ahead: int | None
) -> None:
    """One core goes on after a miner that is as fast as it likes, whatever times that one has written."""
    miners = Miners(seed, bits_for_zero_bits(floor))
    miners.mine(100, RATE)
    miners.burst(2000, ahead)
    assert miners.work < 1.001 * MAX_RISE * 2**floor
    usual = max(2**floor / RATE, 1.0)
    # 1. At once: no block takes longer than MAX_RISE of the first ones, on average.
    stalled = miners.mine(MEDIAN_SPAN, RATE)
    assert mean(stalled) < 2.5 * MAX_RISE * usual
    # 2. Written ahead of time, blocks seem to come at once until the clock has caught up. Then, or now, the
    #    median has half its span to go, and each late block makes the next one easier by up to 9/48.
    while miners.now < miners.medians[-1]:
        miners.mine(1, RATE)
    miners.mine(MEDIAN_SPAN, RATE)
    caught_up = miners.now
    miners.mine(40, RATE)
    assert miners.now - caught_up < 15 * MAX_RISE * usual
    assert mean(miners.mine(100, RATE)) < 2 * usual


def test_bursts_again_and_again_stop_nobody_either() -> None:
    miners = Miners(5, bits_for_zero_bits(24))
    for _ in range(20):
        miners.burst(300, None)
        began = miners.now
        miners.mine(10, RATE)
        assert miners.now - began < 10 * 2.5 * MAX_RISE * 2**24 / RATE
