"""One line an event, and a flood is summed up."""

from __future__ import annotations

import logging
from unittest import mock

import pytest

from votenet.network.quiet_log import LOGGED_PER_SECOND, QuietLog

log = logging.getLogger("votenet.test-quiet")


def test_a_flood_is_summed_up(caplog: pytest.LogCaptureFixture) -> None:
    quiet = QuietLog(log)
    with caplog.at_level(logging.INFO), mock.patch("votenet.network.quiet_log.time.monotonic") as now:
        now.return_value = 5.0
        for number in range(LOGGED_PER_SECOND + 7):
            quiet.event("refused", number=number)
        now.return_value = 6.0
        quiet.event("other")
    assert len(caplog.messages) == LOGGED_PER_SECOND + 2
    assert caplog.messages[-2:] == ["event=refused more=7", "event=other"]


def test_text_of_strangers_cannot_forge_a_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        QuietLog(log).event("refused", why="a b\nevent=forged", client="", code="x")
    assert caplog.messages == [r"event=refused why='a b\nevent=forged' client='' code=x"]
