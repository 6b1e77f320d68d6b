"""Finding peers: bootstrap servers, hints, and dialling what the address book says.

What lives here: Discovery, the tasks that register, poll and dial. What must not: what is said on
a link once it is open.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

from votenet.errors import VotenetError
from votenet.network import bootstrap_client
from votenet.network.link_faults import Faults
from votenet.network.link_table import LinkTable
from votenet.network.transport import LinkLimits, connect
from votenet.protocol.address import Address
from votenet.protocol.address_book import AddressBook
from votenet.protocol.connection import Identity
from votenet.protocol.framing import MAX_PEER_LINE
from votenet.protocol.peer_record import DEFAULT_LIFETIME, SignedRecord, sign_record, sign_removal

PEER_LIMITS: Final = LinkLimits(max_line=MAX_PEER_LINE)
POLL_SECONDS: Final = 30.0
"""Between two questions for the list of peers, once registered (S12: polling)."""
RETRY_SECONDS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Waits between tries of a bootstrap server that does not answer."""
RENEW_SECONDS: Final = DEFAULT_LIFETIME / 4
DIAL_SECONDS: Final = 5.0
MAX_DIALS: Final = 8
"""Dials at one time."""
GOODBYE_SECONDS: Final = 2.0
"""How long a stopping node tries to take its address out of the registry (S13)."""

log = logging.getLogger("votenet.discovery")


class Discovery:
    """Keeps the address book filled and its due addresses dialled."""

    def __init__(
        self,
        book: AddressBook,
        links: LinkTable,
        identity: Identity,
        bootstraps: Iterable[Address],
        faults: Faults | None = None,
    ) -> None:
        self.book, self._links, self._identity = book, links, identity
        self._bootstraps, self._faults = tuple(bootstraps), faults
        self._asked: set[Address] = set()
        self._wake = asyncio.Event()
        self._dialling: set[str] = set()

    @property
    def settled(self) -> bool:
        """Every bootstrap server was tried once, and every address that is known was dialled once."""
        return len(self._asked) == len(self._bootstraps) and not self.book.untried(self.busy())

    def busy(self) -> set[str]:
        return self._links.busy_addresses() | self._dialling

    def hint(self, joined: bool, address: str) -> None:
        """Somebody says that a peer joined or left: look, before it is believed (S12, S13)."""
        if joined:
            if self.book.add(address):
                self._wake.set()
        elif address in self._links.busy_addresses():
            self._links.doubt(address)
        else:
            self.book.doubt(address)
            self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    async def keep_registered(self, bootstrap: Address) -> None:
        """Register, renew, and poll one bootstrap server, for as long as the node runs (S6)."""
        failures, renew_at = 0, 0.0
        while True:
            try:
                if time.monotonic() >= renew_at:
                    answer = await bootstrap_client.register(bootstrap, self._record())
                    renew_at = time.monotonic() + RENEW_SECONDS
                    log.info("bootstrap %s: %s", bootstrap, answer)
                for known in await bootstrap_client.get_peers(bootstrap):
                    if self.book.add(known.address):
                        self._wake.set()
                failures = 0
            except VotenetError as error:
                if not failures:
                    log.warning("bootstrap %s: %s", bootstrap, error.message)
                failures += 1
                renew_at = 0.0
            self._asked.add(bootstrap)
            self._wake.set()
            await asyncio.sleep(
                RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1] if failures else POLL_SECONDS
            )

    async def say_goodbye(self) -> None:
        """Take our address out of every registry, as far as that is quickly done (S13)."""
        removal = sign_removal(self._identity.key, self._identity.listen, sequence=_sequence())
        for bootstrap in self._bootstraps:
            try:
                await bootstrap_client.remove(bootstrap, removal, timeout=GOODBYE_SECONDS)
            except VotenetError as error:
                log.info("bootstrap %s did not take our goodbye: %s", bootstrap, error.message)

    async def keep_dialling(self, tasks: asyncio.TaskGroup) -> None:
        """Dial whatever the address book says is due, a few at a time."""
        while True:
            busy = self.busy()
            for address in self.book.due(time.monotonic(), busy)[: MAX_DIALS - len(self._dialling)]:
                self._dialling.add(str(address))
                tasks.create_task(self._dial(address), name=f"dial {address}")
            self._wake.clear()
            try:
                async with asyncio.timeout(0.25):
                    await self._wake.wait()
            except TimeoutError:
                pass  # some address may be due again

    async def _dial(self, address: Address) -> None:
        name = str(address)
        try:
            if self._faults is not None:
                await self._faults.passable(address, DIAL_SECONDS)
            link = await connect(self._links, address, PEER_LIMITS, timeout=DIAL_SECONDS)
        except VotenetError as error:
            log.debug("dial %s: %s", address, error.message)
            self.book.failed(name, time.monotonic())
        else:
            self._links.dialled(link, name)
            # Until the handshake is done this counts as a failure: the next try waits longer.
            self.book.failed(name, time.monotonic())
        finally:
            self._dialling.discard(name)
            self._wake.set()

    def refused_by(self, address: str, code: str) -> None:
        """A peer that we dialled closed the link with an error."""
        if code in ("duplicate-connection", "self-connection"):
            self.book.rest(address, time.monotonic())

    def _record(self) -> SignedRecord:
        return sign_record(
            self._identity.key,
            self._identity.listen,
            self._identity.network_hex,
            sequence=_sequence(),
            expires=int(time.time()) + DEFAULT_LIFETIME,
        )


def _sequence() -> int:
    """Grows from record to record, across restarts too: milliseconds since 1970."""
    return time.time_ns() // 1_000_000
