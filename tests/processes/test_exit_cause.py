"""The sentences that people read about an end."""

from __future__ import annotations

import pytest

from votenet.processes.exit_cause import ExitCause, ExitKind, signal_name


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (ExitCause(ExitKind.EXITED, 0), "exit 0 (ended by itself, not asked to)"),
        (ExitCause(ExitKind.EXITED, 0, requested=True), "exit 0, as asked"),
        (ExitCause(ExitKind.EXITED, 78), "exit 78 (bad configuration)"),
        (ExitCause(ExitKind.EXITED, 3), "exit 3"),
        (ExitCause(ExitKind.SIGNALLED, 9), "killed by SIGKILL"),
        (ExitCause(ExitKind.SIGNALLED, 11, core=True), "killed by SIGSEGV, core dumped"),
        (ExitCause(ExitKind.SIGNALLED, 15, requested=True), "killed by SIGTERM, as asked"),
        (ExitCause(ExitKind.NOT_STARTED, detail="no such file"), "could not be started: no such file"),
    ],
)
def test_sentences(cause: ExitCause, text: str) -> None:
    assert str(cause) == text


def test_a_signal_without_a_name() -> None:
    assert signal_name(50) == "signal 50"
