"""The signals that ask a node or a bootstrap server to stop."""

from __future__ import annotations

import signal


def stop_signals() -> list[signal.Signals]:
    """TERM, INT, and HUP (the terminal is gone) unless this program was started with HUP ignored: nohup."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGINT, *([] if ignored else [signal.SIGHUP])]
