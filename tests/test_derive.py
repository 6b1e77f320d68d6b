"""HKDF by RFC 5869, and the alphabet of what people type."""

from __future__ import annotations

import pytest

from votenet.derive import BASE58, hkdf

HKDF_VECTORS = [  # RFC 5869, appendices A.1 to A.3: secret, salt, info, derived
    (
        bytes([0x0B] * 22), bytes(range(13)), bytes(range(0xF0, 0xFA)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        bytes([0x0B] * 22), b"", b"",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("secret", "salt", "info", "derived"), HKDF_VECTORS, ids=("A.1", "A.2", "A.3"))
def test_rfc_5869(secret: bytes, salt: bytes, info: bytes, derived: str) -> None:
    assert hkdf(secret, info, len(derived) // 2, salt=salt).hex() == derived


def test_the_alphabet_has_no_two_characters_that_look_alike() -> None:
    assert len(set(BASE58)) == len(BASE58) == 58
    assert not set("0OIl") & set(BASE58)
