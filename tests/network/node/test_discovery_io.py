"""Finding peers: registration, the four ways of discovery, hints, dials that fail, servers that come back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest

from support.elections import key_of, make_election
from support.peers import served
from support.ports import free_port
from votenet.network import bootstrap_client
from votenet.network.dialback import DialBack
from votenet.network.node.discovery_io import (
    ASKED,
    LOOK_UPS_OF_DOMAIN,
    LOOK_UPS_OF_NEVER_MET,
    MAX_ADDRESSES_OF_SERVER,
    RECORDS_AHEAD,
    DiscoveryIO,
)
from votenet.network.node.links import Behind, LinkTable
from votenet.network.resolver import Names
from votenet.protocol.bootstrap.bootstrap_messages import MAX_ANSWER_LINE, KnownPeer
from votenet.protocol.bootstrap.peer_record import MAX_LIFETIME
from votenet.protocol.node.events import HINT_LEFT, Hint, LinkDown, PeerUp
from votenet.protocol.peers import bootstrap_servers as servers_module
from votenet.protocol.peers import discovery as discovery_module
from votenet.protocol.peers.address_manager import LOCAL, AddressManager, group_of
from votenet.protocol.peers.discovery import BROADCAST, GOSSIP
from votenet.protocol.peers.named_nodes import NamedNodes
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.connection import Connection, LocalNode, PeerInfo
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import GetPeers, NotReached

OWN, PEER = "127.0.0.1:3000", "127.0.0.1:3001"
NETWORK = make_election().network_hex


class FakeLinks:
    """What discovery needs of a LinkTable."""

    def __init__(self, *busy: str) -> None:
        self.busy = set(busy)
        self.doubted: list[str] = []
        self.dials: list[str] = []
        self.links: list[Any] = []
        self.hosts: dict[int, Behind] = {}
        self.parted: list[int] = []
        self.marked: list[tuple[int, str]] = []
        self.sent: list[tuple[int, bytes]] = []

    def busy_addresses(self) -> set[str]:
        return self.busy

    def doubt(self, address: str) -> None:
        self.doubted.append(address)

    def dialled(self, link: Any, address: str) -> None:
        self.dials.append(address)

    def behind(self, link_id: int) -> Behind | None:
        return self.hosts.get(link_id)

    def source(self, link_id: int) -> str:
        behind = self.behind(link_id)
        return LOCAL if behind is None else group_of(behind.host)

    def confirm_address(self, link_id: int, address: str) -> None:
        self.marked.append((link_id, address))

    def disconnect(self, link_id: int) -> None:
        self.parted.append(link_id)

    def send(self, link_id: int, line: bytes) -> None:
        self.sent.append((link_id, line))

    def link_opened(self, link: Any) -> None:
        self.links.append(link)

    def line_received(self, link: Any, line: bytes) -> None:
        return None

    def link_closed(self, link: Any, reason: Any) -> None:
        return None


def make(
    links: FakeLinks, *bootstraps: Address, names: Names | None = None, named: NamedNodes | None = None
) -> DiscoveryIO:
    identity, addresses = LocalNode(key_of("us"), NETWORK, OWN), AddressManager(OWN)
    return DiscoveryIO(addresses, cast(LinkTable, links), identity, bootstraps, names=names, named=named)


async def work(found: DiscoveryIO) -> None:
    async with asyncio.TaskGroup() as tasks:
        await found.run(tasks)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a test, and wait until every socket that it opened is closed."""

    async def whole() -> None:
        async with asyncio.timeout(60):
            await main()
            loop: Any = asyncio.get_running_loop()
            await until(lambda: len(loop._selector.get_map()) <= 1)  # the loop's own wake-up socket
            await asyncio.sleep(0)

    asyncio.run(whole())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.002)


class FakeBootstrap:
    """Answers as the bootstrap server does, and keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.peers = [{"address": PEER}, {"address": OWN}, {"address": "junk"}]
        self.enough = asyncio.Event()
        self.refusal = ""
        self.stale = 0
        """Records that are refused because another one overtook them."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if not line:  # its client was ended before it said anything
            return
        request = json.loads(line)
        self.requests.append(request)
        answers = {
            "REGISTER": "Peer registered successfully",
            "GET_PEERS": json.dumps(self.peers),
            "REMOVE": "Peer removed successfully",
        }
        if request["type"] == "REGISTER" and self.stale:
            self.stale -= 1
            answers["REGISTER"] = json.dumps({"error": {"code": "stale-record", "message": "m"}})
        if self.refusal:
            answers["REGISTER"] = json.dumps({"error": {"code": self.refusal, "message": "m"}})
        writer.write(answers[request["type"]].encode().replace(b'": ', b'":') + b"\n")
        if request["type"] != "REGISTER":
            self.enough.set()


