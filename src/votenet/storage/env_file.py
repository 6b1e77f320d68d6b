"""Environment files, `NAME=value` a line: what is written is read alike by systemd, docker and this program.

systemd takes quotes and backslashes in a value as a shell does, docker takes them as they stand. So none of
them is written. Files that people changed are read by systemd's rules.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from votenet.config import nodes_dir
from votenet.errors import ConfigError
from votenet.storage.files import write_atomically
from votenet.storage.input_file import read_input
from votenet.text import is_unicode

MAX_ENV_FILE: Final = 256 * 1024
ENV_NAME: Final = "node.env"
"""In the folder of a node: its settings, for systemd, docker and `votenet node run`."""
PREFIX: Final = "VOTENET_NODE_"
"""Of the names in it: the variables of the options of `votenet node`."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f\"'\\]|^\s|\s\Z")


def joined_nodes() -> list[str]:
    """Names of the nodes of this user that have joined an election, by `votenet node join`."""
    with contextlib.suppress(ConfigError):  # no home
        return sorted(path.parent.name for path in nodes_dir().glob(f"*/{ENV_NAME}"))
    return []


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file, mode 0600, by one with these values.

    Raises:
        ConfigError: bad-value, as `check_values`.
        StorageError: it cannot be written; nothing changed.
    """
    check_values(values)
    write_atomically(path, "".join(f"{name}={value}\n" for name, value in values.items()).encode())


def check_values(values: Mapping[str, str]) -> None:
    """Raises ConfigError: bad-value; systemd and docker would read a value each in its own way."""
    for name, value in values.items():
        if _UNSAFE.search(value) or not is_unicode(value):
            raise ConfigError(
                f"{name} cannot be {value!r}: systemd and docker read quotes, backslashes, line breaks,"
                " blanks at an end, and what is not UTF-8, differently",
                code="bad-value",
                next_step="Choose a folder, a name or an address without them.",
            )


def read_env_file(path: Path) -> dict[str, str]:
    """The values of a file, by systemd's rules (systemd.exec(5), EnvironmentFile=).

    Raises:
        ConfigError: bad-env-file; it cannot be read, or a line is no assignment.
    """
    step = "Mend that line; or remove the file, and join again with the same options as before."
    data = read_input(path, MAX_ENV_FILE, code="bad-env-file", next_step=step)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8", code="bad-env-file", next_step=step) from error
    found = dict[str, str]()
    for number, line in _lines(text):
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            wrong = f"{path}, line {number}: it is not like NAME=value"
            raise ConfigError(wrong, code="bad-env-file", next_step=step)
        plain = unquoted(value)
        if plain is None:
            wrong = f"{path}, line {number}: a quote is not closed"
            raise ConfigError(wrong, code="bad-env-file", next_step=step)
        found[name] = plain
    return found


def _lines(text: str) -> list[tuple[int, str]]:
    """Lines that are neither empty nor comments, with their numbers; a backslash at its end continues one."""
    found, joined, first = list[tuple[int, str]](), "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if not joined and (not line.strip() or line.lstrip()[0] in "#;"):
            continue
        first = first if joined else number
        if (len(line) - len(line.rstrip("\\"))) % 2:
            joined += line[:-1]
            continue
        found.append((first, joined + line))
        joined = ""
    if joined:
        found.append((first, joined))
    return found


def unquoted(value: str) -> str | None:
    """A value without its quotes and backslashes, and without blanks around it. None: a quote stays open."""
    found, kept, quote, at = list[str](), 0, "", 0
    value = value.lstrip()
    while at < len(value):
        one = value[at]
        if quote and one == quote:
            quote, kept = "", len(found)
        elif not quote and one in "\"'" and not found:
            quote = one
        elif one == "\\" and quote != "'" and at + 1 < len(value):
            following = value[at + 1]
            if quote and following not in '"\\`$':
                found.append(one)
            found.append(following)
            kept, at = len(found), at + 1
        else:
            found.append(one)
            kept = len(found) if quote or not one.isspace() else kept
        at += 1
    return None if quote else "".join(found[:kept])
