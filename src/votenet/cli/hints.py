"""What a message says to type next, made right for the network that it is about.

What lives here: putting `-i NAME` into the commands that a text names. What must not: texts, options.

An error that says "delete it with: votenet down --purge" while somebody works with `-i second` would
otherwise name the command that deletes another network.
"""

from __future__ import annotations

import re
from typing import Final

from votenet.config import DEFAULT_INSTANCE

WITH_INSTANCE: Final = frozenset(
    {
        "up", "down", "start", "stop", "restart", "scale", "kill", "pause", "resume", "partition", "heal",
        "slow", "ps", "events", "top", "wait", "logs", "vote", "receipt", "results", "status", "replay",
        "export", "doctor", "bootstrap",
        "peers register", "peers remove", "peers list", "peers ping", "peers import", "peers export",
        "peers ban", "peers unban", "roll create", "keys make", "keys list", "keys show",
    }
)  # fmt: skip
"""Commands that know `-i`; tests/cli/test_hints.py compares."""
_COMMAND: Final = re.compile(r"\bvotenet ((?:peers|roll|keys) [a-z]+|[a-z]+)(?! -i\b)\b(?! -i\b)")


def for_instance(text: str, instance: str) -> str:
    """`votenet down --purge` to `votenet down -i NAME --purge`; as it is for the default instance."""
    if instance == DEFAULT_INSTANCE:
        return text
    return _COMMAND.sub(
        lambda found: f"{found[0]} -i {instance}" if found[1] in WITH_INSTANCE else found[0], text
    )