@contextlib.asynccontextmanager
async def bootstrap() -> AsyncIterator[tuple[FakeBootstrap, Address]]:
    fake = FakeBootstrap()
    async with served(fake.serve) as address:
        yield fake, address


@contextlib.asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    """A task beside the test, cancelled at its end."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        try:
            yield
        finally:
            task.cancel()


def closed_port() -> Address:
    return Address("127.0.0.1", free_port())


# -- bootstrap servers -----------------------------------------------------------------------------


def test_a_node_registers_signed_and_adds_all_peers_but_itself() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            found = make(FakeLinks(PEER), address)
            assert not found.settled
            async with running(work(found)):
                await until(lambda: PEER in found.addresses)
        register, get_peers = fake.requests[:2]
        assert register["type"] == "REGISTER"
        assert register["payload"]["record"]["address"] == OWN
        assert register["payload"]["record"]["network_id"] == NETWORK
        assert register["payload"]["record"]["node_key"] == key_of("us").public_hex
        assert get_peers["type"] == "GET_PEERS"
        assert len(found.addresses) == 1
        assert not found.settled, "its link to the peer is open, but the handshake is not done"

    run(main)


def test_what_a_server_can_make_a_node_read_is_little_and_least_if_a_peer_named_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, learnt = Address("ours.example", 4000), Address("evil.example", 4000)
    asked: list[tuple[Address, int, int]] = []

    async def get_peers(server: Address, *, sample: int, most: int, max_line: int) -> list[KnownPeer]:
        asked.append((server, most, max_line))
        return []

    async def main() -> None:
        monkeypatch.setattr(bootstrap_client, "get_peers", get_peers)
        hosts = [f"10.0.0.{number}" for number in range(1, 7)]
        found = make(FakeLinks(), ours, names=Names(lambda host: hosts))
        found.core.servers.learn(learnt)
        for address in (ours, learnt):
            await found._ask_bootstrap(servers_module.AskBootstrap(address, register=False))
        servers = [Address(host, 4000) for host in hosts[:MAX_ADDRESSES_OF_SERVER]]
        assert asked == [(at, ASKED, bootstrap_client.MAX_LIST_LINE) for at in servers] + [
            (at, ASKED, MAX_ANSWER_LINE) for at in servers
        ]

    run(main)


def test_a_clock_that_is_set_back_does_not_make_records_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        found = make(FakeLinks())
        first = found.next_sequence()
        monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
        assert first < found.next_sequence() < found.next_sequence()

    run(main)


def test_the_list_is_polled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers_module, "LIST_SECONDS", 0.01)

    async def main() -> None:
        async with bootstrap() as (fake, address):
            found = make(FakeLinks(PEER, "127.0.0.1:3005"), address)
            async with running(work(found)):
                await fake.enough.wait()
                fake.peers.append({"address": "127.0.0.1:3005"})
                await until(lambda: "127.0.0.1:3005" in found.addresses)
        assert [r["type"] for r in fake.requests].count("REGISTER") == 1

    run(main)


def test_a_server_that_is_down_is_tried_again_and_delays_no_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers_module, "SERVER_RETRY_SECONDS", (0.01,))

    async def main() -> None:
        down = closed_port()
        found = make(FakeLinks(PEER), down)
        fake = FakeBootstrap()
        async with running(work(found)):
            await until(lambda: {one.code for one in found.wrong()} == {"cut-off", "bootstrap-failed"})
            assert not found.settled, "no node is known, and no server has said that there is none"
            async with served(fake.serve, down.host, down.port):
                await fake.enough.wait()
                await until(lambda: found.settled)
                await until(lambda: found.wrong() == ())
        assert fake.requests[0]["type"] == "REGISTER"

    run(main)


def test_the_list_of_a_server_that_refuses_our_record_is_kept() -> None:
    """Behind a port mapping a server sees another address than the one we name."""

    async def main() -> None:
        links = FakeLinks(PEER)
        async with bootstrap() as (fake, address):
            fake.refusal = "not-owner"
            fake.peers = [{"address": PEER, "node_key": "ab" * 32, "network_id": NETWORK}]
            found = make(links, address)
            async with running(work(found)):
                await until(lambda: PEER in found.addresses)
            (warning,) = [warning for warning in found.wrong() if warning.code == "bootstrap-failed"]
            assert "does not register this node" in warning.message
            assert "[not-owner]" in warning.message
            assert "none of the 1 other nodes" in found.core.cut_off(0.0)

    run(main)


def test_a_record_that_another_one_overtook_is_signed_anew() -> None:
    """Of several servers over one registry each gets a record at the same moment."""

    async def main() -> None:
        async with bootstrap() as (fake, address):
            fake.stale = len(RECORDS_AHEAD) - 1
            found = make(FakeLinks(PEER), address)
            async with running(work(found)):
                await fake.enough.wait()
                await until(lambda: PEER in found.addresses)
            assert "bootstrap-failed" not in {warning.code for warning in found.wrong()}
        sent = [one["payload"]["record"] for one in fake.requests if one["type"] == "REGISTER"]
        sequences = [record["sequence"] for record in sent]
        assert len(sent) == len(RECORDS_AHEAD)
        assert sequences == sorted(set(sequences))
        assert sequences[-1] / 1000 > time.time() + MAX_LIFETIME - 60, "it passes what a wrong clock signed"

    run(main)


def test_a_server_that_refuses_every_record_as_stale_is_not_asked_for_ever() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            fake.stale = 1000
            found = make(FakeLinks(PEER), address)
            async with running(work(found)):
                await fake.enough.wait()
                await until(lambda: "bootstrap-failed" in {warning.code for warning in found.wrong()})
        assert [one["type"] for one in fake.requests].count("REGISTER") == len(RECORDS_AHEAD)

    run(main)


def test_only_nodes_of_this_network_with_a_key_of_their_own_are_others() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            ours = key_of("us").public_hex
            fake.peers = [
                {"address": "127.0.0.1:3007"},  # reference nodes
                {"address": "127.0.0.1:3008", "node_key": ours, "network_id": NETWORK},  # ourselves, once
                {"address": "127.0.0.1:3009", "node_key": "ab" * 32, "network_id": "cd" * 32},
            ]
            found = make(FakeLinks(), address)
            async with running(work(found)):
                await fake.enough.wait()
                await until(lambda: found.core.servers.answering())
            assert found.core.other_nodes() == set()
            assert "127.0.0.1:3009" not in found.addresses

    run(main)


def test_every_address_of_a_servers_name_is_asked() -> None:
    async def main() -> None:
        one, two = FakeBootstrap(), FakeBootstrap()
        two.peers = [{"address": "127.0.0.1:3005"}]
        port = free_port()
        async with served(one.serve, "127.0.0.1", port), served(two.serve, "127.0.0.2", port):
            names = Names(lambda host: ["127.0.0.9", "127.0.0.1", "127.0.0.2"], seconds=60.0)
            links = FakeLinks(PEER, "127.0.0.1:3005")
            found = make(links, Address("boot.example.org", port), names=names)
            async with running(work(found)):
                await until(lambda: {PEER, "127.0.0.1:3005"} <= set(found.addresses))
        assert [request["type"] for request in one.requests] == ["REGISTER", "GET_PEERS"]
        assert [request["type"] for request in two.requests] == ["REGISTER", "GET_PEERS"]

    run(main)


def test_a_stopping_node_takes_its_address_out_wherever_it_can() -> None:
    async def main() -> None:
        async with bootstrap() as (fake, address):
            await make(FakeLinks(), closed_port(), address).say_goodbye()
        (removal,) = fake.requests
        assert removal["type"] == "REMOVE"
        assert removal["payload"]["removal"]["address"] == OWN

    run(main)


# -- hints -----------------------------------------------------------------------------------------


def inside(test: Callable[[], None]) -> None:
    async def main() -> None:
        test()

    run(main)


def test_a_peer_that_is_said_to_have_joined_is_dialled_before_it_is_believed() -> None:
    def test() -> None:
        found = make(FakeLinks())
        found.hint(Hint(BROADCAST, PEER, 1))
        assert [str(a) for a in found.addresses.due(0.0, set())] == [PEER]
        assert not found.addresses.is_met(PEER)
        for junk in ("", "x", OWN, "host:0", "\udcff:1"):
            found.hint(Hint(GOSSIP, junk, 1))
            found.hint(Hint(HINT_LEFT, junk, 1))
        assert len(found.addresses) == 1

    inside(test)


def test_another_machine_names_no_ports_of_this_one() -> None:
    def test() -> None:
        links = FakeLinks()
        links.hosts = {1: Behind("10.0.0.1", "", False), 2: Behind("127.0.0.1", "", False)}
        found = make(links)
        for named in (PEER, "localhost:22", "a.localhost:22", "[::1]:22", "10.7.0.1:3000"):
            found.hint(Hint(GOSSIP, named, 1))
        assert set(found.addresses) == {"10.7.0.1:3000"}
        found.hint(Hint(GOSSIP, PEER, 2))
        assert PEER in found.addresses

    inside(test)


def test_a_joined_peer_that_is_said_to_have_left_is_asked() -> None:
    def test() -> None:
        links = FakeLinks(PEER)
        found = make(links)
        found.addresses.add(PEER)
        found.hint(Hint(HINT_LEFT, PEER, 1))
        assert links.doubted == [PEER]
        assert PEER in found.addresses

    inside(test)


def test_two_hosts_must_say_that_our_address_is_false(caplog: pytest.LogCaptureFixture) -> None:
    def test() -> None:
        links = FakeLinks(PEER)
        found = make(links)
        links.hosts = {n: Behind(f"10.0.0.{n}", "", False) for n in (1, 2)}
        for _ in range(3):
            found.not_reached(1, OWN, "203.0.113.7")
        found.not_reached(2, "another:1", "203.0.113.7")
        found.not_reached(3, OWN, "203.0.113.7")
        assert "--advertise" not in caplog.text
        found.not_reached(2, OWN, "203.0.113.7")
        found.not_reached(2, OWN, "203.0.113.7")
        (warning,) = [record.message for record in caplog.records if "--advertise" in record.message]
        assert f"cannot reach this node at {OWN}; they see this node at 203.0.113.7" in warning

    inside(test)


# -- dialling --------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def node_with_key(name: str) -> AsyncIterator[Address]:
    """Something that answers a hello as a node with this key does."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(LocalNode(key_of(name), NETWORK, ""), outbound=False, challenge=bytes(32))
        _, answers = connection.receive((await reader.readline()).strip(), 0, 0)
        writer.write(b"".join(encode_message(answer) + b"\n" for answer in answers))
        await reader.read()

    async with served(serve) as address:
        yield address


