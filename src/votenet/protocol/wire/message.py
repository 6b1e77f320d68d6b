"""Classes of messages, by who may send them to a node."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar, Final

import msgspec


class LinkRole(Enum):
    """What the other side of a link has shown itself to be."""

    STRANGER = "stranger"
    """No hello: the reference client's programs and votenet's clients."""
    GREETING = "greeting"
    """Between hello and its proof."""
    PEER = "peer"
    """The handshake is done."""


PEERS_ONLY: Final = frozenset({LinkRole.PEER})


class Message(msgspec.Struct, frozen=True, tag_field="type", omit_defaults=True):
    """An answer that only clients read. A node takes the messages of the classes below."""

    senders: ClassVar[frozenset[LinkRole]] = frozenset()
    replies: ClassVar[tuple[type[Message], ...]] = ()
    """What may be answered, beside an error line."""


class PeerMessage(Message, frozen=True):
    """Of peers."""

    senders = PEERS_ONLY


class NamedMessage(PeerMessage, frozen=True):
    """Of named nodes, to named nodes."""


class StrangerMessage(Message, frozen=True):
    """Of programs without a handshake."""

    senders = frozenset({LinkRole.STRANGER})


class OpenMessage(Message, frozen=True):
    """Of peers and of programs without a handshake."""

    senders = frozenset({LinkRole.STRANGER, LinkRole.PEER})
