"""What programs in the foreground share. More of signals is in test_stop_signals.py."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import pytest

from votenet.cli.network.foreground import beat_until, log_the_end, run_server, stop_event
from votenet.errors import ConfigError


async def failing(*errors: Exception) -> None:
    async with asyncio.TaskGroup() as tasks:
        for error in errors:
            tasks.create_task(raises(error))


async def raises(error: Exception) -> None:
    raise error


def test_an_error_of_ours_leaves_its_group_and_a_defect_keeps_it() -> None:
    ours = ConfigError("no such file", code="x", next_step="Name another.")
    with pytest.raises(ConfigError) as found:
        run_server(failing(ours))
    assert found.value is ours
    with pytest.raises(ExceptionGroup):
        run_server(failing(ours, ValueError("a defect")))


@pytest.mark.parametrize("terminal", [True, False])
def test_the_last_error_is_logged_where_the_log_is_kept(
    terminal: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a terminal the command ends with it: there it would stand twice."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    log_the_end(logging.getLogger("votenet"), ConfigError("it is in use", code="locked", next_step="Wait."))
    assert caplog.messages == ([] if terminal else ["it is in use [locked] Wait."])


def test_it_beats_until_the_first_signal_and_the_second_has_its_own_effect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats: list[int] = []

    async def heartbeat() -> None:
        while True:
            beats.append(len(beats))
            if len(beats) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)

    async def serve() -> None:
        await beat_until(stop_event(logging.getLogger("votenet.test")), heartbeat())
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    caplog.set_level("INFO")
    asyncio.run(serve())
    assert len(beats) >= 3
    assert "event=stopping signal=SIGTERM" in caplog.text
