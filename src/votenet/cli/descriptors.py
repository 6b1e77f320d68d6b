"""The limit of open files, raised by programs that have many connections."""

from __future__ import annotations

import contextlib
import resource


def allow_descriptors(wanted: int) -> None:
    """Raise the soft limit, usually 1,024, to `wanted` or the hard limit. It is never lowered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
