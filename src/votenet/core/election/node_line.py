"""The line of a node, `north:<text>`: its name and its four public keys, as one organisation hands them in.

The text is base64url of the keys and of four bytes that check them and the name, so that a typing mistake is
found.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

from votenet.core.election.definition import NamedNode
from votenet.core.election.definition_rules import node_name_fault
from votenet.core.keys import PUBLIC_KEY_BYTES, is_public_key
from votenet.errors import Command, ConfigError, NextStep

_DOMAIN: Final = b"votenet/node-line/1\n"
_KEYS: Final = ("node_key", "statement_key", "cosign_key", "log_key")
_CHECK_BYTES: Final = 4
_LENGTH: Final = (len(_KEYS) * PUBLIC_KEY_BYTES + _CHECK_BYTES) * 4 // 3
"""Characters behind the name. The bytes are a multiple of three: base64 needs no padding."""


def node_line(node: NamedNode) -> str:
    """The line of a node, without a line break."""
    keys = b"".join(bytes.fromhex(getattr(node, key)) for key in _KEYS)
    text = base64.urlsafe_b64encode(keys + _check(node.name, keys)).decode()
    return f"{node.name}:{text}"


def read_node_line(line: str) -> NamedNode:
    """The node of a line. Blanks and line breaks, which mail puts in, do not matter behind the name.

    Raises:
        ConfigError: bad-node-line, with what is wrong with it.
    """
    name, colon, rest = line.strip().rpartition(":")
    text = "".join(rest.split())
    if not colon:
        raise _wrong("it has no name, a colon, and keys")
    if fault := node_name_fault(name):
        raise _wrong(fault)
    if len(text) != _LENGTH:
        raise _wrong(f"{name!r} has {len(text)} characters behind its name, a whole line has {_LENGTH}", name)
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _wrong(f"{name!r} has a character behind its name that no line has", name) from None
    keys, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if check != _check(name, keys):
        raise _wrong(f"the name or a character of the line of {name!r} is another than was printed", name)
    found = [keys[at : at + PUBLIC_KEY_BYTES].hex() for at in range(0, len(keys), PUBLIC_KEY_BYTES)]
    if not all(map(is_public_key, found)):
        raise _wrong(f"a key of {name!r} is no key that can sign", name)
    return NamedNode(name=name, **dict(zip(_KEYS, found, strict=True)))


def _check(name: str, keys: bytes) -> bytes:
    return hashlib.sha256(_DOMAIN + name.encode() + b"\n" + keys).digest()[:_CHECK_BYTES]


def _wrong(what: str, name: str = "NAME") -> ConfigError:
    """`name`: of the node, where that can be read."""
    return ConfigError(
        f"this is not the line of a node: {what}",
        code="bad-node-line",
        next_step=NextStep(
            "Copy the whole line again. On the node's machine this prints it: {}",
            Command("node", "init", "--name", name),
        ),
    )
