"""What a node that was restored from a backup must not promise before it knows that it contradicts nothing.

`votenet restore` marks the database. With the mark a named node takes part in no consensus, signs for no vote
and signs no closing list (`protocol/consensus/silence.py` says for how long). A relay promises nothing.
"""

from __future__ import annotations

import msgspec

from votenet.core.election.definition import Election
from votenet.core.election.quorum import quorum_of
from votenet.protocol.consensus.silence import Silence
from votenet.protocol.node.events import SaveRestored


class RestoredMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """As it is saved, in JSON."""

    known_height: int = 0
    """Of a node that was stopped for good: all its statements up to this height are known. 0: it went on."""
    lost: tuple[int, ...] = ()
    """Named nodes that an operator has given up: their disks are lost, too."""
    speaks: bool = False
    """It takes part in the consensus again."""
    no_list: int = 0
    """The closing time for which it signs no list: it spoke again only after that time."""

    def encode(self) -> SaveRestored:
        return SaveRestored(msgspec.json.encode(self))

    def in_place_of(self, saved: bytes) -> RestoredMark:
        """This mark, which claims no more than the saved one knows if the node with that was still silent.

        What it does not know was lost before: no final backup brings that back.

        Raises:
            ValueError: `saved` is neither a mark nor empty.
        """
        old = msgspec.json.decode(saved, type=RestoredMark) if saved else None
        if old is None or old.speaks:
            return self
        return msgspec.structs.replace(self, known_height=min(self.known_height, old.known_height))


class Restored:
    """The mark of one node while it runs."""

    def __init__(self, election: Election, saved: bytes) -> None:
        """`saved`: the latest mark, or nothing. Raises ValueError for something else."""
        self._nodes = election.named
        self._mark = msgspec.json.decode(saved, type=RestoredMark) if saved else None

    @property
    def is_silent(self) -> bool:
        """Whether it says nothing in the consensus yet."""
        return self._mark is not None and not self._mark.speaks

    def silence(self) -> Silence | None:
        """For the consensus, at a start."""
        mark = self._mark
        if mark is None or mark.speaks:
            return None
        return Silence(self._nodes, mark.known_height, mark.lost)

    def speak(self, closes: int | None, hour_over: bool) -> SaveRestored:
        """It may speak from now on.

        Args:
            hour_over: the closing time in force has passed. A list of its own might leave out votes that it
                accepted before its disk was lost; the lists of others have them.
        """
        mark = self._mark
        assert mark is not None
        others_end = self._nodes - 1 >= quorum_of(self._nodes) and not mark.lost
        keeps = closes is not None and hour_over and others_end
        self._mark = RestoredMark(speaks=True, no_list=closes or 0) if keeps else None
        return SaveRestored(b"") if self._mark is None else self._mark.encode()

    def may_promise(self, closes: int | None) -> bool:
        """Whether it may accept votes and sign a closing list for this closing time."""
        mark = self._mark
        return mark is None or (mark.speaks and mark.no_list != closes)
