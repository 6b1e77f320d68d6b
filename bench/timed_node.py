"""`votenet node`, which also writes down when it found nonces, and when it saved what named nodes sign.

    BENCH_TIMES=FILE python timed_node.py node --data-dir …

A line of FILE has what happened, of what, and when, by the clock that all processes of a machine share:

    nonce HASH TIME          a nonce was found: the block with this hash has it
    block HEIGHT HASH TIME   the block was decided, and is on the disk
    certificate HEIGHT TIME  a certificate of the log up to this block is on the disk
    list TIME                our closing list is on the disk, and will be sent
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from votenet.network.node import service
from votenet.network.node.miner import Found, NonceSearcher
from votenet.protocol.node.events import Change, SaveCertificate, SaveHours, SetBest, Template
from votenet.protocol.node.signed_hours import SavedHours
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore


def read_times(path: Path) -> list[list[str]]:
    """The lines of a node's file, each split into its words."""
    return [line.split() for line in path.read_text().splitlines()]


def note(*words: object) -> None:
    line = " ".join(map(str, (*words, time.monotonic()))) + "\n"
    os.write(_file, line.encode())


class TimedMiner(NonceSearcher):
    """Notes each nonce in the thread that finds it."""

    def __init__(self, found: Found, *options: Any) -> None:
        def noted(template: int, nonce: int | None) -> None:
            if nonce is not None:
                note("nonce", self._templates[template].header._replace(nonce=nonce).hash.hex())
            found(template, nonce)

        super().__init__(noted, *options)
        self._templates: dict[int, Template] = {}

    def mine(self, template: Template | None) -> None:
        if template is not None:
            self._templates[template.id] = template
        super().mine(template)


_apply = SqliteBlockStore.apply


def apply_and_note(self: SqliteBlockStore, changes: Sequence[Change]) -> None:
    _apply(self, changes)
    for change in changes:
        if isinstance(change, SetBest):
            for entry, _ in change.blocks:
                note("block", entry.height, entry.hash.hex())
        elif isinstance(change, SaveCertificate):
            note("certificate", change.height)
        elif isinstance(change, SaveHours) and any(
            signed.list for signed in msgspec.json.decode(change.state, type=list[SavedHours])
        ):
            note("list")


if __name__ == "__main__":
    _file = os.open(os.environ["BENCH_TIMES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    service.NonceSearcher = TimedMiner  # type: ignore[misc]
    SqliteBlockStore.apply = apply_and_note  # type: ignore[method-assign]
    from votenet.__main__ import main

    main()
