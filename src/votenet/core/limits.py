"""The limits of an election's records: every number that two readers of a chain must agree on.

The tables of docs/audit.md list the same names with the same values, and so does the second verifier,
which shares no code: `tests/core/test_limits.py` compares all three.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

# -- the definition --------------------------------------------------------------------------------

Method = Literal["plurality", "approval", "instant-runoff"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
"""How ballots may be counted."""
MAX_NAME: Final = 200
"""Characters of a title or a candidate: enough for a name with titles and a party."""
MAX_CANDIDATES: Final = 1000
"""Enough for an open list; keeps the definition and every results line small."""
MAX_CHOICES: Final = 64
"""Ranks on one ballot; the longest real ranked ballots have about 40."""
MAX_BLOCK_VOTES: Final = 20_480
"""What a network on two busy cores accepts in some seconds: there the search for a nonce, which goes
behind the checking of votes, takes as long, and each block costs another search."""
MAX_BLOCK_SECONDS: Final = 3600
"""An hour between blocks: longer than a voter would wait for a receipt."""
MAX_U32: Final = 2**32 - 1
"""Largest number in a header's field: a time in Unix seconds, compact bits."""

# -- votes -----------------------------------------------------------------------------------------

MAX_VOTER_ID: Final = 128
"""Characters of a voter id: a membership number, an e-mail address, a hash."""
MAX_VOTE_BYTES: Final = 16 * 1024
"""One record: 64 choices of 200 characters fit when they are ASCII."""

# -- blocks ----------------------------------------------------------------------------------------

HEADER_BYTES: Final = 80
BLOCK_VERSION: Final = 1
MAX_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""Sum of the records of one block: keeps a block on one line of bounded length."""
MAX_CLOCK_AHEAD: Final = 2 * 60 * 60
"""Seconds that a vote or a block may be ahead of this machine's clock (Bitcoin's rule)."""

# -- difficulty ------------------------------------------------------------------------------------

MEDIAN_SPAN: Final = 11
"""Blocks in a median time (Bitcoin's rule)."""
RETARGET_SPAN: Final = 48
"""Blocks over which an error is spread. More would follow slower, fewer would shake more: with blocks
found at random the difficulty wanders about 10 % around its mean."""
LONG_GAP: Final = 10
"""Intervals from which on a gap is long. Of blocks found at random at the right difficulty, 1 in 22,000
takes longer."""

# -- files -----------------------------------------------------------------------------------------

MAX_ARCHIVE_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line of an archive: the largest block (8 MiB of records) with its envelope, twice over."""
MAX_RECEIPT: Final = 1024 * 1024 * 1024
"""Bytes of a receipt: six million headers."""
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Largest integer that RFC 8785 (JSON numbers as IEEE 754 doubles) keeps exact."""
ARCHIVE_FORMAT: Final = "votenet-archive"
RECEIPT_FORMAT: Final = "votenet-receipt"
ROLL_FORMAT: Final = "votenet-roll-1"
FORMAT_VERSION: Final = 1
"""Of definitions, archives and receipts."""
