"""A log that a flood cannot fill."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

LOGGED_PER_SECOND: Final = 50
"""Lines of one kind in the log: a flood is summed up, not written out."""


class QuietLog:
    """One line an event, `event=… key=value`, at most LOGGED_PER_SECOND of a kind; the rest is summed up."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._second = 0
        self._seen: Counter[str] = Counter()

    def event(self, event: str, *, level: int = logging.INFO, **fields: object) -> None:
        if not self._log.isEnabledFor(level):
            return
        second = int(time.monotonic())
        if second != self._second:
            for kind, number in self._seen.items():
                if number > LOGGED_PER_SECOND:
                    self._log.info("event=%s more=%d", kind, number - LOGGED_PER_SECOND)
            self._second = second
            self._seen.clear()
        self._seen[event] += 1
        if self._seen[event] <= LOGGED_PER_SECOND:
            text = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
            self._log.log(level, "event=%s%s", event, text)


def _shown(value: object) -> str:
    text = str(value)
    return repr(text) if not text or not text.isprintable() or " " in text or '"' in text else text
