"""More open files for programs with many connections."""

from __future__ import annotations

import resource

from votenet.cli.descriptors import allow_descriptors


def test_the_soft_limit_is_raised_as_far_as_allowed_and_never_lowered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        allow_descriptors(200)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)
        allow_descriptors(150)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)
        allow_descriptors(hard + 1)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
