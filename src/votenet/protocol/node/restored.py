"""What a node that was restored from a backup must not promise before it knows that it contradicts nothing.

`votenet restore` marks the database. With the mark a named node takes part in no consensus, signs for no vote
and signs no closing list (`protocol/consensus/silence.py` says for how long). A relay promises nothing.

Once it speaks, it may still have forgotten votes that it had signed for: a closing list without one of these
would be a lie that others could prove. So the mark stays, and the node leaves the closing lists to the others
as long as these may be enough (`core/election/voting_hours.py`).
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
    """The closing time for which it signs no list at all: it spoke again only after that time, so its lost
    disk may have signed one."""
    forgot: bool = False
    """It had been restored before, and had spoken again: votes are lost that no final backup brings back."""

    def encode(self) -> SaveRestored:
        return SaveRestored(msgspec.json.encode(self))

    def in_place_of(self, saved: bytes) -> RestoredMark:
        """This mark, which claims no more than the saved one knows if the node with that was still silent.

        What it does not know was lost before: no final backup brings that back.

        Raises:
            ValueError: `saved` is neither a mark nor empty.
        """
        old = msgspec.json.decode(saved, type=RestoredMark) if saved else None
        if old is None:
            return self
        known = self.known_height if old.speaks else min(self.known_height, old.known_height)
        return msgspec.structs.replace(self, known_height=known, forgot=old.speaks or old.forgot)


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

    def speak(self, height: int, closes: int | None, hour_over: bool) -> SaveRestored:
        """It may speak from now on.

        Args:
            height: the one at which it speaks first.
            hour_over: the closing time in force has passed. Its lost disk may have signed a list then.
        """
        mark = self._mark
        assert mark is not None
        # A final backup knows the lists, too, unless others went on: then the file may have been used twice.
        others_end = self._nodes - 1 - len(mark.lost) >= quorum_of(self._nodes)
        knows_all = height <= mark.known_height and not mark.forgot
        no_list = closes if closes is not None and hour_over else 0
        keeps = others_end and not knows_all
        self._mark = RestoredMark(speaks=True, no_list=no_list, forgot=mark.forgot) if keeps else None
        return SaveRestored(b"") if self._mark is None else self._mark.encode()

    def may_promise(self, closes: int | None) -> bool:
        """Whether it may accept votes and sign a closing list for this closing time."""
        mark = self._mark
        return mark is None or (mark.speaks and mark.no_list != closes)

    @property
    def leaves_lists(self) -> bool:
        """Whether it signs a closing list only if too few others do: it may have forgotten votes."""
        return self._mark is not None

    @property
    def speaks_and_leaves_lists(self) -> bool:
        """Whether it takes part again, in everything but the closing lists."""
        return self._mark is not None and self._mark.speaks
