"""What one connection may cost: no limit makes another one void."""

from __future__ import annotations

from votenet.network.link_limits import READ_AT_ONCE, LinkLimits
from votenet.protocol.wire.framing import MAX_CLIENT_LINE, MAX_PEER_LINE


def test_a_whole_answer_fits_before_a_slow_reader_is_cut_off() -> None:
    limits = LinkLimits(max_line=MAX_PEER_LINE)
    assert limits.max_unsent >= 4 * MAX_PEER_LINE
    assert limits.at_once == READ_AT_ONCE < MAX_CLIENT_LINE, "one link does not take a whole turn of the loop"


def test_a_link_that_says_nothing_lives_longer_than_a_line_that_does_not_end() -> None:
    limits = LinkLimits(max_line=MAX_CLIENT_LINE)
    assert limits.first_line <= limits.partial_line < limits.unread_seconds < limits.idle
