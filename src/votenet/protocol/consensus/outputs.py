"""What the consensus of named nodes hears, says, asks for and saves. Plain records."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

PROPOSAL: Final = "proposal"
PREVOTE: Final = "prevote"
PRECOMMIT: Final = "precommit"
ROUND_KINDS: Final = (PROPOSAL, PREVOTE, PRECOMMIT)
NO_BLOCK: Final = b""
"""The value of a prevote or precommit for no block: the paper's nil."""
NO_ROUND: Final = -1


class RoundStep(IntEnum):
    PROPOSE = 0
    PREVOTE = 1
    PRECOMMIT = 2


class RoundStatement(NamedTuple):
    """A proposal, prevote or precommit of the named node with index `node`."""

    kind: str
    height: int
    round: int
    node: int
    value: bytes
    """A block's hash, or NO_BLOCK."""
    valid_round: int = NO_ROUND
    """Of a proposal: the earlier round in which a quorum prevoted the value."""
    signature: str = ""
    """Carried for the caller and never looked at. Own statements have none."""


class SavedState(NamedTuple):
    """What a node must find again after a crash, so that it contradicts nothing that it has sent.

    Step and lock are not here: they follow from the own statements.
    """

    height: int
    round: int
    valid: tuple[RoundStatement, ...]
    """The quorum of prevotes for the paper's validValue in validRound; empty: none."""
    own: tuple[RoundStatement, ...]
    """Every own statement of this height."""


# -- outputs: what the caller does, in this order -------------------------------------------------


class Save(NamedTuple):
    """Write this to the disk before anything that follows is carried out."""

    state: SavedState


class Send(NamedTuple):
    """Sign this own statement and send it to all other named nodes."""

    statement: RoundStatement


class Forward(NamedTuple):
    """Send this quorum of prevotes in one piece to all other named nodes: they take it by `receive_quorum`.

    A liar may have told its prevote to us alone.
    """

    prevotes: tuple[RoundStatement, ...]


class Refresh(NamedTuple):
    """We wait for votes: act as if the link to each named node had just come up.

    Liars may have told some nodes what others still wait for, so the nodes tell each other.
    """


class BuildBlock(NamedTuple):
    """Search a block to propose; answer with `built`."""

    height: int
    round: int


class CheckValue(NamedTuple):
    """Get the block with this hash and judge it; answer with `judged`.

    Save the block before you call it good. `proven`: a quorum has prevoted it, so honest nodes found it good
    in time. Rules about clocks (header time, election hours) no longer count then: else nodes that have
    locked it and nodes that see it later never agree.
    """

    height: int
    round: int
    value: bytes
    proven: bool


class Decided(NamedTuple):
    """The block of this height, and the precommits that prove it. Its body may still be missing here.

    Hand both on to all other nodes, which take the precommits by `receive_quorum`: a liar may have told its
    precommit to us alone.
    """

    height: int
    round: int
    value: bytes
    precommits: tuple[RoundStatement, ...]


class Conflict(NamedTuple):
    """Two statements by one node that exclude each other; once for each node and kind at a height."""

    first: RoundStatement
    second: RoundStatement


class OwnKeyElsewhere(NamedTuple):
    """Another process speaks with our key: we never made this. We say nothing more at this height."""

    statement: RoundStatement


Output = Save | Send | Forward | Refresh | BuildBlock | CheckValue | Decided | Conflict | OwnKeyElsewhere
