"""What lines and requests cost, and how much a link and an address may spend.

What lives here: the table of costs and the rates. What must not: clocks, buckets (`token_bucket.py`),
what happens to those who spend too much (`network/guard.py`).

A unit is about a tenth of a millisecond of one core. The rates are far above what an election asks
for: a replay of a city's 80,000 ballots from one address, or a hall of 500 voters behind one, each
asking 25 times a second whether the vote is counted, meets none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from votenet.protocol.messages import (
    GetBlocks,
    GetBlockVotes,
    GetHeaders,
    GetProof,
    Message,
    RequestBlockchain,
    SubmitVotes,
)

LINE_UNITS: Final = 2.0
"""Any line: framing, parsing, an answer of a few hundred bytes."""
VOTE_UNITS: Final = 1.0
"""One signature checked."""
BAD_SIGNATURE_UNITS: Final = 50.0
"""A signature that does not hold: no honest program sends one, and its sender made the work in vain."""
EXPENSIVE_UNITS: Final[dict[type, float]] = {
    GetHeaders: 50.0,  # 320 KB of text
    GetProof: 50.0,  # the votes of a block from the disk, and their Merkle path
    RequestBlockchain: 5000.0,  # up to 20,000 votes from the disk, in base64
}
BLOCK_UNITS: Final = 4.0
"""One block from the disk."""


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
    if isinstance(message, SubmitVotes):
        return LINE_UNITS + VOTE_UNITS * len(message.votes)
    if isinstance(message, GetBlockVotes):
        return LINE_UNITS + BLOCK_UNITS
    if isinstance(message, GetBlocks):
        return LINE_UNITS + BLOCK_UNITS * len(message.hashes)
    return LINE_UNITS + EXPENSIVE_UNITS.get(type(message), 0.0)
