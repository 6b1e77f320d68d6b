"""Timestamped Ed25519 cosignatures of checkpoints (C2SP tlog-cosignature, cosignature/v1)."""

from __future__ import annotations

import struct
from typing import Final

from votenet.core.keys import SIGNATURE_BYTES, SigningKey, verify

MAX_COSIGNATURE_TIME: Final = 2**63 - 1
"""Largest Unix time that a cosignature may have."""
_TIME: Final = struct.Struct(">Q")
COSIGNATURE_BYTES: Final = _TIME.size + SIGNATURE_BYTES


def _message(body: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{body}".encode()


def cosign(key: SigningKey, body: str, time: int) -> bytes:
    """72 bytes: the time (Unix seconds), and the signature over it and the checkpoint's whole text."""
    if not 0 <= time <= MAX_COSIGNATURE_TIME:
        raise ValueError(f"{time} is no time of a cosignature")
    return _TIME.pack(time) + key.sign(_message(body, time))


def cosignature_time(cosignature: bytes) -> int:
    """When it was made, Unix seconds, as the cosigner says. Raises ValueError for another length or time."""
    if len(cosignature) != COSIGNATURE_BYTES:
        raise ValueError(f"a cosignature has {COSIGNATURE_BYTES} bytes, not {len(cosignature)}")
    time = int(_TIME.unpack_from(cosignature)[0])
    if time > MAX_COSIGNATURE_TIME:
        raise ValueError(f"{time} is no time of a cosignature")
    return time


def cosignature_holds(public: bytes, body: str, cosignature: bytes) -> bool:
    """Whether the holder of `public` cosigned the checkpoint with this text."""
    try:
        time = cosignature_time(cosignature)
    except ValueError:
        return False
    return verify(public, _message(body, time), cosignature[_TIME.size :])
