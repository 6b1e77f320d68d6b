"""All targets, by name."""

from __future__ import annotations

from typing import Final

from fuzz import archives, conversations, evidence, files, notes, stores
from fuzz.engine import Target

TARGETS: Final[tuple[Target, ...]] = (
    *conversations.TARGETS,
    *files.TARGETS,
    *archives.TARGETS,
    *notes.TARGETS,
    *evidence.TARGETS,
    *stores.TARGETS,
)


def by_name(name: str) -> Target:
    """Raises KeyError."""
    return {target.name: target for target in TARGETS}[name]
