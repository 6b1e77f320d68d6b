"""What a named node has signed about the end of the election, for each closing time, as it is saved."""

from __future__ import annotations

import base64

import msgspec

from votenet.core.ledger.closing import ID_BYTES
from votenet.core.ledger.extras import ClosingList


class SavedHours(msgspec.Struct, frozen=True, array_like=True):
    """What is signed for the closing time `closes`: `ids` (base64) are those of the closing list."""

    closes: int
    hour: bool = False
    list: ClosingList | None = None
    ids: str = ""

    @property
    def listed(self) -> tuple[bytes, ...]:
        """The ids of the votes in the closing list, ascending."""
        return split_list(base64.b64decode(self.ids))


class SignedHours:
    """By closing time: an amendment may bring an earlier one back, and no second list is signed for it."""

    def __init__(self, saved: bytes) -> None:
        """`saved`: the latest that `put` has returned, or nothing. Raises ValueError for something else."""
        kept = msgspec.json.decode(saved, type=list[SavedHours]) if saved else []
        self._by_closes = {one.closes: one for one in kept}

    def of(self, closes: int | None) -> SavedHours:
        return self._by_closes.get(closes or 0, SavedHours(closes or 0))

    def put(self, signed: SavedHours) -> bytes:
        """Note what is signed; returns all of it, to be saved."""
        self._by_closes[signed.closes] = signed
        return msgspec.json.encode(list(self._by_closes.values()))


def split_list(ids: bytes) -> tuple[bytes, ...]:
    """The ids of a closing list out of its message."""
    return tuple(ids[at : at + ID_BYTES] for at in range(0, len(ids), ID_BYTES))


def join_list(ids: tuple[bytes, ...]) -> str:
    """The ids as `SavedHours` has them."""
    return base64.b64encode(b"".join(ids)).decode()
