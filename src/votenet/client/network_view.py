"""All nodes of one network as one view: found, asked, and each named node known by the key that it proves.

Bootstrap servers, pages and nodes only say where to look. How many addresses each of them can have us dial is
bounded, and so is the time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, NamedTuple

from votenet.client.node_probe import Probe, probe_node
from votenet.core.election.definition import Election
from votenet.errors import Rejected, Unreachable, VotenetError
from votenet.network.bootstrap_client import all_peers
from votenet.protocol.bootstrap.bootstrap_messages import KnownPeer
from votenet.protocol.wire.address import Address, is_own_host, parse_address
from votenet.protocol.wire.client_messages import COUNTS_AS_DOWN, KEY_TWICE, NodeStatus, Results

VIEW_SECONDS: Final = 60.0
"""For a whole look. Nodes that were not asked by then are not reached."""
SERVER_SECONDS: Final = 15.0
"""For the list of one bootstrap server, all its pages together."""
MAX_DIALLED: Final = 200
"""Addresses dialled in one look."""
MAX_OF_SOURCE: Final = 64
"""Addresses that one server, page or node may have us dial."""
MAX_PLACES: Final = 4
"""Of these, addresses at which it says that one named node is."""
MAX_LISTED: Final = 10_000
"""Entries of one bootstrap server that are read, in search of named nodes."""
MAX_SERVERS: Final = 8
AT_ONCE: Final = 32
"""Nodes asked at a time."""


class Rank(IntEnum):
    """Why an address is dialled; the first are dialled first."""

    GIVEN = 0
    NAMED = 1
    KNOWN_TO_NAMED = 2
    LISTED = 3
    KNOWN_TO_RELAY = 4


@dataclass(frozen=True, slots=True)
class WayIn:
    """Where a look at a network begins: addresses of nodes and of bootstrap servers, and perhaps its page.

    `nodes`: those that the user named, and no others: they are believed further than found ones. `listed`:
    addresses of nodes that the page names, as it sees them, or that files of this user have. `places`: where
    named nodes were at the last look, by node key.
    """

    election: Election
    nodes: tuple[Address, ...] = ()
    bootstraps: tuple[Address, ...] = ()
    page: str = ""
    page_host: str = ""
    listed: tuple[Address, ...] = ()
    places: Mapping[str, Address] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeenNode:
    """One node. `index`: its place among the named nodes, None for a relay.

    `name` is that of the definition for a named node, else what the node says. `address`: where it answers,
    or where it was looked for; None: nobody named an address. `node_key`: the key that it proved, perhaps
    in a handshake that another program passed on. `proven`: it also knows the address as its own.
    `given`: the user named the address. `error`: why there is no status, or no proof. `ahead`: of its clock,
    in seconds.
    """

    name: str
    index: int | None
    address: Address | None
    status: NodeStatus | None = None
    ahead: float | None = None
    error: VotenetError | None = None
    proven: bool = False
    node_key: str = ""
    given: bool = False

    @property
    def is_named(self) -> bool:
        """Whether it answers and has proved the key of a named node; others may say that they are one.

        A given node may be dialled at an address that it does not know as its own. For a found one that is no
        proof: a liar may pass on the handshake of a named node, and answer all else itself.
        """
        has_proved = self.proven or (self.given and bool(self.node_key))
        return self.index is not None and self.status is not None and has_proved


class SeenServer(NamedTuple):
    """One bootstrap server; `error`: why it gave no list."""

    address: Address
    error: VotenetError | None


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something at an address that should not be so.

    `kind`: other-key (it claims to be the named node `index`, without its key), key-twice (another process
    has its key), other-network (it runs with another genesis file, of the network `detail`).
    """

    kind: str
    address: Address
    index: int | None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NetworkView:
    """All nodes that were found: named ones first, in the order of the definition, all of them.

    `silent`: other addresses that were named to us, and do not answer. `left_out`: addresses that were not
    dialled, because there were too many. `late`: the time was over before all were asked. `results`: the
    count of a node, where it was asked for.
    """

    election: Election
    nodes: tuple[SeenNode, ...]
    servers: tuple[SeenServer, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    silent: tuple[Address, ...] = ()
    left_out: int = 0
    late: bool = False
    results: Results | None = None

    @property
    def final(self) -> bool:
        """Whether the end is final, with a result or cancelled, by the count of a node."""
        return self.results is not None and self.results.ended

    @property
    def answering(self) -> list[SeenNode]:
        """Nodes whose status is known."""
        return [node for node in self.nodes if node.status is not None]

    @property
    def believed(self) -> list[SeenNode]:
        """Nodes that answer, and whose word on the election counts: where nodes are named, none but these."""
        return [node for node in self.answering if node.is_named or not self.election.named]

    @property
    def named_answering(self) -> int:
        """How many named nodes answer."""
        return sum(node.is_named for node in self.nodes)

    @property
    def taking_part(self) -> int:
        """How many named nodes answer, of which neither they nor we know that they decide nothing now."""
        return sum(node.is_named and not self._is_out(node) for node in self.nodes)

    def has_twin(self, node: SeenNode) -> bool:
        """Whether another process has the key of this named node."""
        return any(one.kind == KEY_TWICE and one.index == node.index for one in self.oddities)

    def _is_out(self, node: SeenNode) -> bool:
        warnings = node.status.warnings if node.status is not None else ()
        return self.has_twin(node) or any(one.code in COUNTS_AS_DOWN for one in warnings)


async def look_at_network(way: WayIn, seconds: float = VIEW_SECONDS) -> NetworkView:
    """Find all nodes of a network and ask each; what fails is part of the view."""
    search = _Search(way)
    try:
        async with asyncio.timeout(seconds):
            await search.run()
    except TimeoutError:
        search.late = True
    return search.view()


async def list_servers(addresses: Iterable[Address]) -> list[tuple[Address, list[KnownPeer] | VotenetError]]:
    """What bootstrap servers list, MAX_LISTED peers of each at most, or why they do not; all at once."""
    asked = list(dict.fromkeys(addresses))[:MAX_SERVERS]
    return list(zip(asked, await asyncio.gather(*map(_list_of, asked)), strict=True))


async def _list_of(server: Address) -> list[KnownPeer] | VotenetError:
    found: list[KnownPeer] = []
    try:
        async with asyncio.timeout(SERVER_SECONDS), contextlib.aclosing(all_peers(server)) as peers:  # type: ignore[type-var]
            async for peer in peers:
                found.append(peer)
                if len(found) == MAX_LISTED:
                    break
    except TimeoutError:
        return found or Unreachable(f"{server} gave no list within {SERVER_SECONDS:g} s")
    except VotenetError as error:
        return found or error
    return found


@dataclass(slots=True)
class _Place:
    """An address that may be that of a node. `keys`: which it is said to have. `asked`: it was dialled."""

    address: Address
    rank: Rank
    keys: set[str] = field(default_factory=set)
    asked: bool = False
    found: Probe | VotenetError | None = None


class _Search:
    """One look. Places are added while others are asked."""

    def __init__(self, way: WayIn) -> None:
        self._way, self.late = way, False
        self._index = {node.node_key: place for place, node in enumerate(way.election.definition.nodes)}
        self._names = [node.name for node in way.election.definition.nodes]
        self._places: dict[Address, _Place] = {}
        self._servers: dict[Address, VotenetError | None] = {}
        self._left_out: set[Address] = set()

    async def run(self) -> None:
        way = self._way
        for address in way.nodes:
            self._add(address, Rank.GIVEN)
        for key, address in way.places.items():
            if key in self._index:
                self._add(address, Rank.NAMED, key)
        self._add_all(way.listed, Rank.LISTED, way.page_host)
        await asyncio.gather(self._ask_batch(), self._ask_servers(way.bootstraps))
        left = True
        while left:
            servers = [] if way.bootstraps else self._servers_of_named()
            asked, _ = await asyncio.gather(self._ask_batch(), self._ask_servers(servers))
            left = asked or bool(servers)

    # -- places ----------------------------------------------------------------------------------

    def _add(self, address: Address, rank: Rank, key: str | None = None) -> None:
        known = self._places.get(address)
        if known is None:
            if len(self._places) >= MAX_DIALLED and not self._make_room(rank):
                self._left_out.add(address)
                return
            known = self._places[address] = _Place(address, rank)
        known.rank = min(known.rank, rank)
        if key is not None:
            known.keys.add(key)

    def _make_room(self, rank: Rank) -> bool:
        """Leave the last of the worst addresses out, if it was not dialled yet and is worse than `rank`."""
        waiting = [place for place in reversed(self._places.values()) if not place.asked]
        worst = max(waiting, key=lambda place: place.rank, default=None)
        if worst is None or worst.rank <= rank:
            return False
        del self._places[worst.address]
        self._left_out.add(worst.address)
        return True

    def _add_all(self, addresses: Sequence[Address], rank: Rank, source: str) -> None:
        """Addresses that a source named; those of its own machine are nowhere for others."""
        usable = [one for one in addresses if means_something(one, source)]
        self._left_out.update(usable[MAX_OF_SOURCE:])
        for address in usable[:MAX_OF_SOURCE]:
            self._add(address, rank)

    async def _ask_servers(self, servers: Sequence[Address]) -> None:
        for server, listed in await list_servers(servers):
            self._servers[server] = listed if isinstance(listed, VotenetError) else None
            if not isinstance(listed, VotenetError):
                self._add_listed(listed, server.host)

    def _add_listed(self, peers: Iterable[KnownPeer], source: str) -> None:
        """Named nodes of any network (theirs may be a wrong one), MAX_PLACES each; others of this network."""
        places: dict[str, int] = {}
        others: list[Address] = []
        for peer in peers:
            try:
                address = parse_address(peer.address)
            except Rejected:
                continue
            if not means_something(address, source):
                continue
            if peer.node_key in self._index:
                assert peer.node_key is not None
                places[peer.node_key] = places.get(peer.node_key, 0) + 1
                if places[peer.node_key] <= MAX_PLACES:
                    self._add(address, Rank.NAMED, peer.node_key)
            elif peer.network_id in (None, self._way.election.network_hex):
                others.append(address)
        self._add_all(others, Rank.LISTED, source)

    def _servers_of_named(self) -> list[Address]:
        """Bootstrap servers that proven named nodes use, and that were not asked yet."""
        named = filter(self._is_named, self._probes())
        found = dict.fromkeys(
            server for one in named for server in one.servers if means_something(server, one.address.host)
        )
        return [server for server in found if server not in self._servers][: MAX_SERVERS - len(self._servers)]

    # -- asking ----------------------------------------------------------------------------------

    async def _ask_batch(self) -> bool:
        """Ask the next nodes, all at once. False: there is none left."""
        waiting = [place for place in self._places.values() if not place.asked]
        batch = sorted(waiting, key=lambda place: place.rank)[:AT_ONCE]
        for place in batch:
            place.asked = True
        await asyncio.gather(*map(self._ask, batch))
        return bool(batch)

    async def _ask(self, place: _Place) -> None:
        try:
            # A name that others list may lead elsewhere the next time: it must be the node's own.
            found = await probe_node(place.address, as_written=place.rank is not Rank.GIVEN)
        except VotenetError as error:
            place.found = error
            return
        place.found = found
        if found.status.network_id != self._way.election.network_hex:
            return
        rank = Rank.KNOWN_TO_NAMED if self._is_named(found) else Rank.KNOWN_TO_RELAY
        self._add_all(found.peers, rank, place.address.host)

    # -- the view --------------------------------------------------------------------------------

    def _probes(self) -> list[Probe]:
        return [place.found for place in self._places.values() if isinstance(place.found, Probe)]

    def _of_network(self) -> list[Probe]:
        ours = self._way.election.network_hex
        return [probe for probe in self._probes() if probe.status.network_id == ours]

    def view(self) -> NetworkView:
        named = [self._named(index) for index in range(len(self._names))]
        shown = {node.address for node in named if node.address is not None}
        nodes = (*named, *self._relays(shown), *self._given_without_answer(shown))
        silent = [
            place.address for place in self._places.values()
            if not isinstance(place.found, Probe) and place.rank is not Rank.GIVEN
            and place.address not in shown
        ]  # fmt: skip
        return NetworkView(
            election=self._way.election,
            nodes=nodes,
            servers=tuple(SeenServer(address, error) for address, error in self._servers.items()),
            oddities=tuple(self._oddities(named)),
            silent=tuple(silent),
            left_out=len(self._left_out - self._places.keys()),
            late=self.late,
        )

    def _holders(self, index: int) -> list[Probe]:
        """Places of this network whose node has proved the key of a named node.

        Proven addresses come first, then given ones.
        """
        key = self._way.election.definition.nodes[index].node_key
        found = [(one.proof, one) for one in self._of_network() if one.proof and one.proof.node_key == key]
        found.sort(key=lambda pair: (not pair[0].proven, not self._is_given(pair[1])))
        return [one for _, one in found]

    def _is_named(self, probe: Probe) -> bool:
        """Whether a named node has proved its key there: for the dialled address, unless that was given."""
        proof = probe.proof
        return proof is not None and proof.node_key in self._index and (proof.proven or self._is_given(probe))

    def _is_given(self, probe: Probe) -> bool:
        return self._places[probe.address].rank is Rank.GIVEN

    def _seen(self, probe: Probe, name: str, index: int | None) -> SeenNode:
        proof = probe.proof
        return SeenNode(
            name=name,
            index=index,
            address=probe.address,
            status=probe.status,
            ahead=probe.ahead,
            error=probe.error,
            proven=proof is not None and proof.proven,
            node_key="" if proof is None else proof.node_key,
            given=self._is_given(probe),
        )

    def _named(self, index: int) -> SeenNode:
        """A named node where it answers; else where it was looked for, and what came of that."""
        name = self._names[index]
        for probe in self._holders(index):
            return self._seen(probe, name, index)
        key = self._way.election.definition.nodes[index].node_key
        for probe in self._of_network():
            if probe.proof is None and key in (probe.status.node_key, *self._places[probe.address].keys):
                return self._seen(probe, name, index)
        address, error = self._why_missing(key)
        return SeenNode(name, index, address, error=error, node_key=key)

    def _why_missing(self, key: str) -> tuple[Address | None, VotenetError]:
        """Where a named node was looked for, and what is there instead."""
        for place in self._places.values():
            found = place.found
            if isinstance(found, Probe) and found.proof is not None and found.proof.node_key == key:
                why = f"the node at {place.address} runs with another genesis file"
                return place.address, Unreachable(why, code="other-network")
        for place in self._places.values():
            if key in place.keys and not isinstance(place.found, Probe):
                late = Unreachable(f"{place.address} was not asked in time")
                return place.address, place.found or late
        why = "no address of it is known: no bootstrap server, page or node that answers has named one"
        return None, Unreachable(why, code="no-address")

    def _relays(self, shown: set[Address]) -> list[SeenNode]:
        """Nodes that are not named, each once; one that also answers at another address is the same."""
        found: dict[tuple[str, int] | Address, SeenNode] = {}
        for probe in self._of_network():
            proof = probe.proof
            if probe.address in shown or (proof is not None and proof.node_key in self._index):
                continue
            who = probe.address if proof is None else (proof.node_key, proof.seed)
            if who not in found or (proof is not None and proof.proven and not found[who].proven):
                found[who] = self._seen(probe, probe.status.name, None)
        return sorted(found.values(), key=lambda node: (node.name, str(node.address)))

    def _given_without_answer(self, shown: set[Address]) -> list[SeenNode]:
        """Addresses that the user named, and that do not answer."""
        late = Unreachable("it was not asked in time")
        return [
            SeenNode("?", None, place.address, error=place.found or late, given=True)
            for place in self._places.values()
            if place.rank is Rank.GIVEN and not isinstance(place.found, Probe) and place.address not in shown
        ]

    def _oddities(self, named: Sequence[SeenNode]) -> Iterable[Oddity]:
        for index in range(len(self._names)):
            holders = self._holders(index)
            for other in holders[1:]:
                if _seed(other) != _seed(holders[0]):
                    yield Oddity(KEY_TWICE, other.address, index, str(holders[0].address))
        for place in self._places.values():
            if isinstance(place.found, Probe):
                yield from self._oddity_at(place, place.found, named)

    def _oddity_at(self, place: _Place, found: Probe, named: Sequence[SeenNode]) -> Iterable[Oddity]:
        proved = None if found.proof is None else self._index.get(found.proof.node_key)
        if found.status.network_id != self._way.election.network_hex:
            if proved is not None or place.rank is Rank.GIVEN:
                yield Oddity("other-network", place.address, proved, found.status.network_id)
            return
        if proved is not None or any(node.address == place.address for node in named):
            return
        said = self._index.get(found.status.node_key)
        if said is None and found.status.name in self._names:
            said = self._names.index(found.status.name)
        if said is None:  # a list may be old: it counts only where the node is not found
            missing = {node.node_key for node in named if node.status is None}
            said = next((self._index[key] for key in place.keys & missing), None)
        if said is not None:
            yield Oddity("other-key", place.address, said)


def _seed(probe: Probe) -> int | None:
    return None if probe.proof is None else probe.proof.seed


def means_something(address: Address, source: str) -> bool:
    """Whether an address that somebody at `source` names may be dialled from here."""
    return not is_own_host(address.host) or is_own_host(source)
