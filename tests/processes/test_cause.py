"""The sentences that people read about an end."""

from __future__ import annotations

import pytest

from votenet.processes.cause import Cause, Kind, signal_name


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause(Kind.EXITED, 0), "exit 0 (ended by itself though nobody asked it to)"),
        (Cause(Kind.EXITED, 0, requested=True), "exit 0, as asked"),
        (Cause(Kind.EXITED, 78), "exit 78 (bad configuration)"),
        (Cause(Kind.EXITED, 3), "exit 3"),
        (Cause(Kind.SIGNALLED, 9), "killed by SIGKILL"),
        (Cause(Kind.SIGNALLED, 11, core=True), "killed by SIGSEGV, core dumped"),
        (Cause(Kind.SIGNALLED, 15, requested=True), "killed by SIGTERM, as asked"),
        (Cause(Kind.NOT_STARTED, detail="no such file"), "could not be started: no such file"),
    ],
)
def test_sentences(cause: Cause, text: str) -> None:
    assert str(cause) == text


def test_a_signal_without_a_name() -> None:
    assert signal_name(50) == "signal 50"
