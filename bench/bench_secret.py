"""T17, on a node: the check of a secret ballot, and what libsodium alone takes of it.

A *pair* is a choice of a ballot with the proof that it is zero or one. One thread is timed by its own
processor time. A figure is the best of many short rounds, because neighbours on the same core only ever add
to it; the rounds of all kinds take turns, so that a ratio is of one time. The yardstick is one Ed25519
verify. Two threads are timed by the clock, from the begin of the first to the end of the last. Beside them
stands what two threads of hashlib gain in the same rounds: where that is not near 2, other programs had the
cores.

*libsodium alone* is what the points and factors of a pair take in the C core without Python around it: six
multiplications, two of the base point, five additions. No check over libsodium's functions takes less.

    pytest bench/bench_secret.py --benchmark-only -s
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep, thread_time
from typing import Any

import pytest
from nacl.bindings import crypto_sign, crypto_sign_open, crypto_sign_seed_keypair

from lines import add_line
from support.plain_ballot_check import check_ballot_plainly
from support.secret_elections import SampleElection
from votenet.secret import group
from votenet.secret.ballot import EncryptedBallot, check_ballot
from votenet.secret.definition import HomomorphicQuestion
from votenet.secret.documents import decode
from votenet.secret.elgamal import Encryption
from votenet.secret.group import BASE, Combination, Point, add_pairs, multiply
from votenet.secret.proofs import OneIsZero, claims_hold

native = pytest.importorskip("votenet.secret.native", reason="the C core is not built")

PAIRS = 5
VERIFIES = 20
ROUNDS = 150
TURNS = 600
"""Of one and of two threads."""
BUFFER = bytes(1 << 20)
QUESTION = HomomorphicQuestion(answers=("A", "B", "C", "D", "E"), min=1, max=1, question="Who?")
SAMPLE = SampleElection(random.Random(17), [QUESTION], voters=1, threshold=None, singles=1)
RAW = SAMPLE.ballot_of(0)
BALLOT = decode(RAW, EncryptedBallot, "the ballot")
CHOICES, PROOFS = BALLOT.answers[0].choices, BALLOT.answers[0].individual_proofs
TO_ADD: tuple[list[Point], list[tuple[int, int]]] = (
    [*(choice.beta for choice in CHOICES), multiply(BASE, -1)],
    [(place, PAIRS) for place in range(PAIRS)],
)
"""What the encryptions less one come to."""
KEY, SECRET = crypto_sign_seed_keypair(bytes(32))
SIGNED = crypto_sign(bytes(300), SECRET)


def claims() -> list[OneIsZero]:
    """Of all pairs of the ballot, from its ciphertexts on."""
    about = f"prove|{SAMPLE.election.fingerprint}|{BALLOT.credential.written()}"
    found = []
    for choice, beta, proofs in zip(CHOICES, add_pairs(*TO_ADD), PROOFS, strict=True):
        assert beta is not None
        one = Encryption.of(choice)
        encryptions = [one, Encryption(one.alpha, beta)]
        found.append(OneIsZero(proofs, encryptions, SAMPLE.election.key, f"{about}|{one.written()}|"))
    return found


def check_pairs() -> None:
    assert claims_hold(claims()) == [True] * PAIRS


def check_whole() -> None:
    check_ballot(SAMPLE.election, RAW, SAMPLE.roll)


def check_plainly() -> None:
    """As without the C core and the proofs' check of membership, but for the sum of all choices."""
    check_ballot_plainly(SAMPLE.election, RAW, SAMPLE.roll)


def verify_some() -> None:
    for _ in range(VERIFIES):
        crypto_sign_open(SIGNED, KEY)


def hash_some() -> None:
    """Takes about as long as a ballot; hashlib gives the lock back for each buffer."""
    for _ in range(6):
        hashlib.sha256(BUFFER).digest()


def without_c(work: Callable[[], None]) -> Callable[[], None]:
    """The same work on the Python reference."""

    def run() -> None:
        found, group.native_group = group.native_group, lambda: None  # type: ignore[assignment]
        try:
            work()
        finally:
            group.native_group = found

    return run


def term(one: Combination) -> bytes:
    factors = [factor.to_bytes(32, "little") for factor in (one.exponent, one.other_exponent)]
    return one.base + factors[0] + one.other + factors[1]


TERMS = [term(one) for claim in claims() for one in claim.commitments()]


def libsodium_alone() -> None:
    native.add_pairs(*TO_ADD)
    native.combine(TERMS)


