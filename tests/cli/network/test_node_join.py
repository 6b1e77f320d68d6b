"""`votenet node join`: the right election, the right key, and nothing written where something is wrong."""

from __future__ import annotations

import contextlib
import json
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.cli.conftest import CommandResult, write_node_key

from support.elections import key_of, make_election, make_votes, named_nodes
from votenet.cli.network import node_join
from votenet.core.election.roll import Roll
from votenet.network.resolver import Names
from votenet.protocol.node.events import SaveVotes
from votenet.storage.blocks.sqlite_block_store import SqliteBlockStore
from votenet.storage.env_file import read_env_file
from votenet.storage.files import lock_data_dir

Cli = Callable[..., CommandResult]
ELECTION = make_election(nodes=named_nodes(3), title="Board")
OTHER = make_election(nodes=named_nodes(3), title="Another")
BOOTSTRAP = ("--bootstrap", "127.0.0.1:4000")
ONLY_WRITE = ("--yes", "--no-start")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a genesis file, and the key of the first named node, called north."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "genesis.json").write_bytes(ELECTION.to_file())
    write_node_key(tmp_path / "home/nodes/north", 0)
    return tmp_path


def north(here: Path) -> Path:
    return here / "home/nodes/north"


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def next_step(done: CommandResult) -> list[str]:
    """The words of the first command of the last line of stderr, without `votenet`."""
    line = done.err.rstrip().splitlines()[-1]
    return shlex.split(line[line.index("votenet ") :].split("; ")[0].split(", and")[0])[1:]


def test_join_writes_what_a_service_needs_and_says_how_to_start(cli: Cli, here: Path) -> None:
    done = cli("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert done.code == 0, done.err
    assert ELECTION.network_hex in done.out
    assert "named by the election" in done.out
    assert done.out.endswith("Start it with: votenet node run --name north\n")
    folder = north(here)
    assert files_of(folder) == ["genesis.json", "node.env", "node.key"]
    assert (folder / "genesis.json").read_bytes() == ELECTION.to_file()
    assert read_env_file(folder / "node.env") == {
        "VOTENET_NODE_NAME": named_nodes(1)[0].name,
        "VOTENET_NODE_DATA_DIR": str(folder),
        "VOTENET_NODE_GENESIS": str(folder / "genesis.json"),
        "VOTENET_NODE_BOOTSTRAP": "127.0.0.1:4000",
        "VOTENET_NODE_HOST": "127.0.0.1",
        "VOTENET_NODE_PORT": "3000",
        "VOTENET_NODE_ADVERTISE": "127.0.0.1:3000",
    }


def test_the_same_election_again_changes_what_is_given_and_keeps_the_rest(cli: Cli, here: Path) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *ONLY_WRITE)
    far = ("--bootstrap", "a.example.org:4000,b.example.org:4000", "--advertise", "north.example.org:3100")
    assert cli(*join, *far, "--metrics", "127.0.0.1:9400").code == 0
    env = north(here) / "node.env"
    env.write_text(f"{env.read_text()}VOTENET_NODE_THREADS=1\n")
    first = read_env_file(env)
    assert first["VOTENET_NODE_HOST"] == "0.0.0.0"
    assert cli(*join).code == 0
    assert read_env_file(env) == first
    assert cli(*join, "--listen", "[::1]:3200", "--advertise", "north.example.org:3300").code == 0
    changed = {"VOTENET_NODE_HOST": "::1", "VOTENET_NODE_PORT": "3200"}
    changed["VOTENET_NODE_ADVERTISE"] = "north.example.org:3300"
    assert read_env_file(env) == first | changed


@pytest.mark.parametrize(
    ("hosts", "shown"), [("::1", "[::1]:3200"), ("127.0.0.1 ::1", "127.0.0.1:3200, [::1]:3200")]
)
def test_a_node_that_listens_on_ipv6_or_on_several_addresses_does_so_after_another_join(
    cli: Cli, here: Path, hosts: str, shown: str
) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *ONLY_WRITE)
    assert cli(*join, *BOOTSTRAP, "--listen", "[::1]:3200").code == 0
    env = north(here) / "node.env"
    env.write_text(env.read_text().replace("HOST=::1", f"HOST={hosts}"))
    first = read_env_file(env)
    assert first["VOTENET_NODE_HOST"] == hosts
    done = cli(*join)
    assert done.code == 0, done.err
    assert shown in done.out
    assert read_env_file(env) == first


