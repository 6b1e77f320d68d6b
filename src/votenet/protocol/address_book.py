"""Addresses of possible peers, and when to dial each.

What lives here: AddressBook, pure: time is an argument. What must not: dialling.

An address is only a rumour until a handshake succeeds. One that keeps failing is dialled ever more
rarely and at last forgotten, unless it was met before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from votenet.errors import Rejected
from votenet.protocol.address import Address, parse_address

MAX_KNOWN: Final = 1000
"""Addresses in the book: more than a node ever dials, a few hundred KB."""
FIRST_RETRY: Final = 0.25
LONGEST_RETRY: Final = 30.0
FORGET_AFTER: Final = 12
"""Failures in a row of an address that was never met: about four minutes of trying."""
ALIAS_REST: Final = 600.0
"""Seconds before an address that led to a node we are already joined to is dialled again."""


@dataclass(slots=True)
class _Known:
    address: Address
    met: bool = False
    failures: int = 0
    next_try: float = 0.0


class AddressBook:
    """What a node knows of where its peers listen. `own` is never kept."""

    def __init__(self, own: str) -> None:
        self.own = own
        self._known: dict[str, _Known] = {}

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, text: str) -> bool:
        return text in self._known

    def add(self, text: str, *, met: bool = False) -> bool:
        """Note an address that somebody named; whether it is new. Malformed ones are dropped."""
        try:
            address = parse_address(text)
        except Rejected:
            return False
        name = str(address)
        if name == self.own or name in self._known:
            return False
        if len(self._known) >= MAX_KNOWN and not self._make_room():
            return False
        self._known[name] = _Known(address, met=met)
        return True

    def _make_room(self) -> bool:
        """Forget the one that failed most; one that was met only when no rumour failed."""
        failing = [known for known in self._known.values() if known.failures]
        if not failing:
            return False
        worst = max(failing, key=lambda known: (not known.met, known.failures))
        del self._known[str(worst.address)]
        return True

    def succeeded(self, text: str) -> None:
        """A handshake was done with the node there."""
        known = self._known.get(text)
        if known is not None:
            known.met, known.failures, known.next_try = True, 0, 0.0

    def failed(self, text: str, now: float) -> None:
        known = self._known.get(text)
        if known is None:
            return
        known.failures += 1
        if known.failures >= FORGET_AFTER and not known.met:
            del self._known[text]
            return
        known.next_try = now + min(FIRST_RETRY * 2.0 ** (known.failures - 1), LONGEST_RETRY)

    def rest(self, text: str, now: float) -> None:
        """This address leads to ourselves or to a node that we know by another one."""
        known = self._known.get(text)
        if known is not None:
            known.next_try = now + ALIAS_REST

    def doubt(self, text: str) -> None:
        """Somebody says that nobody listens there any more: the next dial decides."""
        known = self._known.get(text)
        if known is not None:
            known.met, known.failures, known.next_try = False, FORGET_AFTER - 1, 0.0

    def due(self, now: float, busy: set[str]) -> list[Address]:
        """Addresses to dial now, those with the fewest failures first."""
        ready = [k for name, k in self._known.items() if name not in busy and k.next_try <= now]
        return [known.address for known in sorted(ready, key=lambda known: known.failures)]

    def untried(self, busy: set[str]) -> bool:
        """Whether some address was neither joined nor ever dialled."""
        return any(name not in busy and not k.failures and not k.next_try for name, k in self._known.items())

    def met(self) -> list[str]:
        """Addresses where a handshake has succeeded: what is worth remembering on disk."""
        return [name for name, known in self._known.items() if known.met]
