"""What lines and requests cost, and how much a link and an address may spend.

What lives here: the table of costs and the rates. What must not: clocks, buckets (`token_bucket.py`),
what happens to those who spend too much (`network/guard.py`).

A unit is about a tenth of a millisecond of one core, in the core's thread or in another. What it buys stands
in the first table; tests count what each question makes a node do, and compare it with its price. What an
answer costs that is longer, or needs more, than most is charged when it is given.

The rates are far above what an election asks for: a replay of a city's 80,000 ballots from one address, or a
hall of 500 voters behind one, each asking 25 times a second whether the vote is counted, meets none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from votenet.core.mempool import SHORT_ID
from votenet.protocol.messages import (
    CompactBlock,
    GetBlocks,
    GetBlockVotes,
    GetProof,
    GetVotes,
    HaveVotes,
    Headers,
    Message,
    RequestBlockchain,
    SubmitVotes,
    Votes,
)

HASHES_IN_UNIT: Final = 100
"""SHA-256 of a record or of two hashes."""
ROWS_IN_UNIT: Final = 16
"""Rows of a table, of up to 12 KB of records."""
BYTES_READ_IN_UNIT: Final = 128 * 1024
"""Bytes of records taken apart, or encoded."""
BYTES_SENT_IN_UNIT: Final = 8 * 1024
"""Bytes of an answer: joined and copied at most twice; an address gets 80 MB a second at most."""

LINE_UNITS: Final = 2.0
"""Any line: framing, parsing, an answer of up to BYTES_SENT_IN_UNIT bytes."""
VOTE_UNITS: Final = 1.0
"""One signature checked, or one vote of the same voter found on the chain."""
BAD_SIGNATURE_UNITS: Final = 50.0
"""A signature that does not hold: no honest program sends one, and its sender made the work in vain."""
LEVELS_UNITS: Final = 0.04
"""For each vote of a block whose Merkle levels were not kept: two hashes, its share of a row."""
SHORT_IDS_IN_UNIT: Final = 50
"""Short ids looked up, noted as asked for, or answered with a vote."""
HEADERS_IN_UNIT: Final = 10
"""Headers checked and put into the tree."""
CHAIN_UNITS: Final = 0.25
"""For each vote of the chain that is put into the reference client's form."""
EXPENSIVE_UNITS: Final[dict[type, float]] = {
    GetProof: 4.0,  # a row of votes, its hashes
    RequestBlockchain: 500.0,  # the line is made once for a tip, but has up to 10 MB
}
BLOCK_UNITS: Final = 4.0
"""One block looked for."""

POSITIONS_IN_UNIT: Final = 500
"""Positions in a block, compared and looked up."""


def sent_units(size: int) -> float:
    """What an answer of so many bytes costs beyond what LINE_UNITS pays for."""
    return max(size - BYTES_SENT_IN_UNIT, 0) / BYTES_SENT_IN_UNIT


@dataclass(frozen=True, slots=True)
class Rates:
    """What one link may cost, on average and at once. Over it the link is not read for a while."""

    units_per_second: float
    units_at_once: float
    bytes_per_second: float
    bytes_at_once: float


CLIENT_RATES: Final = Rates(10_000.0, 50_000.0, 8 * 2**20, 32 * 2**20)
PEER_RATES: Final = Rates(20_000.0, 200_000.0, 64 * 2**20, 256 * 2**20)
"""Above what a peer sends and asks while one of the two catches up: 64 MiB are 150,000 votes."""

ADDRESS_UNITS_PER_SECOND: Final = CLIENT_RATES.units_per_second
ADDRESS_UNITS_AT_ONCE: Final = CLIENT_RATES.units_at_once
ADDRESS_BYTES_PER_SECOND: Final = CLIENT_RATES.bytes_per_second
ADDRESS_BYTES_AT_ONCE: Final = CLIENT_RATES.bytes_at_once
"""All strangers of one address together: as much as one link, however many they open."""
PATIENCE_SECONDS: Final = 5.0
"""An address that is so far in debt is refused instead of read later: rate-limited."""
CONNECTIONS_PER_SECOND: Final = 50.0
CONNECTIONS_AT_ONCE: Final = 1500.0
"""New connections of one address."""


def units(message: Message) -> float:
    """What a request costs the address that it comes from."""
    if isinstance(message, HaveVotes | GetVotes | CompactBlock):
        return LINE_UNITS + len(message.ids) / SHORT_ID / SHORT_IDS_IN_UNIT
    if isinstance(message, Headers):
        return LINE_UNITS + len(message.headers) / HEADERS_IN_UNIT
    if isinstance(message, SubmitVotes | Votes):
        return LINE_UNITS + VOTE_UNITS * len(message.votes)
    if isinstance(message, GetBlockVotes):
        return LINE_UNITS + BLOCK_UNITS + len(message.positions) / POSITIONS_IN_UNIT
    if isinstance(message, GetBlocks):
        return LINE_UNITS + BLOCK_UNITS * len(message.hashes)
    return LINE_UNITS + EXPENSIVE_UNITS.get(type(message), 0.0)