def best_of(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The fewest seconds of processor time of each, which take turns."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            began = thread_time()
            work()
            best[name] = min(best[name], thread_time() - began)
    return best


def test_t17_pair(benchmark: Any) -> None:
    """One core: C, the Python reference, libsodium alone."""
    works: dict[str, Callable[[], object]] = {
        "pairs": check_pairs,
        "pairs in Python": without_c(check_pairs),
        "alone": libsodium_alone,
        "whole": check_whole,
        "whole in Python": without_c(check_whole),
        "plainly": check_plainly,
        "verify": verify_some,
    }
    best = benchmark.pedantic(best_of, args=(works, ROUNDS), rounds=1)
    pair, alone, verify = best["pairs"] / PAIRS, best["alone"] / PAIRS, best["verify"] / VERIFIES
    add_line(benchmark, "T17", "check of a pair, one core", pair * 1e3, "ms", goal=0.45, at_least=False)
    add_line(benchmark, "T17", "a pair, in Ed25519 verifies", pair * 1e3, "ms", ratio=pair / verify)
    add_line(benchmark, "T17", "a pair, libsodium alone", alone * 1e3, "ms", ratio=alone / pair)
    python = best["pairs in Python"] / PAIRS
    add_line(benchmark, "T17", "a pair without the C core", python * 1e3, "ms", ratio=python / pair)
    whole, python = best["whole"], best["whole in Python"]
    add_line(benchmark, "T17", "check of a ballot, 5 candidates", whole * 1e3, "ms", ratio=whole / verify)
    add_line(benchmark, "T17", "the ballot without the C core", python * 1e3, "ms", ratio=python / whole)
    plain = best["plainly"]
    add_line(benchmark, "T17", "it with each point checked alone", plain * 1e3, "ms", ratio=plain / whole)


def test_t17_functions(benchmark: Any) -> None:
    """What each of libsodium's functions takes, called from C: for the count in docs/performance.md."""
    point, other, factor = multiply(BASE, 3**99), multiply(BASE, 5**99), 7**80
    terms = {
        "points": [term(Combination(point, factor, other, factor))] * 8,
        "bases": [term(Combination(BASE, factor, BASE, factor))] * 8,
    }
    works: dict[str, Callable[[], object]] = {
        "points": lambda: native.combine(terms["points"]),
        "bases": lambda: native.combine(terms["bases"]),
        "sums": lambda: native.add_pairs([point, other], [(0, 1)] * 16),
    }
    best = benchmark.pedantic(best_of, args=(works, ROUNDS), rounds=1)
    addition = best["sums"] / 16
    multiplication, of_base = (best[name] / 16 - addition / 2 for name in ("points", "bases"))
    for what, seconds in (("multiplication", multiplication), ("of the base", of_base), ("sum", addition)):
        add_line(benchmark, "T17", f"libsodium: one {what}", seconds * 1e6, "us")
    floor = 6 * multiplication + 2 * of_base + 5 * addition
    add_line(benchmark, "T17", "libsodium: the count of a pair", floor * 1e3, "ms")


def test_t17_two_threads(benchmark: Any) -> None:
    """Whole ballots in two threads beside one; with a call for each point; hashlib in the same way."""
    works: dict[str, Callable[[], object]] = {
        "ballots": check_whole,
        "plainly": check_plainly,
        "hashlib": hash_some,
    }
    best = {(name, threads): float("inf") for name in works for threads in (1, 2)}

    def one(work: Callable[[], object]) -> tuple[float, float]:
        began = perf_counter()
        work()
        return began, perf_counter()

    def measure(pool: ThreadPoolExecutor) -> None:
        for _ in range(TURNS):
            for name, threads in best:
                sleep(0.004)  # who has slept gets a processor at once, also on a busy machine
                spans = list(pool.map(one, [works[name]] * threads))
                seconds = max(ended for _, ended in spans) - min(began for began, _ in spans)
                best[name, threads] = min(best[name, threads], seconds)

    with ThreadPoolExecutor(2) as pool:
        benchmark.pedantic(measure, args=(pool,), rounds=1)
    gain, plain, control = (2 * best[name, 1] / best[name, 2] for name in works)
    add_line(benchmark, "T17", "two threads", 2 / best["ballots", 2], "ballots/s", ratio=gain, goal=1.9)
    add_line(benchmark, "T17", "two threads, each point checked alone", plain, "x one")
    add_line(benchmark, "T17", "two threads of hashlib, the same way", control, "x one")


def test_t17_sums(benchmark: Any) -> None:
    """The encrypted sum of one choice: 1,000 points."""
    points = [multiply(BASE, number) for number in range(2, 1002)]
    works = {"C": lambda: group.add_all(points), "Python": without_c(lambda: group.add_all(points) and None)}
    best = benchmark.pedantic(best_of, args=(works, 20), rounds=1)
    figure = best["C"] / len(points) * 1e6
    add_line(benchmark, "T17", "an addition to a sum", figure, "us", ratio=best["Python"] / best["C"])
