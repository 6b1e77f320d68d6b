"""Whoever floods a node with peers pushes out his own."""

from __future__ import annotations

import random

from votenet.protocol.eviction import KEPT_OLDEST, Inbound, worst_of

SECRET = b"secret"


def peers(prefix: str, count: int, *, first: int, since: float) -> list[Inbound]:
    return [Inbound(first + n, f"{prefix}.{n % 250 + 1}", since + n) for n in range(count)]


def test_s15_the_youngest_of_the_largest_network_goes() -> None:
    honest = [Inbound(n, f"10.{n}.0.1", float(n)) for n in range(40)]
    crowd = peers("66.6.6", 60, first=100, since=50.0)
    assert worst_of([*honest, *crowd], SECRET) == 159


def test_s15_a_newcomer_from_a_quiet_network_is_let_in_for_one_of_the_crowd() -> None:
    crowd = peers("66.6.6", 255, first=100, since=0.0)
    assert worst_of([*crowd, Inbound(1, "10.1.0.1", 999.0)], SECRET) == 354


def test_s15_a_flood_from_a_thousand_networks_does_not_push_out_those_who_were_there_before() -> None:
    here = [Inbound(n, f"10.{n}.0.1", float(n)) for n in range(KEPT_OLDEST)]
    dice, sitting = random.Random(7), list(here)
    for n in range(1000):
        sitting.append(Inbound(1000 + n, f"{dice.randint(20, 220)}.{dice.randint(0, 255)}.0.1", 100.0 + n))
        if len(sitting) > 256:
            worst = worst_of(sitting, SECRET)
            assert worst is not None
            sitting = [peer for peer in sitting if peer.link != worst]
    assert set(here) <= set(sitting)


def test_few_peers_are_all_kept() -> None:
    assert worst_of([Inbound(1, "10.0.0.1", 0.0)], SECRET) is None
