"""Which addresses a node dials next, as links or as feelers, and which dials are under way."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from votenet.protocol.peers.address_manager import LOCAL, NAMES, AddressManager, group_of, host_of, is_name
from votenet.protocol.peers.dial_rates import DialRates
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.peers.selection import choose_outbound
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.token_bucket import TokenBucket

MAX_DIALS: Final = 8
"""Dials at one time."""
FEELERS_AT_ONCE: Final = 64
FEELERS_PER_SECOND: Final = 1 / 30
"""A new node introduces itself to so many at once, and goes on slowly."""


class DialPlanner:
    """The dials of one node, to addresses that its `addresses` and its `named` nodes give."""

    def __init__(self, addresses: AddressManager, named: NamedNodes) -> None:
        self._addresses, self._named = addresses, named
        self._dialling: dict[str, bool] = {}
        """Addresses, and whether the dial is a feeler."""
        self._feelers: set[str] = set()
        """Addresses of feelers without a handshake yet."""
        self._feeler_bucket = TokenBucket(FEELERS_PER_SECOND, FEELERS_AT_ONCE)
        self._rates = DialRates()

    # -- dials under way -----------------------------------------------------------------------

    def under_way(self) -> Set[str]:
        """Addresses that are being dialled."""
        return self._dialling.keys()

    def dial_ended(self, address: str) -> None:
        """Note that a dial has opened no link."""
        self._dialling.pop(address, None)

    def link_opened(self, address: str) -> None:
        if self._dialling.pop(address, False):
            self._feelers.add(address)

    def end_feeler(self, address: str) -> bool:
        """Note a handshake at an address that we dialled; whether the dial was a feeler."""
        if address not in self._feelers:
            return False
        self._feelers.remove(address)
        return True

    # -- the next dials ------------------------------------------------------------------------

    def plan(
        self,
        now: float,
        *,
        first: Set[str],
        avoided: set[str],
        links: Iterable[tuple[str, str]],
        free: int,
    ) -> list[Address]:
        """The addresses to dial now. Each dial is under way once it is returned.

        Args:
            first: addresses of named nodes, dialled before all others.
            avoided: addresses that are not to be dialled now.
            links: that we dialled and that are no feelers: the address dialled, and the host it led to.
            free: outbound places that no link takes.
        """
        room = MAX_DIALS - len(self._dialling)
        due = self._addresses.due(now, avoided) if room > 0 else []
        if not due:
            return []
        # 1. Named nodes.
        named = [address for address in due if str(address) in first and self._is_ready(str(address), now)]
        dials = [self._dial(address) for address in named[:room] if self.may_dial(str(address), now)]
        # 2. Free outbound places go to networks that have few of them; without a place, a dial is a feeler.
        due = [address for address in due if str(address) not in first]
        others = [name for name, feeler in self._dialling.items() if not feeler]
        apart = first if self._named.decides else set[str]()
        free -= len([name for name in others if name not in apart])
        feeler = free <= 0
        chosen = due
        if not feeler:  # an address that has to wait for its rate takes no place from others
            ready = [address for address in due if self._is_ready(str(address), now)]
            chosen = self._choose(ready, others, links, min(room - len(dials), free))
        for address in chosen:
            if len(dials) >= room:
                break
            name = str(address)
            # Feelers go only where a handshake tells something new, a few a minute.
            if feeler and not (self._addresses.wants_test(name) and self._feeler_bucket.wait(now) == 0.0):
                continue
            if not self.may_dial(name, now):
                continue
            if feeler:
                self._feeler_bucket.take(now)
            dials.append(self._dial(address, feeler=feeler))
        return dials

    def _dial(self, address: Address, *, feeler: bool = False) -> Address:
        name = str(address)
        self._feelers.discard(name)  # an earlier feeler may have got no handshake
        self._dialling[name] = feeler
        return address

    def _choose(
        self, due: list[Address], dialling: list[str], links: Iterable[tuple[str, str]], free: int
    ) -> list[Address]:
        """Up to `free` of the addresses that are due, of networks that have few links or dials.

        A link counts for the network that its socket leads to; by a name of others, for all such names, too.
        """
        groups = [self._group(name) for name in dialling]
        for dialled, peer_host in links:
            host = host_of(dialled)
            groups.append(group_of(peer_host if is_name(host) else host))
            if self.is_name_of_others(dialled):
                groups.append(NAMES)
        return choose_outbound(due, groups, free, lambda address: self._group(str(address)))

    def _group(self, address: str) -> str:
        """The group that an address counts for while no link leads there.

        An anchor that is a name counts for its domain, as where it led is not in the cache: the few anchors
        were chosen by group before the restart, and come first after it.
        """
        is_of_others = self.is_name_of_others(address) and not self._addresses.is_anchor(address)
        of_names = NAMES if is_of_others else ""
        return self._addresses.met_group(address) or of_names or group_of(host_of(address))

    # -- rates ---------------------------------------------------------------------------------

    def is_name_of_others(self, address: str) -> bool:
        """Whether an address is a name that neither the operator nor a named node vouches for."""
        return self._addresses.is_name_of_others(address) and not self._named.is_vouched(address)

    def may_dial(self, address: str, now: float) -> bool:
        """Whether an address may be dialled now; the dial is counted if so.

        Addresses that were met are dialled whenever due; others of one host only a few a second.
        """
        host = host_of(address)
        return self._is_free_to_dial(address) or self._rates.take(host, self.is_name_of_others(address), now)

    def _is_ready(self, address: str, now: float) -> bool:
        """Whether `may_dial` would allow a dial; it is not counted."""
        host = host_of(address)
        return self._is_free_to_dial(address) or self._rates.ready(host, self.is_name_of_others(address), now)

    def _is_free_to_dial(self, address: str) -> bool:
        return self._addresses.is_met(address) or group_of(host_of(address)) == LOCAL