def test_due_addresses_are_dialled_and_failures_are_noted() -> None:
    async def main() -> None:
        links = FakeLinks(PEER)
        found = make(links)
        closed = closed_port()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with served(answer) as there:
            found.addresses.add(str(there)), found.addresses.add(str(closed))
            async with running(work(found)):
                await until(lambda: links.dials and not found.addresses.untried({str(there), str(closed)}))
            for link in links.links:
                link.abort()
        assert links.dials == [str(there)] * len(links.dials)
        assert {str(closed), str(there)}.isdisjoint(map(str, found.addresses.due(0.0, set())))

    run(main)


def test_names_of_strangers_that_hang_hold_up_no_name_of_the_operator() -> None:
    async def main() -> None:
        release, asked = threading.Event(), set[str]()

        def resolve(host: str) -> list[str]:
            asked.add(host)
            if host.startswith("slow"):
                release.wait(60)
                raise OSError
            return ["127.0.0.1"]

        links = FakeLinks()
        found = make(links, names=Names(resolve, seconds=0.01))
        for number in range(100):
            found.addresses.add(f"slow.liar{number}:3000")
        own = [Address(f"node.friend{number}", closed_port().port) for number in range(4)]
        async with running(work(found)):
            await until(lambda: len(asked) >= LOOK_UPS_OF_NEVER_MET)
            for name in own:
                found.addresses.add_configured(str(name))
            await until(lambda: {name.host for name in own} <= asked)
        assert len({host for host in asked if host.startswith("slow")}) == LOOK_UPS_OF_NEVER_MET
        assert all(f"slow.liar{number}:3000" in found.addresses for number in range(100))
        release.set()

    run(main)