def test_another_election_is_refused_and_nothing_changes(cli: Cli, here: Path) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert cli(*join).code == 0
    (here / "genesis.json").write_bytes(OTHER.to_file())
    refused = cli(*join)
    assert (refused.code, "[other-election]" in refused.err) == (78, True)
    assert (north(here) / "genesis.json").read_bytes() == ELECTION.to_file()


def test_a_node_that_was_given_a_wrong_file_leaves_it_for_the_one_that_names_its_key(
    cli: Cli, here: Path
) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    (here / "genesis.json").write_bytes(OTHER.to_file())
    assert cli(*join).code == 0
    SqliteBlockStore(north(here), OTHER).close()
    (here / "genesis.json").write_bytes(ELECTION.to_file())
    refused = cli(*join)
    assert (refused.code, "[other-election]" in refused.err) == (78, True)
    assert next_step(refused)[-3:] == ["--network", "ID", "--yes"], "nobody has compared"
    done = cli(*join, "--network", ELECTION.network_hex)
    assert done.code == 0, done.err
    assert OTHER.network_hex in done.err
    assert (north(here) / "genesis.json").read_bytes() == ELECTION.to_file()
    SqliteBlockStore(north(here), ELECTION).close()
    aside = north(here) / f"left-{OTHER.network_hex[:16]}"
    assert str(aside) in done.err
    assert {"chain.db", "genesis.json", "node.env"} <= set(files_of(aside))


LEFT = make_election(
    nodes=named_nodes(3),
    title="With a roll",
    roll_root=Roll([("ann", key_of("ann").public_hex)]).root_hex,
    roll_size=1,
)
"""An election that a node joined by mistake."""


def test_a_node_that_leaves_an_election_takes_nothing_of_it_along_but_the_settings_of_its_machine(
    cli: Cli, here: Path
) -> None:
    (here / "genesis.json").write_bytes(LEFT.to_file())
    (here / "roll.json").write_bytes(Roll([("ann", key_of("ann").public_hex)]).to_file())
    first = (
        "--roll",
        "roll.json",
        "--bootstrap",
        "x.example.org:4000",
        "--advertise",
        "north.example.org:3100",
    )
    assert cli("node", "join", "genesis.json", "--name", "north", *first, *ONLY_WRITE).code == 0
    env = north(here) / "node.env"
    env.write_text(f"{env.read_text()}VOTENET_NODE_THREADS=1\nVOTENET_NODE_PEER=x.example.org:3000\n")
    told = {"/genesis.json": ELECTION.to_file(), "/join.json": join_file(ELECTION.network_hex, "127.0.0.1:4")}
    with page(told) as url:
        done = cli("node", "join", url, "--name", "north", "--network", ELECTION.network_hex, *ONLY_WRITE)
    assert done.code == 0, done.err
    assert read_env_file(env) == {
        "VOTENET_NODE_NAME": named_nodes(1)[0].name,
        "VOTENET_NODE_DATA_DIR": str(north(here)),
        "VOTENET_NODE_GENESIS": str(north(here) / "genesis.json"),
        "VOTENET_NODE_BOOTSTRAP": "127.0.0.1:4",
        "VOTENET_NODE_HOST": "0.0.0.0",
        "VOTENET_NODE_PORT": "3100",
        "VOTENET_NODE_ADVERTISE": "north.example.org:3100",
        "VOTENET_NODE_THREADS": "1",
    }
    aside = f"left-{LEFT.network_hex[:16]}"
    assert files_of(north(here)) == ["genesis.json", aside, "lock", "node.env", "node.key"]
    assert files_of(north(here) / aside) == ["genesis.json", "node.env", "roll.json"]


