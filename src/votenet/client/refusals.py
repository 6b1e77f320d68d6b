"""Refusals of votes, told to the voter: when and where the first vote is, from when and since when."""

from __future__ import annotations

import time
from typing import Final

from votenet.errors import Rejected

_HOURS: Final = {
    "not-open": ("opens", "voting has not begun; it opens"),
    "closed": ("closes", "voting has ended; it closed"),
}


def explained(refusal: Rejected, voter_id: str) -> Rejected:
    """A node's refusal, its details put into the sentence. A refusal without details is unchanged."""
    details = refusal.details
    if refusal.code in _HOURS:
        field, said = _HOURS[refusal.code]
        hour = details.get(field)
        if isinstance(hour, int):
            return Rejected(refusal.code, f"{said} {when(hour)}", **details)
    elif refusal.code == "bad-vote":
        return refusal.advising("Give the voter id as the organisers wrote it.")
    elif refusal.code == "already-voted" and isinstance(first := details.get("time"), int):
        where = (
            f"in block {details.get('height')} ({details['block']})"
            if details.get("block")
            else "and that vote waits for its block"
        )
        return Rejected(refusal.code, f"{voter_id!r} has already voted: {when(first)}, {where}", **details)
    return refusal


def when(seconds: int) -> str:
    """A Unix time in the zone of this machine, with the zone's name and offset.

    A number that is no point in time here (a file or a node may say any) is shown as it is.
    """
    try:
        local = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return f"{seconds} seconds after 1970"
    offset = time.strftime("%z", local)
    zone = f"UTC{offset[:3]}:{offset[3:5]}"
    name = time.strftime("%Z", local)
    if name == "UTC":
        zone = name
    elif name.isalpha():
        zone = f"{name} ({zone})"
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', local)} {zone}"
