"""Logs of the long-running programs: one line an event, with time, level and part."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

from votenet.text import visible

_TIME: Final = "%Y-%m-%dT%H:%M:%S"


class _LineFormatter(logging.Formatter):
    """One line an event, and a trace below it whose lines are set in: neither can pose as another event."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {visible(line)}" for line in super().formatException(ei).splitlines())

    def formatStack(self, stack_info: str) -> str:
        return "\n".join(f"  {visible(line)}" for line in stack_info.splitlines())


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime(_TIME, time.gmtime(record.created))
        fields = {
            "time": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "part": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return visible(json.dumps(fields, ensure_ascii=False))


def start_logging(level: str, *, as_json: bool = False) -> None:
    """Log to stderr; times in UTC with milliseconds, so that logs of several machines line up."""
    handler = logging.StreamHandler(sys.stderr)
    formatter: logging.Formatter
    if as_json:
        formatter = _JsonFormatter()
    else:
        formatter = _LineFormatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", _TIME)
        formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
