"""How votenet wrote a node's database in its first format, for tests of the upgrade.

What lives here: the statements of that version. What must not: anything of today's storage but its first
migration, which made these tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable

from votenet.core.vote import SealedVote
from votenet.protocol.events import Change, DropVotes, SaveBlock, SaveVotes, SetBest


def write_changes(conn: sqlite3.Connection, changes: Iterable[Change]) -> None:
    for change in changes:
        if isinstance(change, SaveVotes):
            for sealed in change.votes:
                conn.execute(
                    "INSERT OR IGNORE INTO waiting (vote_id, record) VALUES (?, ?)",
                    (sealed.id, sealed.record),
                )
        elif isinstance(change, DropVotes):
            conn.executemany("DELETE FROM waiting WHERE vote_id = ?", [(vote_id,) for vote_id in change.ids])
        elif isinstance(change, SaveBlock):
            records = b",".join(sealed.record for sealed in change.votes)
            conn.execute(
                "INSERT OR IGNORE INTO blocks (hash, height, best, header, records) VALUES (?, ?, 0, ?, ?)",
                (change.entry.hash, change.entry.height, change.entry.header.pack(), records),
            )
        else:
            _set_best(conn, change)


def _set_best(conn: sqlite3.Connection, change: SetBest) -> None:
    conn.execute("UPDATE blocks SET best = 0 WHERE height > ?", (change.fork_height,))
    conn.execute("DELETE FROM voters WHERE height > ?", (change.fork_height,))
    for entry, votes in change.blocks:
        conn.execute("UPDATE blocks SET best = 1 WHERE hash = ?", (entry.hash,))
        conn.executemany(
            "INSERT INTO voters (voter_id, vote_id, height, position, time, choices)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [_voter(sealed, entry.height, position) for position, sealed in enumerate(votes)],
        )


def _voter(sealed: SealedVote, height: int, position: int) -> tuple[object, ...]:
    choices = json.dumps(sealed.vote.choices, separators=(",", ":"), ensure_ascii=False)
    return sealed.voter_id, sealed.id, height, position, sealed.vote.time, choices
