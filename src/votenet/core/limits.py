"""The limits of an election's records: every number that two readers of a chain must agree on.

docs/audit.md lists the same names with the same values, and so does the second verifier, which shares no
code: `tests/verifier/test_limits.py` compares all three.
"""

from __future__ import annotations

from typing import Final

# -- the definition --------------------------------------------------------------------------------

MAX_NAME: Final = 200
"""Characters of a title or a candidate: enough for a name with titles and a party."""
MAX_STATEMENT: Final = 2000
"""Characters of a statement, a description, an organiser: a page."""
MAX_CANDIDATES: Final = 1000
"""Enough for an open list; keeps the definition and every results line small."""
MAX_CHOICES: Final = 64
"""Ranks on one ballot; the longest real ranked ballots have about 40."""
MAX_SCHULZE_CANDIDATES: Final = 100
"""Its strongest paths take the cube of this: a million steps."""
MAX_STV_CANDIDATES: Final = 200
"""Every round sorts them."""
MAX_CONTESTS: Final = 64
MAX_NAMED_NODES: Final = 64
MAX_WITNESSES: Final = 64
MAX_TRUSTEE_KEYS: Final = 64
MAX_BLOCK_VOTES: Final = 20_480
"""What a network on two busy cores accepts in some seconds. There the search for a nonce, which yields to
the checking of votes, takes as long, and each block costs another search."""
MAX_BLOCK_SECONDS: Final = 3600
"""An hour between blocks: longer than a voter would wait for a receipt."""
MAX_GRACE_SECONDS: Final = 3600
"""So long after closing named nodes may take votes that were accepted before it."""
MAX_U32: Final = 2**32 - 1
"""Largest number in a header's field: a time in Unix seconds, compact bits."""

# -- votes -----------------------------------------------------------------------------------------

MAX_VOTER_ID: Final = 128
"""Characters of a voter id: a membership number, an e-mail address, a hash."""
MAX_WEIGHT: Final = 1_000_000
"""Of one voter: the sum for a city stays exact in every program that reads JSON."""
MAX_VOTE_BYTES: Final = 16 * 1024
"""One record: 64 choices of 200 characters fit when they are ASCII."""

MAX_RECORD_BYTES: Final = 60_000
"""One record of any kind: tiles of a C2SP log have 16-bit lengths."""

MAX_OTHER_RECORDS: Final = MAX_BLOCK_VOTES
"""Records of one block that are no votes: the closing lists of all named nodes, amendments."""

MAX_AMENDMENTS: Final = 10_000
"""Of one election: a replaced key for each voter of a town's roll."""

# -- blocks ----------------------------------------------------------------------------------------

HEADER_BYTES: Final = 80
BLOCK_VERSION: Final = 2
MAX_BLOCK_BYTES: Final = 8 * 1024 * 1024
"""Sum of the records of one block: keeps a block on one line of bounded length."""
MAX_CLOSING_IDS: Final = 262_144
"""Ids of votes in the closing lists of one block together: with the bits of eight lists 9 MiB in base64."""
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
MAX_RISE: Final = 64
"""How many times as hard as the first blocks a block may be. More would let a burst of blocks by a fast miner
stop slower ones for hours; less would be too little for a room full of miners."""

# -- files -----------------------------------------------------------------------------------------

MAX_ARCHIVE_LINE: Final = 16 * 1024 * 1024
"""Bytes of a line of an archive: the largest block (8 MiB of records) with its envelope, twice over."""
MAX_RECEIPT: Final = 1024 * 1024 * 1024
"""Bytes of a receipt: six million headers."""
MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Largest integer that RFC 8785 (JSON numbers as IEEE 754 doubles) keeps exact."""
ARCHIVE_FORMAT: Final = "votenet-archive"
RECEIPT_FORMAT: Final = "votenet-receipt"
ROLL_FORMAT: Final = "votenet-roll-2"
FORMAT_VERSION: Final = 2
"""Of definitions, archives and receipts."""
