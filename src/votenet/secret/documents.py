"""Belenios' documents in JSON (specification 4.1): compact, members in the order of the specification."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

import msgspec

from votenet.secret.group import Point, Scalar
from votenet.secret.refusals import refusal

T = TypeVar("T")

Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 in lower-case hexadecimal."""
Unsigned = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""A non-negative integer that every JSON reader keeps exact."""


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A structure of the specification. Members are declared in its order; None is an absent member."""


def decode(raw: bytes | str, kind: type[T], what: str) -> T:
    """A document that is written as `encode` writes it. Raises NotProven."""
    return _in_order(decode_loosely(raw, kind, what), raw, what)


def decode_unproven(raw: bytes | str, kind: type[T], what: str) -> T:
    """The same with points that may lie outside the group. Raises NotProven."""
    return _in_order(decode_loosely(raw, kind, what, _read), raw, what)


def _in_order(document: T, raw: bytes | str, what: str) -> T:
    if encode(document) != (raw.encode() if isinstance(raw, str) else raw):
        raise refusal("not-canonical", f"{what} is not compact JSON in the order of the specification")
    return document


def decode_loosely(
    raw: bytes | str, kind: type[T], what: str, hook: Callable[[type, Any], Any] | None = None
) -> T:
    """A document in any JSON. Raises NotProven: bad-document, bad-point or bad-scalar."""
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=hook or _parsed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise refusal("bad-document", f"{what}: {error}") from None


def encode(document: object) -> bytes:
    return _encoder.encode(document)


def fingerprint(raw: bytes) -> str:
    """SHA-256 in Base64 without padding: of an election (4.10), of a ballot (4.17)."""
    return b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def _parsed(kind: type, value: Any) -> Any:
    if issubclass(kind, (Point, Scalar)):
        return kind.parse(value)
    raise NotImplementedError(kind)


def _read(kind: type, value: Any) -> Any:
    return kind.read(value) if issubclass(kind, Point) else _parsed(kind, value)


def _written(value: object) -> str:
    if isinstance(value, (Point, Scalar)):
        return value.written()
    raise NotImplementedError(type(value))


_encoder: Final = msgspec.json.Encoder(enc_hook=_written)
