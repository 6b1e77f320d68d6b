"""Which configuration files can be believed: those that only their user, or root, can have written.

The rules are those of ssh's StrictModes. One file more: the folder that holds the file, or a link to it, may
not be one like /tmp, where others cannot rename a file but can make a hard link to another one.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final

from votenet.errors import Command, ConfigError, NextStep

MAX_CONFIG_BYTES: Final = 1024 * 1024
_MAX_LINKS: Final = 40
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


class Untrusted(ConfigError):
    """Other users can have written this file."""

    code = "untrusted-file"


def read_named(path: Path) -> bytes:
    """The content of a file that the user has named; a pipe of the user's own will do as well.

    Raises:
        Untrusted: others can have written it.
        ConfigError: it cannot be read, or is too big.
    """
    with _reading(path), open(path, "rb") as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode):
            _refuse_swapped(path, found, check(path))
        elif fault := _fault(str(path), found, sticky_will_do=False):
            raise fault
        return _content(path, file)


def read_found(path: Path) -> bytes:
    """The content of a file that lies where votenet looks for one. Raises as `read_named` does."""
    trusted = check(path)
    with _reading(path), open(trusted, "rb", opener=_without_links) as file:
        _refuse_swapped(path, os.fstat(file.fileno()), trusted)
        return _content(path, file)


def _without_links(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def check(path: Path) -> str:
    """The path of a file behind all links, after a look at everything on the way to it.

    Raises:
        Untrusted: its owner, or who can write it, or one of the folders or links on the way.
        ConfigError: it is not there.
    """
    with _reading(path):
        way = list(_way(path.absolute()))
    last = way[-1][0]
    holders = {os.path.dirname(at) for at, found in way if at == last or stat.S_ISLNK(found.st_mode)}
    for at, found in way:
        if fault := _fault(at, found, sticky_will_do=at not in holders):
            raise fault
    return last


def _way(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Each folder and link that the kernel passes on the way to a file, and the file. Raises OSError."""
    waiting, at, links = list(reversed(path.parts)), "/", 0
    while waiting:
        part = waiting.pop()
        if part == os.pardir:  # `at` has no link in it: the name above is the folder above
            at = os.path.dirname(at)
            continue
        before, at = at, os.path.join(at, part)
        found = os.lstat(at)
        yield at, found
        if stat.S_ISLNK(found.st_mode):
            if (links := links + 1) > _MAX_LINKS:
                raise OSError(f"more than {_MAX_LINKS} links")
            waiting.extend(reversed(Path(os.readlink(at)).parts))
            at = before


def _fault(at: str, found: os.stat_result, *, sticky_will_do: bool) -> Untrusted | None:
    if found.st_uid not in (0, os.geteuid()):
        return Untrusted(
            f"{at} belongs to another user (uid {found.st_uid})",
            next_step="Copy the file into a folder that only you can write, and name it with --config.",
        )
    if stat.S_ISLNK(found.st_mode) or not found.st_mode & _OTHERS:
        return None
    if sticky_will_do and stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        return None  # no other user can replace what we or root have there
    mode = stat.S_IMODE(found.st_mode)
    if found.st_mode & stat.S_ISVTX:
        advice = "Move the file into a folder that only you can write."
    else:
        advice = f"If you trust what it says: chmod go-w {at}"
    return Untrusted(f"others can write {at} (mode {mode:o})", next_step=advice)


def _refuse_swapped(path: Path, opened: os.stat_result, trusted: str) -> None:
    """Raises Untrusted when the opened file is not the one that was checked."""
    found = os.lstat(trusted)
    if not stat.S_ISREG(opened.st_mode) or (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
        raise Untrusted(
            f"{path} was replaced while it was read", next_step="See who does that, and try again."
        )


def _content(path: Path, file: BinaryIO) -> bytes:
    data = file.read(MAX_CONFIG_BYTES + 1)
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError(
            f"{path} is longer than a configuration file can be ({MAX_CONFIG_BYTES} bytes)",
            next_step=NextStep(
                "Name another file, or write one: {} > votenet.toml", Command("config", "show")
            ),
        )
    return data


def _reading(path: Path) -> AbstractContextManager[None]:
    return ConfigError.of_os_errors(f"cannot read {path}", next_step="Check its name, owner and mode.")
