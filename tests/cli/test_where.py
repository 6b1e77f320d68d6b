"""What may stand behind `--network`, and what each kind of nonsense is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, RunningNode

from support.elections import make_election, named_nodes
from support.page import serving
from support.posed_nodes import PosedNode, listed, posed, posed_server
from support.tls import certificate
from votenet.cli.where import HERE, find_way_in
from votenet.config import known_dir
from votenet.errors import VotenetError
from votenet.protocol.wire.address import Address
from votenet.storage.known_elections import KnownElections

ELECTION = make_election(nodes=named_nodes(4))
UNKNOWN = "ab" * 32


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOTENET_HOME", str(tmp_path / "home"))


def refused(where: str, *bootstraps: Address) -> tuple[str, str]:
    """Code and next step."""
    with pytest.raises(VotenetError) as error:
        find_way_in(where, bootstraps, "default")
    return error.value.code, str(error.value.next_step)


@pytest.mark.parametrize(
    ("where", "code", "step"),
    [
        ("", "bad-network", "HOST:PORT of a node"),
        ("north", "bad-network", "HOST:PORT of a node"),
        ("127.0.0.1", "bad-network", "HOST:PORT of a node"),
        ("127.0.0.1:99999", "bad-network", "HOST:PORT of a node"),
        ("127.1:3000", "bad-network", "HOST:PORT of a node"),
        ("ftp://vote.example.org", "bad-url", "https://vote.example.org"),
        ("https://", "bad-url", "https://vote.example.org"),
        ("http://127.0.0.1:1", "unreachable", ""),
        ("127.0.0.1:1", "unreachable", "Check the address"),
        ("ab" * 31, "bad-network-id", "votenet ls"),
        ("ab" * 33, "bad-network-id", "votenet ls"),
        (UNKNOWN, "unknown-network", "--bootstrap"),
        ("missing/genesis.json", "bad-genesis", "genesis file"),
        (HERE, "not-running", "--network"),
        ("/" * 5000, "bad-genesis", "genesis file"),
        ("x" * 5000 + ".json", "bad-genesis", "genesis file"),
        ("x" * 5000, "bad-network", "HOST:PORT of a node"),
        ("bad\udcff", "bad-network", "HOST:PORT of a node"),
        ("bad\udcff.json", "bad-genesis", "genesis file"),
        ("http://bad\udcff", "bad-url", "https://vote.example.org"),
        ("http://" + "x" * 5000, "unreachable", ""),
        ("http://m\u00fcnchen..example:1", "unreachable", ""),
    ],
)
def test_each_kind_of_nonsense_has_a_code_and_a_next_step(where: str, code: str, step: str) -> None:
    found, said = refused(where)
    assert found == code
    assert step in said
    assert said


def test_a_file_that_is_no_genesis_file(tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text('{"kind": "something else"}')
    assert refused(str(tmp_path / "genesis.json"))[0] == "bad-genesis"
    assert refused(str(tmp_path))[0] == "bad-genesis"


def test_a_genesis_file_alone_does_not_say_where_its_network_is(tmp_path: Path) -> None:
    path = tmp_path / "genesis.json"
    path.write_bytes(ELECTION.to_file())
    code, step = refused(str(path))
    assert (code, "--bootstrap" in step) == ("no-bootstrap", True)
    server = Address("10.0.0.1", 4000)
    way = find_way_in(str(path), [server], "default")
    assert (way.election.network_id, way.bootstraps) == (ELECTION.network_id, (server,))
    assert find_way_in(str(tmp_path), [server], "default").bootstraps == (server,)


def test_a_network_that_this_user_has_met_needs_no_bootstrap_server(tmp_path: Path) -> None:
    node = PosedNode(ELECTION, 0)
    KnownElections(known_dir()).remember_network(str(node.address), ELECTION.network_hex)
    path = tmp_path / "genesis.json"
    path.write_bytes(ELECTION.to_file())
    with posed(node):
        assert find_way_in(str(path), (), "default").listed == (node.address,)
        assert find_way_in(ELECTION.network_hex.upper(), (), "default").listed == (node.address,)


def test_bootstrap_servers_alone_are_enough_where_they_have_one_network() -> None:
    node = PosedNode(ELECTION, 0)
    with posed(node), posed_server(lambda: [listed(node)]) as server:
        assert find_way_in(HERE, [server], "default").election.network_id == ELECTION.network_id
        assert find_way_in(ELECTION.network_hex, [server], "default").bootstraps == (server,)


def test_a_node_by_its_address(node: RunningNode) -> None:
    way = find_way_in(str(node.address), (), "default")
    assert (way.nodes, way.election.network_id) == ((node.address,), node.election.network_id)


def test_bootstrap_goes_with_network_and_must_be_an_address(cli: Callable[..., CommandResult]) -> None:
    done = cli("status", "--bootstrap", "127.0.0.1:4000")
    assert (done.code, "--bootstrap goes with --network" in done.err) == (2, True)
    assert cli("status", "--network", "--bootstrap", "nowhere").code == 2
    assert cli("status", "--network", "--voter", "v").code == 2


def test_a_program_that_is_no_page() -> None:
    node = PosedNode(ELECTION, 0)
    with posed(node):  # it speaks, but not HTTP
        assert refused(f"http://{node.address}")[0] == "unreachable"


@pytest.mark.parametrize(("days", "says"), [(-1, "has expired"), (2, "does not hold")])
def test_a_page_whose_certificate_has_expired_or_is_not_trusted(
    days: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert if days < 0 else certificate(tmp_path, "other")[0]))

    async def run() -> VotenetError:
        async with serving(tls_cert=cert, tls_key=key) as page:
            with pytest.raises(VotenetError) as error:
                await asyncio.to_thread(find_way_in, f"https://{page.address}", (), "default")
        return error.value

    error = asyncio.run(run())
    assert (error.code, says in error.message, bool(error.next_step)) == ("bad-certificate", True, True)
