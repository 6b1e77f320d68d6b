"""`votenet bootstrap` as a real process: ports, locks, signals, kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import json
import os
import queue
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import psutil
import pytest

from support.elections import make_election
from support.network_shell import wait_until
from support.ports import free_port
from support.redis_server import redis_server
from votenet.core.keys import SigningKey
from votenet.network.bootstrap.server import BootstrapServer
from votenet.protocol.bootstrap.bootstrap_messages import encode_request
from votenet.protocol.bootstrap.peer_record import sign_record
from votenet.storage.registry.sqlite_peer_store import SqlitePeerStore

COMMAND = [sys.executable, "-m", "votenet", "bootstrap"]


def environment(home: Path, **extra: str) -> dict[str, str]:
    unwanted = ("VOTENET_", "BOOTSTRAP_PORT", "NOTIFY_SOCKET")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**clean, "VOTENET_HOME": str(home), **extra}


class Program:
    """A running server; `port` is known as soon as it says that it is ready."""

    def __init__(self, process: subprocess.Popen[str], supervisor: socket.socket) -> None:
        self.process, self.supervisor = process, supervisor
        self.told: list[dict[str, str]] = []
        while not any("READY" in fields for fields in self.told):
            self.told.append(self.hear())
        self.port = int(self.told[-1]["STATUS"].rpartition(":")[2])

    def hear(self) -> dict[str, str]:
        try:
            message = self.supervisor.recv(4096).decode()
        except TimeoutError:
            assert self.process.stderr is not None
            self.process.kill()
            pytest.fail(f"the server said nothing; stderr: {self.process.stderr.read()}")
        return dict(line.split("=", 1) for line in message.splitlines())

    def ask(self, request: str) -> str:
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=150) as conn,
            conn.makefile("rw") as file,
        ):
            file.write(request + "\n")
            file.flush()
            return file.readline()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and what it wrote to stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=150)
        return self.process.returncode, errors


@contextlib.contextmanager
def running(folder: Path, *options: str, **extra: str) -> Iterator[Program]:
    with contextlib.ExitStack() as stack:
        supervisor = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        name = f"\0votenet-test-{os.getpid()}-{os.urandom(6).hex()}"
        supervisor.bind(name)
        supervisor.settimeout(60)
        variables = environment(folder, NOTIFY_SOCKET="@" + name[1:], **extra)
        process = stack.enter_context(
            subprocess.Popen(
                [*COMMAND, *options], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        try:
            yield Program(process, supervisor)
        finally:
            process.kill()


def failing(folder: Path, *options: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        env=environment(folder, **extra),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_printf_and_nc_of_the_readme(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as server:
        register = '{"type":"REGISTER","payload":"localhost:3999"}'
        assert server.ask(register) == "Peer registered successfully\n"
        assert server.ask(register) == "Peer already registered\n"
        assert server.ask('{"type":"GET_PEERS"}') == '[{"address":"localhost:3999"}]\n'
        assert server.ask('{"type":"REMOVE","payload":"localhost:3999"}') == "Peer removed successfully\n"
        assert server.ask('{"type":"REMOVE","payload":"localhost:3999"}') == "Peer not found\n"


def test_kill_9_loses_no_acknowledged_registration(tmp_path: Path) -> None:
    acknowledged: queue.Queue[str] = queue.Queue()
    enough = threading.Event()

    def client(port: int, number: int) -> None:
        """Pipelines registrations until the server is gone; only what was answered counts."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=150) as conn:
            answers = conn.makefile("rb")
            for start in range(0, 10**6, 20):
                addresses = [f"127.0.{number}.1:{n}" for n in range(start % 60_000 + 1, start % 60_000 + 21)]
                lines = [
                    json.dumps({"type": "REGISTER", "payload": address, "keep_open": True})
                    for address in addresses
                ]
                conn.sendall(("\n".join(lines) + "\n").encode())
                for address in addresses:
                    if answers.readline() != b"Peer registered successfully\n":
                        return
                    acknowledged.put(address)
                if acknowledged.qsize() > 2000:
                    enough.set()

    with running(tmp_path, "--port", "0", "--log-level", "error") as server:
        clients = [threading.Thread(target=client, args=(server.port, n)) for n in range(12)]
        for thread in clients:
            thread.start()
        assert enough.wait(60)
        server.process.kill()
        for thread in clients:
            thread.join(60)
    kept = set(acknowledged.queue)
    with running(tmp_path, "--port", "0") as server:
        assert server.ask('{"type":"REGISTER","payload":"localhost:1"}') == "Peer registered successfully\n"
        store = SqlitePeerStore(tmp_path / "default" / "bootstrap" / "peers.db", read_only=True)
        found = set(store.addresses(10**7, 0))
        store.close()
    assert len(kept) > 2000
    assert kept - found == set()


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Open files enough for more connections than the server takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
def test_a_thousand_silent_connections_do_not_stop_it(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as server, contextlib.ExitStack() as stack:
        for host in range(2, 5):
            for _ in range(350):
                conn = stack.enter_context(socket.socket())
                conn.bind((f"127.0.0.{host}", 0))
                conn.connect(("127.0.0.1", server.port))
        assert "too-many-connections" in server.ask('{"type":"GET_PEERS"}')
        stack.close()
        answer = ""
        while answer != "[]\n":  # until it has seen them go
            answer = server.ask('{"type":"GET_PEERS"}')
        assert "Traceback" not in server.stop()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    with running(tmp_path, "--port", "0") as server:
        server.ask('{"type":"REGISTER","payload":"localhost:1"}')
        code, errors = server.stop(number)
        assert code == 0
        assert "Traceback" not in errors
        assert "event=registered address=localhost:1 client=127.0.0.1" in errors
        assert "event=stopped" in errors
        heard = [server.hear()]
        while "STOPPING" not in heard[-1]:
            heard.append(server.hear())
    with running(tmp_path, "--port", "0") as server:
        assert server.ask('{"type":"GET_PEERS"}') == '[{"address":"localhost:1"}]\n'


def test_bad_input_leaves_no_stack_trace_in_the_log(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0", "--log-level", "debug") as server:
        for line in ("garbage", "\0\0", '{"type":"X"}', '{"type":"REGISTER","payload":"a b\\nlevel=fake"}'):
            assert "error" in server.ask(line)
        with socket.create_connection(("127.0.0.1", server.port)) as conn:
            conn.sendall(b'{"type":"GET_PEERS"}\n')
        code, errors = server.stop()
    assert code == 0
    assert "Traceback" not in errors
    assert "code=bad-address" in errors
    assert "\nlevel=fake" not in errors


def test_the_port_is_that_of_the_flag_then_the_environment_then_the_file(tmp_path: Path) -> None:
    config = tmp_path / "votenet.toml"
    flag, variable, file = free_port(), free_port(), free_port()
    config.write_text(f"[bootstrap]\nport = {file}\n")
    seen = []
    for arguments, extra in (
        (["--port", str(flag)], {"BOOTSTRAP_PORT": str(variable)}),
        ([], {"BOOTSTRAP_PORT": str(variable)}),
        ([], {"BOOTSTRAP_PORT": ""}),
    ):
        COMMAND[3:3] = ["--config", str(config)]
        try:
            with running(tmp_path, *arguments, **extra) as server:
                seen.append(server.port)
        finally:
            del COMMAND[3:5]
    assert seen == [flag, variable, file]


def test_the_default_port_is_4000(tmp_path: Path) -> None:
    shown = subprocess.run(
        [*COMMAND, "--help"], env=environment(tmp_path), capture_output=True, text=True, check=True
    )
    assert "default: 4000" in shown.stdout
    assert "env var: BOOTSTRAP_PORT" in shown.stdout


@pytest.mark.parametrize("port", ["abc", "70000", "-1", "40.5"])
def test_a_bad_port_is_a_usage_error_that_names_its_source(tmp_path: Path, port: str) -> None:
    result = failing(tmp_path, BOOTSTRAP_PORT=port)
    assert result.returncode == 2
    assert "BOOTSTRAP_PORT" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_taken_port_names_its_holder(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as server:
        result = failing(tmp_path / "other", "--port", str(server.port))
        assert result.returncode == 75
        assert f"port {server.port} is taken by pid {server.process.pid}" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_second_server_on_the_same_data_exits_75(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as server:
        result = failing(tmp_path, "--port", "0")
        assert result.returncode == 75
        assert f"pid {server.process.pid}" in result.stderr


def test_an_unusable_data_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        result = failing(tmp_path, "--port", "0", "--data-dir", str(folder))
        assert result.returncode == 78
        assert str(folder) in result.stderr
        assert "Traceback" not in result.stderr


def test_a_damaged_registry_is_named_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "peers.db").write_bytes(b"not a database" * 1000)
    result = failing(tmp_path, "--port", "0", "--data-dir", str(folder))
    assert result.returncode == 78
    assert "storage-corrupt" in result.stderr
    assert (folder / "peers.db").read_bytes() == b"not a database" * 1000


def test_peers_are_imported_at_the_start_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "peers.json"
    file.write_text('[{"address":"localhost:3000"},{"address":"localhost:3001"}]')
    with running(tmp_path, "--port", "0", "--import-peers", str(file)) as server:
        assert json.loads(server.ask('{"type":"GET_PEERS"}')) == json.loads(file.read_text())
    file.write_text('[{"address":"localhost:3002"},{"address":"localhost"}]')
    result = failing(tmp_path, "--port", "0", "--import-peers", str(file))
    assert result.returncode == 78
    assert "entry 2" in result.stderr
    with running(tmp_path, "--port", "0") as server:
        assert "3002" not in server.ask('{"type":"GET_PEERS"}')


# -- numbers -----------------------------------------------------------------------------------


def stats(folder: Path, port: int, *options: str) -> subprocess.CompletedProcess[str]:
    return failing(folder, "--stats", "--port", str(port), *options)


def test_the_numbers_of_a_running_server(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0", "--metrics", "127.0.0.1:0") as server:
        assert "in all" not in stats(tmp_path, server.port).stdout, "no heading over nothing"
        server.ask('{"type":"REGISTER","payload":"localhost:3999"}')
        server.ask('{"type":"REGISTER","payload":"nowhere"}')
        shown = stats(tmp_path, server.port)
        assert shown.returncode == 0
        assert [line.split()[1] for line in shown.stdout.splitlines() if line.startswith("peers ")] == ["1"]
        assert "refusals bad-address" in shown.stdout
        found = json.loads(stats(tmp_path, server.port, "--json").stdout)
        assert (found["peers"], found["counts"]["answers"]["Register"]) == (1, 2)
        assert 0 < found["rates"]["answers"]["Register"] <= 2
        errors = server.stop()[1]
    assert "event=metrics address=127.0.0.1:" in errors


def test_the_numbers_for_prometheus(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "--port", "0", "--metrics", f"127.0.0.1:{port}") as server:
        server.ask('{"type":"REGISTER","payload":"localhost:3999"}')
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=150) as answer:
            lines = answer.read().decode().splitlines()
    assert "votenet_bootstrap_peers 1.0" in lines
    assert 'votenet_bootstrap_answers_total{request="Register"} 1.0' in lines


def test_no_server_no_numbers_and_no_metrics_for_others(tmp_path: Path) -> None:
    nobody = stats(tmp_path, free_port())
    assert nobody.returncode == 3
    assert "no bootstrap server answers" in nobody.stderr
    assert "Check the address" in nobody.stderr
    assert "votenet up" not in nobody.stderr, "which would start another network"
    for place, code in (("0.0.0.0:0", 78), ("nonsense", 2), ("127.0.0.1:70000", 2)):
        result = failing(tmp_path, "--port", "0", "--metrics", place)
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr


# -- several servers, one registry -------------------------------------------------------------


def test_two_servers_over_one_redis_and_kill_9_of_one(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as redis:
        options = ("--port", "0", "--store", redis.url())
        with running(tmp_path / "a", *options) as one, running(tmp_path / "b", *options) as other:
            assert one.ask('{"type":"REGISTER","payload":"localhost:1"}') == "Peer registered successfully\n"
            assert other.ask('{"type":"REGISTER","payload":"localhost:1"}') == "Peer already registered\n"
            one.process.kill()
            assert other.ask('{"type":"GET_PEERS"}') == '[{"address":"localhost:1"}]\n'
            assert other.ask('{"type":"REMOVE","payload":"localhost:1"}') == "Peer removed successfully\n"
            redis.kill()
            assert "storage-failed" in other.ask('{"type":"REGISTER","payload":"localhost:2"}')
            redis.start()
            while (answer := other.ask('{"type":"REGISTER","payload":"localhost:2"}')).startswith('{"error"'):
                time.sleep(0.05)  # the store pauses for a second after a failure
            assert answer == "Peer registered successfully\n"
            told = other.stop()[1]
            assert "Traceback" not in told
            assert f"event=registry place={redis.url()} peers=" in told


def test_a_store_that_is_none_or_not_there_is_named(tmp_path: Path) -> None:
    for store, code in (("mysql://x", 78), ("redis://127.0.0.1:1/0", 74)):
        result = failing(tmp_path, "--port", "0", "--store", store)
        assert result.returncode == code, result.stderr
        assert "Traceback" not in result.stderr


def test_a_sqlite_file_may_be_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "registry" / "ours.db"
    with running(tmp_path, "--port", "0", "--store", f"sqlite:{path}") as server:
        server.ask('{"type":"REGISTER","payload":"localhost:1"}')
    assert path.is_file()


def test_a_server_of_one_election_takes_no_records_of_another(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election().to_file())
    key, expires = SigningKey(bytes(32)), int(time.time()) + 60
    with running(tmp_path, "--port", "0", "--genesis", str(genesis)) as server:
        for network, answer in (
            ("ab" * 32, "network-mismatch"),
            (make_election().network_hex, "successfully"),
        ):
            record = sign_record(key, "127.0.0.1:1", network, sequence=1, expires=expires)
            assert answer in server.ask(encode_request("REGISTER", record).decode())
    assert "bad-genesis" in failing(tmp_path, "--genesis", str(tmp_path / "none.json")).stderr


# -- no client is trusted ----------------------------------------------------------------------


def test_floods_from_some_hosts_leave_others_their_answers_and_the_registry_its_size(tmp_path: Path) -> None:
    """Registrations, endless lines, silent links, removals: each from a host of its own, all at once."""
    honest, over = "127.66.0.1", threading.Event()

    def from_(host: str, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port), timeout=150, source_address=(host, 0))

    def flood(host: str, port: int, write: Callable[[socket.socket], object]) -> None:
        held: deque[socket.socket] = deque()
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.append(from_(host, port))
                write(held[-1])
            if len(held) > 600:
                held.popleft().close()
        for link in held:
            link.close()

    def register(link: socket.socket) -> None:
        host = link.getsockname()[0]
        lines = (encode_request("REGISTER", f"{host}:{n}", keep_open=True) for n in range(1, 501))
        link.sendall(b"\n".join(lines) + b"\n")

    # So many questions of one host would be refused.
    askers = (f"127.67.{n // 250}.{n % 250 + 1}" for n in itertools.count())

    def numbers() -> Any:
        with from_(next(askers), server.port) as link:
            link.sendall(b'{"type":"GET_STATS"}\n')
            return json.loads(link.makefile().readline())["stats"]

    def all_listed() -> str:
        with from_(honest, server.port) as link:
            link.sendall(b'{"type":"GET_PEERS"}\n')
            return link.makefile().readline()

    with running(tmp_path, "--port", "0", "--no-trust-loopback", "--log-level", "error") as server:
        process = psutil.Process(server.process.pid)
        with socket.create_server((honest, 0)) as peer:
            ours = f"{honest}:{peer.getsockname()[1]}"
            with from_(honest, server.port) as link:
                link.sendall(encode_request("REGISTER", ours) + b"\n")
                assert link.makefile().readline() == "Peer registered successfully\n"
            writers: dict[str, Callable[[socket.socket], object]] = {
                "127.61.0.1": register,
                "127.62.0.1": lambda link: [link.sendall(b"x" * 65536) for _ in range(160)],
                "127.63.0.1": lambda link: link.sendall(b"{"),
                "127.64.0.1": lambda link: link.sendall(encode_request("REMOVE", ours) + b"\n"),
            }
            floods = [threading.Thread(target=flood, args=(h, server.port, w)) for h, w in writers.items()]
            for thread in floods:
                thread.start()
            try:
                deadline = time.monotonic() + 60
                for number in itertools.count(1):  # until it was dialled back, however busy the machine is
                    listed = all_listed()
                    assert listed in ("[]\n", f'[{{"address":"{ours}"}}]\n')
                    assert process.memory_info().rss < 100e6
                    if number >= 60 and listed != "[]\n":
                        break
                    assert time.monotonic() < deadline, "the honest host is not listed"
                    time.sleep(0.03 if number < 60 else 0.3)
                wait_until(lambda: {"rate-limited", "not-owner"} <= set(numbers()["counts"]["refusals"]))
                wait_until(lambda: numbers()["peers"] >= 2)
            finally:
                over.set()
                for thread in floods:
                    thread.join()
            assert 2 <= numbers()["peers"] <= 129


def test_a_real_node_is_dialled_back_before_it_is_listed(tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.json"
    genesis.write_bytes(make_election().to_file())
    port, dead = free_port(), free_port()
    with running(tmp_path, "--port", "0", "--no-trust-loopback") as server:
        answer = server.ask(f'{{"type":"REGISTER","payload":"127.0.0.1:{dead}"}}')
        assert answer == "Peer registered successfully\n"
        assert "not-owner" in server.ask('{"type":"REGISTER","payload":"10.0.0.1:80"}')
        options = ["--data-dir", str(tmp_path / "node"), "--genesis", str(genesis), "--port", str(port)]
        options += ["--advertise", f"127.0.0.1:{port}", "--bootstrap", f"127.0.0.1:{server.port}"]
        node = subprocess.Popen(
            [*COMMAND[:3], "node", *options, "--no-mine"],
            env=environment(tmp_path),
            stderr=subprocess.DEVNULL,
        )
        try:
            while (listed := server.ask('{"type":"GET_PEERS","payload":{}}')) == '{"peers":[],"next":null}\n':
                assert node.poll() is None
                time.sleep(0.2)  # five questions a second are answered for as long as it takes
        finally:
            node.terminate()
            node.wait(60)
    (peer,) = json.loads(listed)["peers"]
    assert peer["address"] == f"127.0.0.1:{port}"
    assert peer["network_id"] == make_election().network_hex


def test_it_listens_on_every_address_that_is_named(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0", "--host", "127.0.0.1", "--host", "127.0.0.9") as server:
        for host in ("127.0.0.1", "127.0.0.9"):
            with socket.create_connection((host, server.port), timeout=150) as conn:
                conn.sendall(b'{"type":"GET_PEERS"}\n')
                assert conn.recv(100) == b"[]\n"


def test_heartbeats_say_while_nothing_can_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap_command = importlib.import_module("votenet.cli.network.bootstrap")
    told: list[dict[str, Any]] = []
    server = SimpleNamespace(storage_failure="", address="127.0.0.1:4000", count=lambda: 7)
    failures = iter(["", "the disk is full", "the disk is full", "", ""])

    async def turn(seconds: float) -> None:
        server.storage_failure = next(failures)

    async def beat() -> None:
        with pytest.raises(RuntimeError):  # no more failures: a coroutine cannot raise StopIteration
            await bootstrap_command.heartbeat(cast(BootstrapServer, server))

    monkeypatch.setattr(bootstrap_command, "notify", lambda **fields: told.append(fields))
    monkeypatch.setattr(bootstrap_command.asyncio, "sleep", turn)
    asyncio.run(beat())
    assert [fields.get("READY") for fields in told] == [None, None, 0, 0, 1, None]
    assert told[2]["STATUS"] == "cannot save: the disk is full"
    assert told[4]["STATUS"] == "listening on 127.0.0.1:4000"
    assert {fields["X_PEERS"] for fields in told} == {7}
