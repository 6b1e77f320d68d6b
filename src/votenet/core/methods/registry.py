"""The counting methods that an election may name."""

from __future__ import annotations

from typing import Final

from votenet.core.methods.approval import APPROVAL
from votenet.core.methods.block import BLOCK
from votenet.core.methods.instant_runoff import INSTANT_RUNOFF
from votenet.core.methods.method import Method
from votenet.core.methods.motion import MOTION
from votenet.core.methods.plurality import PLURALITY
from votenet.core.methods.schulze import SCHULZE
from votenet.core.methods.stv import STV
from votenet.errors import ConfigError

METHODS: Final[dict[str, Method]] = {
    method.name: method for method in (PLURALITY, BLOCK, APPROVAL, MOTION, INSTANT_RUNOFF, STV, SCHULZE)
}


def method_named(name: str) -> Method:
    """Raises ConfigError bad-genesis for a name that is not in METHODS: no other method is used instead."""
    if name not in METHODS:
        raise ConfigError(
            f"the method {name!r} is not known",
            code="bad-genesis",
            next_step=f"Choose one of: {', '.join(METHODS)}",
        )
    return METHODS[name]