def test_names_that_a_learnt_server_lists_under_the_key_of_a_named_node_have_the_limits_of_others() -> None:
    def test() -> None:
        ours, learnt = Address("10.254.0.1", 4000), Address("10.6.6.6", 4000)
        key = key_of("named").public_hex
        found = make(FakeLinks(), ours, named=NamedNodes({key: "north"}))
        found.core.servers.learn(learnt)
        for server, name in ((learnt, "slow.liar:3000"), (ours, "north.friend:3000")):
            found.core.bootstrap_answered(server, True, [name], 0.0, [name], {name: key})
        assert len(found._look_up_limits(Address("slow.liar", 3000))) == 3
        assert found._look_up_limits(Address("north.friend", 3000)) == ()

    inside(test)


def test_a_name_that_is_not_looked_up_for_lack_of_room_is_not_taken_for_dead() -> None:
    async def main() -> None:
        release = threading.Event()

        def resolve(host: str) -> list[str]:
            release.wait(60)
            raise OSError

        found = make(FakeLinks(), names=Names(resolve, seconds=0.01))
        names = [Address(f"a{number}.one.example", 3000) for number in range(LOOK_UPS_OF_DOMAIN + 1)]
        for name in names:
            found.addresses.add(str(name))
            await found._dial(name)
        release.set()
        now = time.monotonic()
        assert found.addresses.due(now + 2.0, set()) == names[:-1]
        assert names[-1] in found.addresses.due(now + discovery_module.NO_ROOM_REST + 1.0, set())

    run(main)


