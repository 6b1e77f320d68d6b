"""The steps that a page of docs/ prints: which command is typed at which terminal of which host.

Steps stand in blocks ```console. A step begins with a prompt, `north$ ` or, where a program keeps its
terminal, `north:node$ `. What follows up to the next prompt or the end of the block belongs to it (here
documents, lines that end with a backslash).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

STOP: Final = "^C"
"""What is typed at a terminal whose program is to end."""
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^##+ (.+)$", re.MULTILINE)
_PROMPT = re.compile(r"^([a-z]+)(?::([a-z]+))?\$ ", re.MULTILINE)


class Step(NamedTuple):
    host: str
    terminal: str
    """Of a program that goes on running; empty where the prompt comes back."""
    line: str


def sections_of(page: str) -> dict[str, list[Step]]:
    """The steps below each heading, in the order of the page. Headings without steps are left out."""
    found: dict[str, list[Step]] = {}
    headings = [(one.start(), one.group(1)) for one in _HEADING.finditer(page)]
    for block in _BLOCK.finditer(page):
        title = [name for start, name in headings if start < block.start()][-1]
        found.setdefault(title, []).extend(_steps_in(block.group(1)))
    return found


def _steps_in(block: str) -> Iterator[Step]:
    prompts = list(_PROMPT.finditer(block))
    assert prompts, f"a block without a prompt: {block[:80]!r}"
    assert prompts[0].start() == 0, f"a block begins without a prompt: {block[:80]!r}"
    ends = [*(one.start() for one in prompts[1:]), len(block)]
    for prompt, end in zip(prompts, ends, strict=True):
        yield Step(prompt.group(1), prompt.group(2) or "", block[prompt.end() : end].rstrip("\n"))
