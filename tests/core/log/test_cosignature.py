"""Cosignatures: the message is C2SP's, byte for byte, and only its own time and text hold."""

from __future__ import annotations

import pytest

from votenet.core.keys import SigningKey, verify
from votenet.core.log.cosignature import (
    COSIGNATURE_BYTES,
    MAX_COSIGNATURE_TIME,
    cosign,
    cosignature_holds,
    cosignature_time,
)

KEY = SigningKey(bytes(range(32)))
# The example of tlog-cosignature, "Ed25519 signed message".
BODY = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
MESSAGE = (
    b"cosignature/v1\n"
    b"time 1679315147\n"
    b"example.com/behind-the-sofa\n"
    b"20852163\n"
    b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
)


def test_the_signed_message_is_that_of_the_specification() -> None:
    cosignature = cosign(KEY, BODY, 1_679_315_147)
    assert len(cosignature) == COSIGNATURE_BYTES == 72
    assert cosignature[:8] == (1_679_315_147).to_bytes(8, "big")
    assert verify(KEY.public, MESSAGE, cosignature[8:])
    assert cosignature_holds(KEY.public, BODY, cosignature)
    assert cosignature_time(cosignature) == 1_679_315_147


def test_another_time_text_or_key_does_not_hold() -> None:
    cosignature = cosign(KEY, BODY, 7)
    later = (8).to_bytes(8, "big") + cosignature[8:]
    assert not cosignature_holds(KEY.public, BODY, later)
    assert not cosignature_holds(KEY.public, BODY + "more\n", cosignature)
    assert not cosignature_holds(SigningKey(bytes(32)).public, BODY, cosignature)
    assert not cosignature_holds(KEY.public, BODY, cosignature[:-1])
    assert not cosignature_holds(KEY.public, BODY, KEY.sign(BODY.encode()))


@pytest.mark.parametrize("time", [-1, MAX_COSIGNATURE_TIME + 1])
def test_times_that_no_cosignature_has(time: int) -> None:
    with pytest.raises(ValueError, match="no time"):
        cosign(KEY, BODY, time)
    signed = time % 2**64
    raw = signed.to_bytes(8, "big") + KEY.sign(f"cosignature/v1\ntime {signed}\n{BODY}".encode())
    with pytest.raises(ValueError, match="no time"):
        cosignature_time(raw)
    assert not cosignature_holds(KEY.public, BODY, raw)
    assert cosignature_holds(KEY.public, BODY, cosign(KEY, BODY, MAX_COSIGNATURE_TIME))
