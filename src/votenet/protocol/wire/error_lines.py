"""Errors that the other side of a conversation sent, as exceptions of ours."""

from __future__ import annotations

from typing import Final

import msgspec

from votenet.errors import REFUSALS, Rejected, RemoteProtocolError, VotenetError
from votenet.protocol.wire.fields import as_line, is_code

_NOT_DETAILS: Final = frozenset({"self", "code", "kind", "message", "next_step"})


def error_in(line: bytes) -> VotenetError | None:
    """The error that a line `{"error":{…}}` carries, as `decode_error` reads it; None for any other line."""
    if not line.startswith(b'{"error"'):
        return None
    try:
        fields = msgspec.json.decode(line)["error"]  # refuses half a surrogate pair: no terminal prints it
    except (ValueError, KeyError, TypeError, RecursionError):
        fields = None
    return decode_error(fields)


def decode_error(fields: object) -> VotenetError:
    """Rejected with its details for a code of `REFUSALS`, else VotenetError with the code that was sent.

    RemoteProtocolError (bad-message) if `fields` has no code, or no message.
    """
    code = message = None
    if isinstance(fields, dict):
        code, message = fields.get("code"), fields.get("message")
    if message is None or not isinstance(code, str) or not is_code(code):
        return RemoteProtocolError("bad-message", "the other side sent an error that is not readable")
    assert isinstance(fields, dict)
    if code in REFUSALS:
        details = {
            name: value for name, value in fields.items() if name not in _NOT_DETAILS and is_code(name)
        }
        return Rejected(code, as_line(str(message)), **details)
    return VotenetError(as_line(str(message)), code=code, next_step=as_line(str(fields.get("next_step", ""))))