def test_a_peer_whose_name_finds_no_place_in_the_resolver_is_not_told_that_it_cannot_be_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(discovery_module, "CLAIM_CHECK_SECONDS", (0.0,))
    monkeypatch.setattr(discovery_module, "NO_ROOM_REST", 0.0)

    async def main() -> None:
        release, postponed = threading.Event(), list[str]()

        def resolve(host: str) -> list[str]:
            release.wait(60)
            raise OSError

        links = FakeLinks()
        links.hosts[1] = Behind("127.0.0.1", "", False)
        found = make(links, names=Names(resolve, seconds=0.01))
        for number in range(LOOK_UPS_OF_DOMAIN):
            await found._dial(Address(f"slow{number}.one.example", 3000))
        postpone = found.core.claim_postponed

        def noted(address: str, node_key: str, now: float) -> None:
            postponed.append(address)
            postpone(address, node_key, now)

        found.core.claim_postponed = noted  # type: ignore[method-assign]
        name = "pod.one.example:3000"
        found.peer_up(PeerUp(1, PeerInfo(key_of("them").public_hex, name, 0, 0), False))
        async with running(work(found)):
            await until(lambda: len(postponed) > 2)
        assert postponed == [name] * len(postponed)
        assert not [line for _, line in links.sent if b"not_reached" in line]
        release.set()

    run(main)


@pytest.mark.parametrize("holder", ["them", "another"])
def test_an_address_in_a_hello_is_dialled_back_and_believed_if_the_key_answers(
    monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    monkeypatch.setattr(discovery_module, "CLAIM_CHECK_SECONDS", (0.0,))

    async def main() -> None:
        async with node_with_key(holder) as address:
            links = FakeLinks(str(address))
            links.hosts[1] = Behind("127.0.0.1", "", False)
            found = make(links)
            found._back = DialBack(found._names, dial_seconds=60.0, answer_seconds=60.0)
            peer_info = PeerInfo(key_of("them").public_hex, str(address), 0, 0)
            found.peer_up(PeerUp(1, peer_info, False))
            told = (1, encode_message(NotReached(address=str(address), seen="127.0.0.1")))
            async with running(work(found)):
                if holder == "them":
                    await until(lambda: found.addresses.is_met(str(address)))
                else:
                    await until(lambda: told in links.sent)
            assert (told in links.sent) is (holder != "them")
            assert (1, encode_message(GetPeers())) in links.sent
            found.peer_down(LinkDown(1))

    run(main)


def test_an_address_that_leads_to_ourselves_or_to_a_friend_rests() -> None:
    def test() -> None:
        found = make(FakeLinks())
        for address, code in (("a:1", "duplicate-connection"), ("b:1", "self-connection"), ("c:1", "busy")):
            found.addresses.add(address)
            found.refused_by(address, code)
        assert [str(address) for address in found.addresses.due(0.0, set())] == ["c:1"]

    inside(test)
