"""Which lines of the program an input has run for the first time.

sys.settrace works in every supported Python. A code object whose lines have all been seen is no longer
traced, so the price falls as the hunt goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import votenet

SOURCES = str(Path(votenet.__file__).parent) + "/"
_NONE: set[int] = set()


class Coverage:
    """A context manager; `lines` counts the lines of votenet that ran inside it, each once for ever."""

    def __init__(self) -> None:
        self.lines = 0
        self._unseen: dict[CodeType, set[int]] = {}

    def __enter__(self) -> None:
        sys.settrace(self._call)

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _call(self, frame: FrameType, event: str, arg: Any) -> Any:
        code = frame.f_code
        unseen = self._unseen.get(code)
        if unseen is None:
            ours = code.co_filename.startswith(SOURCES)
            unseen = {line for *_, line in code.co_lines() if line} if ours else _NONE
            self._unseen[code] = unseen
        return self._line if unseen else None

    def _line(self, frame: FrameType, event: str, arg: Any) -> Any:
        unseen = self._unseen[frame.f_code]
        if event == "line" and frame.f_lineno in unseen:
            unseen.discard(frame.f_lineno)
            self.lines += 1
        return self._line
