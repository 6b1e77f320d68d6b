"""How often Python looks for garbage in cycles, in a program that holds many records for long.

Reference counting frees nearly everything here at once. By default Python looks for cycles after every
700 new objects that stay, which a line of votes makes several of, and again and again through all records
of the chain: a tenth to a third of the work of a node's loop, and for nothing.
"""

from __future__ import annotations

import gc
from typing import Final

THRESHOLDS: Final = (50_000, 20, 20)
"""New objects until the youngest are looked through, and how many such looks until the older ones are."""


def collect_seldom() -> None:
    """Call once after loading: the garbage collector leaves out all objects made before."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