def test_a_join_that_was_killed_after_it_left_an_election_finds_nothing_of_it_the_next_time(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "genesis.json").write_bytes(LEFT.to_file())
    (here / "roll.json").write_bytes(Roll([("ann", key_of("ann").public_hex)]).to_file())
    first = ("--roll", "roll.json", "--bootstrap", "127.0.0.2:4000")
    assert cli("node", "join", "genesis.json", "--name", "north", *first, *ONLY_WRITE).code == 0
    (here / "genesis.json").write_bytes(ELECTION.to_file())
    join = ("node", "join", "genesis.json", "--name", "north", "--network", ELECTION.network_hex, *ONLY_WRITE)

    def killed(path: Path, values: Mapping[str, str]) -> None:
        assert (north(here) / "genesis.json").read_bytes() == ELECTION.to_file()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        write, calls = node_join.write_env_file, list[Path]()
        patch.setattr(
            node_join,
            "write_env_file",
            lambda path, values: (killed if calls else write)(path, values) or calls.append(path),
        )
        assert cli(*join, *BOOTSTRAP).code != 0
    assert cli(*join, *BOOTSTRAP).code == 0
    found = read_env_file(north(here) / "node.env")
    assert found["VOTENET_NODE_BOOTSTRAP"] == "127.0.0.1:4000"
    assert "VOTENET_NODE_ROLL" not in found
    assert not (north(here) / "roll.json").exists()


def test_a_node_with_votes_stays_in_its_election(cli: Cli, here: Path) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert cli(*join).code == 0
    store = SqliteBlockStore(north(here), ELECTION)
    store.apply([SaveVotes(make_votes(ELECTION, 1))])
    store.close()
    (here / "genesis.json").write_bytes(OTHER.to_file())
    refused = cli(*join, "--network", OTHER.network_hex)
    assert (refused.code, "[other-election]" in refused.err) == (78, True)
    assert "node.key" in refused.err
    assert (north(here) / "genesis.json").read_bytes() == ELECTION.to_file()
    new = make_election(nodes=named_nodes(3)[1:], title="Without it")
    (here / "genesis.json").write_bytes(new.to_file())
    assert "votenet node init" in cli(*join, "--network", new.network_hex).err


def test_a_node_that_was_moved_joins_where_it_went(cli: Cli, here: Path) -> None:
    (north(here) / "moved").touch()
    refused = cli("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert (refused.code, "[moved]" in refused.err) == (78, True)
    assert files_of(north(here)) == ["moved", "node.key"]


def test_one_byte_more_is_another_network(cli: Cli, here: Path) -> None:
    join = ("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    changed = ELECTION.to_file().replace(b'"Board"', b'"Boards"')
    (here / "genesis.json").write_bytes(changed)
    refused = cli(*join, "--network", ELECTION.network_hex)
    assert (refused.code, "[network-mismatch]" in refused.err) == (78, True)
    assert files_of(north(here)) == ["node.key"]
    (here / "genesis.json").write_bytes(ELECTION.to_file())
    assert cli(*join, "--network", ELECTION.network_hex.upper()).code == 0


def test_without_a_key_none_is_made_and_the_next_step_makes_one(cli: Cli, here: Path) -> None:
    lone = cli("node", "join", "genesis.json", "--name", "west", *BOOTSTRAP, *ONLY_WRITE)
    assert (lone.code, "[no-key]" in lone.err) == (78, True)
    assert not (here / "home/nodes/west").exists()
    assert next_step(lone) == ["node", "init", "--name", "west"]
    assert cli(*next_step(lone)).code == 0
    unnamed = cli("node", "join", "genesis.json", "--name", "west", *BOOTSTRAP, *ONLY_WRITE)
    assert (unnamed.code, "[not-named]" in unnamed.err) == (78, True)
    assert next_step(unnamed)[-1] == "--relay" or "node init" in unnamed.err
    relay = cli("node", "join", "genesis.json", "--name", "west", "--relay", *BOOTSTRAP, *ONLY_WRITE)
    assert relay.code == 0
    assert "west, a relay" in relay.out


def test_a_relay_makes_its_key(cli: Cli, here: Path) -> None:
    folder = here / "relay"
    join = ("node", "join", "genesis.json", "--data-dir", str(folder), "--relay", *BOOTSTRAP, *ONLY_WRITE)
    done = cli(*join, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "network_id": ELECTION.network_hex,
        "data_dir": str(folder),
        "env_file": str(folder / "node.env"),
        "start": ["votenet", "node", "run", "--data-dir", str(folder)],
    }
    assert files_of(folder) == ["genesis.json", "node.env", "node.key"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), "no-bootstrap", "--bootstrap HOST:4000"),
        (("--bootstrap", "nonsense"), "bad-address", "host:port"),
        (("--bootstrap", "a.example.org:4000"), "bad-address", "nobody says where others reach this node"),
        (("--bootstrap", "a.example.org:4000", "--advertise", "localhost:3000"), "bad-address", "their own"),
        (("--bootstrap", "a.example.org:4000", "--advertise", "127.0.0.1:3000"), "bad-address", "their own"),
        (("--bootstrap", "127.0.0.1:4000", "--advertise", "0.0.0.0:3000"), "bad-address", "every address"),
        (("--bootstrap", "127.0.0.1:4000", "--listen", "0.0.0.0:3000"), "bad-address", "every address"),
        (("--bootstrap", "127.0.0.1:4000", "--advertise", "north:99999"), "bad-address", "port"),
    ],
)
def test_addresses_that_nobody_could_dial_are_refused(
    cli: Cli, here: Path, options: tuple[str, ...], code: str, said: str
) -> None:
    done = cli("node", "join", "genesis.json", "--name", "north", *ONLY_WRITE, *options)
    assert (done.code, f"[{code}]" in done.err) == (78, True), done.err
    assert said in done.err
    assert files_of(north(here)) == ["node.key"]


