"""All targets, by name."""

from __future__ import annotations

from typing import Final

from fuzz import archives, conversations, files, stores
from fuzz.engine import Target

TARGETS: Final[tuple[Target, ...]] = (
    *conversations.TARGETS,
    *files.TARGETS,
    *archives.TARGETS,
    *stores.TARGETS,
)


def by_name(name: str) -> Target:
    """Raises KeyError."""
    return {target.name: target for target in TARGETS}[name]
