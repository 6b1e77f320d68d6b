"""Amendments for people: each in a line; the closing time in force."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from votenet.cli import ui
from votenet.core.election.amendment import Amendment


def amendment_lines(amendments: Sequence[Amendment], closes: int | None) -> Iterator[str]:
    """A heading, then a line for each amendment, with number, change and reason; nothing where there is none.

    Args:
        closes: the closing time before the first of them.
    """
    if amendments:
        yield "Amendments:"
    for one in amendments:
        reason = f" ({one.reason})" if one.reason else ""
        yield f"  {one.number}. {change_words(one, closes)}{reason}"
        closes = closes if one.closes is None else one.closes


def change_words(amendment: Amendment, closes: int | None, when: Callable[[int], str] = ui.when) -> str:
    """What an amendment changes; `closes`: the closing time in force before it, `when` words a time."""
    match amendment.action:
        case "add-voter":
            weight = f", weight {amendment.weight:,}" if amendment.weight not in (None, 1) else ""
            return f"add-voter: {amendment.voter_id} may vote with the key {amendment.key}{weight}"
        case "replace-key":
            return f"replace-key: {amendment.voter_id} votes with the key {amendment.key}"
        case "cancel":
            return "cancel: the election is cancelled"
        case action:
            assert amendment.closes is not None
            old = "there was no closing time" if closes is None else f"not {when(closes)}"
            return f"{action}: voting closes {when(amendment.closes)}, {old}"


def cancellation(
    amendments: Sequence[Amendment], at: int | None, when: Callable[[int], str] = ui.when
) -> str:
    """Who cancelled the election, when and why.

    Args:
        at: the time of the block with the amendment, where it is known.
    """
    known = "" if at is None else f" at {when(at)}, by the clock of the node that made the block"
    reason = next((one.reason for one in amendments if one.action == "cancel"), "")
    why = f" Reason: {reason}" if reason else ""
    return f"Cancelled: nothing is counted. The authority of the election cancelled it{known}.{why}"


def closing_line(closes: int | None, at_first: int | None, *, final: bool = False) -> str:
    """When voting closes or closed, and whether the result is final; empty where no closing time is set."""
    if closes is None:
        return ""
    word = "closes" if time.time() < closes else "closed"
    return f"Voting {word}: {closes_words(closes, at_first)}" + ("; the result is final" if final else "")


def closes_words(closes: int, at_first: int | None) -> str:
    """The closing time in force, and the one that the definition names where it is another.

    Args:
        at_first: that of the definition.
    """
    if closes == at_first:
        return ui.when(closes)
    if at_first is None:
        return f"{ui.when(closes)} (set by an amendment)"
    word = "extended" if closes > at_first else "brought forward"
    return f"{ui.when(closes)} ({word} from {ui.when(at_first)})"