def test_a_page_without_https_is_told_from_a_file_that_is_not_there(cli: Cli, here: Path) -> None:
    done = cli("node", "join", "vote.example.org:8443", "--name", "north")
    assert (done.code, "[bad-genesis]" in done.err) == (78, True), done.err
    assert "votenet node join https://vote.example.org:8443 --name north" in done.err
    assert "votenet ls" not in done.err


def test_the_roll_is_asked_for_compared_and_kept(cli: Cli, here: Path) -> None:
    roll, wrong = Roll([("ann", key_of("ann").public_hex)]), Roll([("bo", key_of("bo").public_hex)])
    election = make_election(nodes=named_nodes(3), roll_root=roll.root_hex, roll_size=1)
    (here / "genesis.json").write_bytes(election.to_file())
    (here / "roll.json").write_bytes(roll.to_file())
    (here / "wrong.json").write_bytes(wrong.to_file())
    join = ("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    missing = cli(*join)
    assert (missing.code, "[roll-missing]" in missing.err) == (78, True)
    absent = cli(*join, "--roll", "absent.json")
    assert (absent.code, "[roll-missing]" in absent.err) == (78, True)
    assert next_step(absent)[-2:] == ["--roll", "roll.json"]
    other = cli(*join, "--roll", "wrong.json")
    assert (other.code, "[roll-mismatch]" in other.err) == (78, True)
    (here / "torn.json").write_text("{")
    assert "The organiser of the election has this file" in cli(*join, "--roll", "torn.json").err
    assert files_of(north(here)) == ["node.key"]
    assert cli(*next_step(missing), *ONLY_WRITE).code == 0
    assert (north(here) / "roll.json").read_bytes() == roll.to_file()
    assert read_env_file(north(here) / "node.env")["VOTENET_NODE_ROLL"] == str(north(here) / "roll.json")
    assert cli(*join).code == 0, "the roll that it keeps"


def test_a_folder_whose_name_no_environment_file_can_hold_gets_nothing(cli: Cli, here: Path) -> None:
    folder = here / 'a "b"'
    write_node_key(folder, 0)
    done = cli("node", "join", "genesis.json", "--data-dir", str(folder), *BOOTSTRAP, *ONLY_WRITE)
    assert (done.code, "[bad-value]" in done.err) == (78, True)
    assert files_of(folder) == ["node.key"]


def test_a_question_needs_a_terminal(cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = cli("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, "--no-start")
    assert (done.code, "--yes" in done.err) == (2, True)
    monkeypatch.setattr(node_join.sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(node_join.click, "confirm", lambda *_, **__: False)
    declined = cli("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, "--no-start")
    assert (declined.code, declined.err.endswith("Not joined.\n")) == (130, True)
    assert files_of(north(here)) == ["node.key"]


def test_a_running_node_is_not_started_twice(cli: Cli, here: Path) -> None:
    with lock_data_dir(north(here)):
        done = cli("node", "join", "genesis.json", "--name", "north", *BOOTSTRAP, "--yes")
    assert (done.code, "[locked]" in done.err) == (75, True)
    assert not (north(here) / "node.env").exists()
    assert cli(*next_step(done), "--yes").code == 0


@pytest.mark.parametrize("odd", ["none", "folder", "/dev/null", "empty", "http://", "https://a b", "x\udcff"])
def test_a_place_that_is_no_election_is_refused(cli: Cli, here: Path, odd: str) -> None:
    (here / "folder").mkdir()
    (here / "empty").touch()
    done = cli("node", "join", odd, "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert done.code in (1, 2, 78), done
    assert "Error" in done.err
    assert "Traceback" not in done.err


# -- pages -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def page(answers: Mapping[str, bytes], ahead: timedelta = timedelta()) -> Iterator[str]:
    """A page on loopback with these bodies by path, 404 for the others. Yields its address.

    Args:
        ahead: of its clock, before that of this machine.
    """

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers.get(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(datetime.now(UTC) + ahead, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: stderr is that of the command."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def join_file(network: str = ELECTION.network_hex, *servers: str) -> bytes:
    return json.dumps({"network_id": network, "bootstrap": list(servers)}).encode()


def test_a_page_tells_the_election_and_its_bootstrap_servers(cli: Cli, here: Path) -> None:
    told = {"/genesis.json": ELECTION.to_file(), "/join.json": join_file(ELECTION.network_hex, "127.0.0.1:4")}
    with page(told) as url:
        done = cli("node", "join", url, "--name", "north", *ONLY_WRITE)
    assert done.code == 0, done.err
    assert "clock" not in done.err
    assert read_env_file(north(here) / "node.env")["VOTENET_NODE_BOOTSTRAP"] == "127.0.0.1:4"


def test_a_page_that_serves_another_election_later_is_refused(cli: Cli, here: Path) -> None:
    told = {"/genesis.json": ELECTION.to_file()}
    with page(told) as url:
        join = ("node", "join", url, "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
        assert cli(*join).code == 0
        told["/genesis.json"] = OTHER.to_file()
        refused = cli(*join)
        assert (refused.code, "[other-election]" in refused.err) == (78, True)
        told["/join.json"] = join_file()
        torn = cli(*join)
        assert (torn.code, "[wrong-answer]" in torn.err) == (1, True)


@pytest.mark.parametrize(
    ("days", "said"), [(1, "behind that of the page"), (-1, "ahead of that of the page")]
)
def test_a_clock_a_day_off_is_said_before_the_question(cli: Cli, here: Path, days: int, said: str) -> None:
    with page({"/genesis.json": ELECTION.to_file()}, timedelta(days=days)) as url:
        done = cli("node", "join", url, "--name", "north", *BOOTSTRAP, *ONLY_WRITE)
    assert done.code == 0
    assert said in done.err


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]", "localhost.", "[::1]", "127.0.0.2"])
def test_a_page_far_away_that_names_our_own_machine_as_bootstrap_server_is_refused(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    told = {"/genesis.json": ELECTION.to_file(), "/join.json": join_file(ELECTION.network_hex, f"{host}:4")}
    monkeypatch.setattr("votenet.network.http_client.Names", lambda: Names(lambda _: ["127.0.0.1"]))
    with page(told) as url:
        far = url.replace("127.0.0.1", "page.example.org")
        done = cli(
            "node", "join", far, "--name", "north", "--advertise", "north.example.org:3000", *ONLY_WRITE
        )
    assert (done.code, "[bad-address]" in done.err) == (78, True), done.err
    assert f"{host}:4, which is this machine itself" in done.err


def test_a_page_far_away_without_tls_asks_for_a_comparison(
    cli: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"/genesis.json": ELECTION.to_file(), "/join.json": join_file(ELECTION.network_hex, "127.0.0.1:4")}
    monkeypatch.setattr("votenet.network.http_client.Names", lambda: Names(lambda _: ["127.0.0.1"]))
    with page(told) as url:
        far = url.replace("127.0.0.1", "page.example.org")
        join = ("node", "join", far, "--name", "north", "--advertise", "north.example.org:3000", *ONLY_WRITE)
        own = cli(*join)
        assert (own.code, "which is this machine itself" in own.err) == (78, True)
        servers = ("--bootstrap", "boot.example.org:4000")
        plain = cli(*join, *servers)
        assert (plain.code, "compare the network id" in plain.err) == (0, True)
        assert "compare the network id" not in cli(*join, *servers, "--network", ELECTION.network_hex).err
