"""Bans that the operator sets and lifts at a running node."""

from __future__ import annotations

import re
from typing import Final

from votenet.errors import Rejected
from votenet.network.node.connection_policy import ConnectionPolicy
from votenet.network.node.links import LinkTable
from votenet.network.node.persistence import Persistence
from votenet.protocol.peers.misbehavior import Ban, of_address, of_key
from votenet.protocol.wire.address import Address, parse_address

_KEY: Final = re.compile(r"(?:key:)?([0-9a-f]{64})")


class BanList:
    """The bans of one node. A change is on the disk when the call returns."""

    def __init__(self, policy: ConnectionPolicy, links: LinkTable, persistence: Persistence) -> None:
        self._policy, self._links, self._persistence = policy, links, persistence

    def now(self) -> list[Ban]:
        """The bans that hold now."""
        return self._policy.bans()

    async def ban(self, text: str, seconds: int) -> list[Ban]:
        """Ban a key, an IP address, or the peer that listens at `host:port`.

        Raises:
            Rejected: bad-address.
        """
        address = _address(text)
        made = [
            self._policy.ban(subject, seconds, address if subject.startswith(of_key("")) else None)
            for subject in self._subjects(text)
        ]
        self._links.evict_banned()
        await self._persistence.save_bans(self._policy.scores)
        return made

    async def unban(self, text: str) -> int:
        """Lift the bans of a subject, written as in `ban` or in `now`; how many there were.

        Raises:
            Rejected: bad-address, for a text that names nothing which can be banned.
        """
        address = _address(text)
        subjects = [] if address is None else self._policy.banned_as(address)
        if not subjects:
            try:
                subjects = self._subjects(text)
            except Rejected:
                if address is None:
                    raise
        lifted = [subject for subject in subjects if self._policy.scores.lift(subject)]
        await self._persistence.save_bans(self._policy.scores)
        return len(lifted)

    def _subjects(self, text: str) -> list[str]:
        """A key, an IP address, a subject as `now` lists it, or a peer at `host:port`."""
        if key := _KEY.fullmatch(text):
            return [of_key(key[1])]
        if subject := of_address(text.removeprefix("address:").removesuffix("/64")):
            return [subject]
        if (address := _address(text)) is not None:
            if (joined := self._links.key_at(address)) is not None:
                return [of_key(joined)]
            if subject := of_address(parse_address(address).host):
                return [subject]
        raise Rejected("bad-address", f"{text!r} is no key, no IP address of another machine, no joined peer")


def _address(text: str) -> str | None:
    """`host:port` in its one spelling, None if it is something else. `localhost` is 127.0.0.1."""
    try:
        host, port = parse_address(text)
    except Rejected:
        return None
    return str(Address("127.0.0.1" if host == "localhost" else host, port))
