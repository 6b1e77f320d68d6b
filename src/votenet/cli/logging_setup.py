"""Logs of the long-running programs: one line an event, with time, level and part.

What lives here: the two formats. What must not: what is worth a line.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final

LEVELS: Final = ("debug", "info", "warning", "error")
_TIME: Final = "%Y-%m-%dT%H:%M:%S"


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

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
        return json.dumps(fields, ensure_ascii=False)


def start_logging(level: str, *, as_json: bool = False) -> None:
    """Log to stderr; times in UTC with milliseconds, so that logs of several machines line up."""
    handler = logging.StreamHandler(sys.stderr)
    formatter: logging.Formatter
    if as_json:
        formatter = _JsonFormatter()
    else:
        formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", _TIME)
        formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
