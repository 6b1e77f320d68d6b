"""Cycles are still collected, only more seldom, and objects loaded before are left alone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import gc, weakref
from votenet.network.collector import THRESHOLDS, collect_seldom

class Ring:
    pass

def ring():
    made = Ring()
    made.itself = made
    return weakref.ref(made)

collect_seldom()
assert gc.get_threshold() == THRESHOLDS
assert gc.get_freeze_count() > 1000
lost = ring()
kept = [[] for _ in range(2 * THRESHOLDS[0])]
assert lost() is None, "a cycle outlived twice the threshold"
"""


def test_cycles_are_collected_all_the_same() -> None:
    # In a process of its own: it is for the whole program.
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=150)
