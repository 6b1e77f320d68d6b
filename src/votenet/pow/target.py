"""Targets: the compact form in a header, the 256-bit integer, the work that a target stands for.

Two forms. The *target* is an integer in [0, 2**256): a header is good if its hash, read as a
little-endian integer, is not above it. *bits* is that target in 32 bits as Bitcoin writes it: one
byte of exponent (the length of the number in bytes), then 23 bits of mantissa and a sign bit that
must be clear. https://developer.bitcoin.org/reference/block_chain.html#target-nbits
"""

from __future__ import annotations

from typing import Final

from votenet.errors import PowError

HASH_SIZE: Final = 32
TARGET_LIMIT: Final = 1 << 256
"""Targets and hashes are below this."""

_SIGN: Final = 0x0080_0000
_MANTISSA: Final = 0x007F_FFFF


def bits_to_target(bits: int) -> int:
    """The target, 1 or more, that the compact form `bits` stands for.

    Raises PowError if `bits` is no 32-bit number, or if the target would be negative, zero, or
    2**256 or more.
    """
    if not 0 <= bits < 1 << 32:
        raise PowError(f"bits must be a 32-bit number, not {bits}")
    exponent, mantissa = bits >> 24, bits & _MANTISSA
    target = mantissa >> 8 * (3 - exponent) if exponent <= 3 else mantissa << 8 * (exponent - 3)
    if mantissa and bits & _SIGN:
        raise PowError(f"bits {bits:#010x} stand for a negative target")
    if target == 0:
        raise PowError(f"bits {bits:#010x} stand for a target of zero")
    if target >= TARGET_LIMIT:
        raise PowError(f"bits {bits:#010x} stand for a target of more than 256 bits")
    return target


def target_to_bits(target: int) -> int:
    """The compact form of the largest target that it can express and that is not above `target`.

    Raises PowError if `target` is outside [1, 2**256).
    """
    if not 1 <= target < TARGET_LIMIT:
        raise PowError("a target must be at least 1 and below 2**256")
    exponent = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - exponent) if exponent <= 3 else target >> 8 * (exponent - 3)
    if mantissa & _SIGN:  # would read as negative: one byte less of precision
        mantissa >>= 8
        exponent += 1
    return exponent << 24 | mantissa


def bits_for_zero_bits(n: int) -> int:
    """The largest compact target below 2**(256 - n): a hash that meets it begins with n zero bits.

    24 gives 0x1e00ffff, 32 gives Bitcoin's first target, 0x1d00ffff. On average 2**n nonces are tried.
    Raises PowError if `n` is outside [1, 255].
    """
    if not 1 <= n <= 255:
        raise PowError(f"a difficulty must be from 1 to 255 zero bits, not {n}")
    return target_to_bits((1 << 256 - n) - 1)


def work_of(bits: int) -> int:
    """How many hashes, on average, a header with these bits took: 2**256 // (target + 1).

    Raises PowError as `bits_to_target` does.
    """
    return TARGET_LIMIT // (bits_to_target(bits) + 1)


def hash_to_int(hash32: bytes) -> int:
    """A hash as the integer that targets are compared with, little-endian. PowError if not 32 bytes."""
    if len(hash32) != HASH_SIZE:
        raise PowError(f"a hash has {HASH_SIZE} bytes, not {len(hash32)}")
    return int.from_bytes(hash32, "little")


def meets(hash32: bytes, target: int) -> bool:
    """Whether a header with this hash (32 bytes) is good for `target`. Raises PowError if not 32 bytes."""
    return hash_to_int(hash32) <= target
