"""Which histories a simulation plays: the first of `SIM_SEEDS=1000`, or `SIM_SEED=7`, or `SIM_SEED=10-19`."""

from __future__ import annotations

import os


def seeds(kind: str, usual: int) -> range:
    """The seeds that the environment asks for, or else the first `usual` ones; `kind` as in SIM_SEED."""
    if wanted := os.environ.get(f"{kind}_SEED"):
        first, _, last = wanted.partition("-")
        return range(int(first), int(last or first) + 1)
    return range(int(os.environ.get(f"{kind}_SEEDS", str(usual))))
