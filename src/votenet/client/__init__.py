"""The public Python API: connect to an election, cast votes, ask for results and proofs, watch.

    with votenet.connect("host:3000") as election:
        print(election.cast("voter123", "Alice"))

`api.py` lists the names, `docs/client.md` explains them. They are loaded when they are used: commands that
need one module of this package start without the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from votenet.client.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    from importlib import import_module

    return getattr(import_module("votenet.client.api"), name)
