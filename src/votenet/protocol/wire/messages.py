"""Every message of the node port, by its type; lines to messages, and back.

A line is a JSON object with a `type`. The reference client's four messages need no handshake, and carry
`data` in base64, or null as Go writes an empty slice. Requests of clients carry an optional `id` that the
answer repeats.

A new message is a class in one of the three modules below, the question after its answer, and a handler
`on_<type>` in one of the parts of `protocol/node/`; if it costs more than a line, a price in `limits.py`.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Final, Union

import msgspec

from votenet.errors import RemoteProtocolError
from votenet.protocol.wire import client_messages, named_messages, peer_messages
from votenet.protocol.wire.message import Message

MESSAGES: Final[dict[str, type[Message]]] = {
    str(kind.__struct_config__.tag): kind
    for module in (peer_messages, named_messages, client_messages)
    for kind in vars(module).values()
    if getattr(kind, "__module__", None) == module.__name__ and issubclass(kind, Message)
}
"""By type."""

_AS_WRITTEN: Final = re.compile(rb'\{"type":"([a-z_]+)"[,}]')
"""The beginning of a line as `encode_message` writes it."""
_encoder = msgspec.json.Encoder()


@functools.cache
def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    """Of messages of one type, or of all. To make that of all is a seventh of what a command costs."""
    one = MESSAGES.get(kind)
    return msgspec.json.Decoder(one or Union[tuple(MESSAGES.values())])  # noqa: UP007


def encode_message(message: Message) -> bytes:
    """One line, without its newline."""
    return _encoder.encode(message)


def decode_message(line: bytes) -> Message:
    """One line to a message.

    Raises:
        RemoteProtocolError: bad-json, unknown-type or bad-message, with the field that is wrong.
    """
    try:
        known = _AS_WRITTEN.match(line)
        kind = known[1].decode() if known else ""
        message: Message = _decoder(kind if kind in MESSAGES else "").decode(line)
    except msgspec.ValidationError as error:
        text = str(error)
        if text.startswith("Invalid value") and text.endswith("`$.type`"):
            raise RemoteProtocolError("unknown-type", "this message type is not known") from None
        raise RemoteProtocolError("bad-message", f"the message is not valid: {text[:200]}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise RemoteProtocolError("bad-json", f"the line is not JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise RemoteProtocolError("bad-json", "the line is nested too deeply") from None
    return message
