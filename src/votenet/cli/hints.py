"""What a message says to type next, made right for the network that it is about.

What lives here: building a command line that can be pasted; putting `-i NAME` and `--node HOST:PORT` into the
commands that a text names. What must not: texts, options.

An error that says `votenet down --purge` while somebody works with `-i second` would
otherwise name the command that deletes another network. tests/e2e/test_printed_commands.py runs what is
printed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
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
WITH_NODE: Final = frozenset({"vote", "receipt", "results", "status", "replay", "export"})
"""Commands that know `--node` and `-i`; tests/cli/test_hints.py compares."""
_COMMAND: Final = re.compile(r"\bvotenet ((?:peers|roll|keys) [a-z]+|[a-z]+)\b")
_QUOTED: Final = re.compile(r"((?<!\w)'[^'\n]*'(?!\w))")


def command_line(
    command: str,
    *operands: str,
    options: Sequence[str] = (),
    instance: str = DEFAULT_INSTANCE,
    node: str | None = None,
) -> str:
    """`votenet COMMAND …` as a shell takes it, whatever characters the operands have.

    Operands that begin with a dash come last, behind `--`.
    """
    place = _place(command, instance, node)
    if any(word.startswith("-") for word in operands):
        words = [*place, *options, "--", *operands]
    else:
        words = [*place, *operands, *options]
    return " ".join(["votenet", command, *map(shlex.quote, words)])


def for_instance(text: str, instance: str, node: str | None = None) -> str:
    """`votenet down --purge` to `votenet down -i NAME --purge`; as it is for the default instance.

    What stands in quotes is somebody's name or text. A command that names a place already has the right one.
    """

    def placed(found: re.Match[str]) -> str:
        if found.string.startswith((" -i ", " --node "), found.end()):
            return found[0]
        return shlex.join([*found[0].split(" "), *_place(found[1], instance, node)])

    parts = _QUOTED.split(text)
    return "".join(part if index % 2 else _COMMAND.sub(placed, part) for index, part in enumerate(parts))


def _place(command: str, instance: str, node: str | None) -> list[str]:
    """The options that name the network, where the command knows them and they are not the default."""
    words = []
    if command in WITH_INSTANCE and instance != DEFAULT_INSTANCE:
        words += ["-i", instance]
    if command in WITH_NODE and node is not None:
        words += ["--node", node]
    return words
