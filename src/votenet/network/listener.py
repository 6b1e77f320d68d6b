"""A listening socket, with caps on the connections of all and of one address."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from votenet.errors import ConfigError, Locked, RemoteProtocolError, VotenetError
from votenet.network.link_limits import LinkLimits
from votenet.network.transport import LINGER_SECONDS, Link, LinkHandler
from votenet.protocol.wire.address import Address, network_of_one

MAX_LINKS: Final = 1024
OTHER_FILES: Final = 200
"""Open files of a node beside the connections that it takes: those that it dials, the database, and room."""
TURNS_OF_A_CONNECTION: Final = 5
"""Of the event loop: from a connection that is accepted to its handler. asyncio needs three or four."""


class Listener:
    """A listening socket with caps on connections; an async context manager.

    Args:
        max_links: connections at one time in all.
        max_links_per_host: connections at one time from one address, or from one /64 network of IPv6.
        gate: why an address may not connect now, or None.
        victim: which of these links makes room for a new one, if any does.
        moved: told how many bytes a link has taken or been given.
        more_hosts: other addresses to listen on, at the same port.

    Raises (on entry):
        Locked: code port-taken, with who holds it.
        ConfigError: code cannot-listen.
    """

    def __init__(
        self,
        handler: LinkHandler,
        address: Address,
        limits: LinkLimits,
        *,
        max_links: int = MAX_LINKS,
        max_links_per_host: int = 512,
        gate: Callable[[str], VotenetError | None] | None = None,
        victim: Callable[[Iterable[Link]], Link | None] | None = None,
        moved: Callable[[int], None] | None = None,
        more_hosts: Sequence[str] = (),
    ) -> None:
        self._handler, self._limits, self._more_hosts = handler, limits, more_hosts
        self._gate, self._victim, self._moved = gate, victim, moved
        self._max_links, self._max_per_host = max_links, max_links_per_host
        self._hosts: Counter[str] = Counter()
        self._links: set[Link] = set()
        self._servers: list[asyncio.Server] = []
        self._all_gone: asyncio.Event | None = None
        self.address = address

    async def __aenter__(self) -> Listener:
        loop = asyncio.get_running_loop()
        for host in (self.address.host, *self._more_hosts):
            where = Address(host, self.address.port)
            try:
                server = await _listen(loop, self._new_link, where)
            except (OSError, UnicodeError) as error:
                await stop_accepting(self._servers)
                raise bind_error(where, error) from error
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]  # the others take the one that the first was given
            self.address = Address(self.address.host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_accepting(self._servers)
        for link in list(self._links):
            link.close()
        if self._links:
            self._all_gone = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_gone.wait(), 2 * LINGER_SECONDS)
        for link in list(self._links):
            link.abort()

    @property
    def links(self) -> int:
        return len(self._links)

    def _new_link(self) -> Link:
        return Link(self._handler, self._limits, admit=self._admit, released=self._release, moved=self._moved)

    def _admit(self, link: Link) -> VotenetError | None:
        refusal = None if self._gate is None else self._gate(link.host)
        if refusal is not None:
            return refusal
        owner = _owner(link)
        if self._hosts[owner] >= self._max_per_host:
            room = self._make_room(other for other in self._links if _owner(other) == owner)
        else:
            room = len(self._links) < self._max_links or self._make_room(self._links)
        if not room:
            return RemoteProtocolError("too-many-connections", "this server is full")
        self._links.add(link)
        self._hosts[owner] += 1
        return None

    def _make_room(self, links: Iterable[Link]) -> bool:
        victim = None if self._victim is None else self._victim(links)
        if victim is None:
            return False
        self._release(victim)
        victim.evict(RemoteProtocolError("too-many-connections", "others need this connection more"))
        return True

    def _release(self, link: Link) -> None:
        if link in self._links:
            self._links.discard(link)
            owner = _owner(link)
            self._hosts[owner] -= 1
            if not self._hosts[owner]:
                del self._hosts[owner]
        if self._all_gone is not None and not self._links:
            self._all_gone.set()


def _owner(link: Link) -> str:
    """Whose connection it is: one who has an address of IPv6 has all of its /64 network."""
    return network_of_one(link.host)


def room_for_links(most: int) -> int:
    """How many connections of `most` a listener may hold and still have a file to accept the next with."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if files == resource.RLIM_INFINITY else max(1, min(most, files - OTHER_FILES))


async def stop_accepting(servers: Iterable[asyncio.Server]) -> None:
    """Close servers, once the connections that they have accepted are made.

    asyncio makes a connection some turns of its loop after it was accepted. If the server is closed
    meanwhile, that fails in the loop, and the socket stays open.
    """
    loop = asyncio.get_running_loop()
    servers = list(servers)
    for server in servers:
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())
    try:
        for _ in range(TURNS_OF_A_CONNECTION):
            await asyncio.sleep(0)
    finally:
        for server in servers:
            server.close()


async def _listen(
    loop: asyncio.AbstractEventLoop, new_link: Callable[[], Link], address: Address
) -> asyncio.Server:
    """Listen there; on `::` for IPv4 too, which asyncio would leave out."""
    if address.host != "::" or not socket.has_dualstack_ipv6():
        return await loop.create_server(new_link, address.host, address.port)
    listening = socket.create_server(
        (address.host, address.port), family=socket.AF_INET6, backlog=100, dualstack_ipv6=True
    )
    return await loop.create_server(new_link, sock=listening)


def bind_error(address: Address, error: OSError | UnicodeError) -> Locked | ConfigError:
    """A sentence for a person out of a failed bind. A taken port may be free later: supervisors try again.

    A UnicodeError says that no host can have this name.
    """
    if isinstance(error, UnicodeError):
        return ConfigError(
            f"cannot listen on {address}: {address.host!r} is no host's name",
            code="cannot-listen",
            next_step="Give an IP address of this machine, or a name that leads to one.",
        )
    if error.errno == errno.EADDRINUSE:
        holder = port_holder(address.port)
        return Locked(
            f"port {address.port} is taken" + (f" by {holder}" if holder else ""),
            code="port-taken",
            next_step="Stop that program, or choose another port.",
        )
    return ConfigError(
        f"cannot listen on {address}: {error.strerror or error}",
        code="cannot-listen",
        next_step="Choose an address of this machine and a port above 1023.",
    )


def port_holder(port: int) -> str:
    """`pid 812 (python3 -m votenet node)` for the listener of a TCP port, or '' when not visible."""
    import psutil  # only when a port is taken: keeps the start of every program short

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for found in connections:
        if found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port and found.pid:
            try:
                command = " ".join(psutil.Process(found.pid).cmdline())[:120]
            except psutil.Error:
                command = "?"
            return f"pid {found.pid} ({command})"
    return ""
