"""Targets: files that people and programs hand to votenet, and lines of its own local sockets and logs."""

from __future__ import annotations

import contextlib
import gzip
import json
import lzma
import tempfile
import tomllib
from pathlib import Path
from typing import Final

import click
import msgspec

from fuzz.engine import Target
from support.elections import TRIVIAL_BITS, Ledger, key_of, make_election, make_vote, make_votes, named_nodes
from votenet.ballots.check import ReadingOptions, check_ballots
from votenet.ballots.layout import Columns
from votenet.ballots.voter_list import VoterColumns, read_voter_list
from votenet.cli.config_files import check_tables, defaults_for, read_files, say_left_out
from votenet.cli.main import COMMANDS, main
from votenet.cli.options import parse_hour
from votenet.config import InstanceDirs
from votenet.core.election.definition import election_from_file
from votenet.core.election.roll import Roll, roll_from_file, with_roll
from votenet.core.ledger.block import check_sequence, genesis_header
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.vote import Vote, check_vote, hash_vote, signature_holds
from votenet.core.records.archive import strict_header
from votenet.errors import ConfigError, Rejected
from votenet.processes import control, identity, instance, logs, notify
from votenet.processes.control_server import parse_request
from votenet.processes.heartbeat import Heartbeat
from votenet.processes.logs import LogReader
from votenet.processes.requests import names_of, seconds_of
from votenet.processes.spec import NetworkSpec
from votenet.protocol.bootstrap.bootstrap_messages import encode_plain
from votenet.storage.ballot_source import read_ballot_file
from votenet.storage.input_file import read_input
from votenet.storage.key_store import KeyStore, read_key
from votenet.storage.registry.peer_store import read_peers_file

FOLDER: Final = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
"""Files of one run: in memory where there is such a place."""
ELECTION: Final = make_election(bits=TRIVIAL_BITS)


@contextlib.contextmanager
def folder():  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory(prefix="votenet-fuzz-", dir=FOLDER) as name:
        yield Path(name)


# -- records ---------------------------------------------------------------------------------------


def votes(data: bytes) -> None:
    """A stored record: what can be read keeps its meaning in its canonical form."""
    try:
        vote = msgspec.json.decode(data, type=Vote)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return  # documented: storage turns it into StorageCorrupt
    again = hash_vote(vote)
    assert msgspec.json.decode(again.record, type=Vote) == vote
    signature_holds(again)
    check_vote(again, ELECTION)


def headers(data: bytes) -> None:
    """A header a line: all at once and one by one come to the same height."""
    found = []
    for line in data.decode("utf-8", "replace").split("\n")[:50]:
        with contextlib.suppress(Rejected):
            found.append(strict_header(line))
    hashes, refusal = check_sequence(found)
    assert (refusal is None) == (len(hashes) == len(found))
    chain = Chain(ELECTION)
    for at, header in enumerate(found):
        entry = chain.add_header(header, 1_700_100_000, hashes[at] if at < len(hashes) else None)
        assert entry.hash == header.hash
        chain.add_body(entry, lambda _: ())


def genesis(data: bytes) -> None:
    """What is read can be written, and is then the same election."""
    election = election_from_file(data)
    assert election_from_file(election.to_file()).network_id == election.network_id
    genesis_header(election).hash  # noqa: B018


def rolls(data: bytes) -> None:
    roll = roll_from_file(data)
    assert roll_from_file(roll.to_file()).root_hex == roll.root_hex
    with_roll(make_election(roll=roll), roll)


# -- files -----------------------------------------------------------------------------------------


def ballots(data: bytes) -> None:
    """A ballot file. First byte: plain, .gz or .xz; then it is read as a list of voters, too."""
    suffix = {b"g": ".csv.gz", b"x": ".csv.xz"}.get(data[:1], ".csv")
    with folder() as place:
        path = place / f"ballots{suffix}"
        path.write_bytes(data[1:])
        columns = Columns(choices=("2", "3"), voter="1", header=True)
        with contextlib.suppress(ConfigError):
            found = check_ballots(read_ballot_file(path), ReadingOptions(columns))
            numbers = [ballot.number for ballot in found.ballots]
            assert numbers == sorted(set(numbers))
        Roll(read_voter_list(read_input(path, 2**24, code="bad-roll"), "f", VoterColumns()))


def _ballot_files() -> list[bytes]:
    plain = 'id,public_key,second,third\nann,"A, B",C,\n"b""o",Çelik,,D\n'.encode()
    members = f"id,public_key\nann,{key_of('ann').public_hex}\nbob,{key_of('bob').public_hex}\n".encode()
    return [
        *(b"p" + text for text in (plain, members, b"\xef\xbb\xbf" + plain, plain.replace(b"\n", b"\r\n"))),
        *(b"g" + gzip.compress(text, mtime=0) for text in (plain, plain * 50)),
        *(b"x" + lzma.compress(text) for text in (plain, plain * 50)),
    ]


def configuration(data: bytes) -> None:
    """A configuration file, and what every command makes of it; none of them is carried out."""
    with folder() as place:
        path = place / "votenet.toml"
        path.write_bytes(data)
        files = read_files(path, say_left_out)
    check_tables(files[0], list(COMMANDS))
    for name in COMMANDS:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        settings = {name: defaults_for(files, name, command)}
        context = click.Context(main, info_name="votenet", default_map=settings)
        with contextlib.suppress(click.ClickException, click.exceptions.Exit):
            command.make_context(name, ["x"] * 2, parent=context)


def peers_file(data: bytes) -> None:
    with folder() as place:
        path = place / "peers.json"
        path.write_bytes(data)
        found = read_peers_file(path)
        path.write_bytes(encode_plain(found))
        assert read_peers_file(path) == found


def key_file(data: bytes) -> None:
    """One voter's key: read by name, and among all."""
    with folder() as place:
        store = KeyStore(place)
        store.path_of("ann").write_bytes(data)
        assert len(store.all()) <= 1
        assert read_key(store.path_of("ann"), "ann").public_hex == store.get_or_make("ann").key.public_hex


def _key_files() -> list[bytes]:
    seed = bytes(range(32))
    with folder() as place:
        made = KeyStore(place).get_or_make("ann").path.read_bytes()
    fields = json.loads(made) | {"secret_seed": seed.hex()}
    return [made, json.dumps(fields).encode()]


# -- the supervisor's ------------------------------------------------------------------------------


def control_line(data: bytes) -> None:
    """A request to the supervisor, and an answer of it."""
    with contextlib.suppress(control.VotenetError):
        answer = control.parse_answer(data)
        if not answer.get("ok"):
            raise control.error_from(answer.get("error", {}))
    request = parse_request(data)
    seconds_of(request, "grace", 1.0)
    names_of(request)


def notification(data: bytes) -> None:
    """A datagram of a supervised program."""
    heartbeat = Heartbeat()
    heartbeat.update(notify.parse(data), 1.0)
    assert heartbeat.height is None or heartbeat.height >= 0


def state_files(data: bytes) -> None:
    """What a supervisor finds of its predecessor. First byte: which file."""
    with folder() as place:
        dirs = InstanceDirs("fuzz", place, place / "run", place / "keys")
        if data[:1] == b"n":
            instance.network_file(dirs).write_bytes(data[1:])
            instance.load_network(dirs)
        else:
            identity.records_dir(dirs).mkdir()
            (identity.records_dir(dirs) / "node-1.json").write_bytes(data[1:])
            assert set(identity.read_identities(dirs)) == {"node-1"}
            identity.last_incarnations(dirs)


def _state_files() -> list[bytes]:
    record = identity.IdentityRecord(
        instance="fuzz", name="node-1", incarnation=3, intent="running", address="127.0.0.1:3000", pid=5
    )
    network = NetworkSpec(instance="fuzz", genesis="g.json", bootstrap_port=4000, node_ports=(3000, 3001))
    return [b"i" + msgspec.json.encode(record), b"n" + msgspec.json.encode(network)]


def log_lines(data: bytes) -> None:
    """A log of any bytes, read from its start, from its end, and by time."""
    with folder() as place:
        dirs = InstanceDirs("fuzz", place, place / "run", place / "keys")
        dirs.logs.mkdir()
        path = logs.log_path(dirs.logs, "node-1", 1)
        path.write_bytes(data)
        assert len(logs.tail(path, 3)) <= 3
        for lines, since in ((None, None), (2, None), (None, 1.7e9), (5, 1.7e9)):
            reader = LogReader(dirs, ["node-1"])
            try:
                past = list(reader.past(lines, since))
                assert lines is None or len(past) <= lines
                list(reader.news())
                list(reader.rests())
            finally:
                reader.close()


def times(data: bytes) -> None:
    """`--since` and `--opens`: ValueError is what they may raise; a line of a log has a time or none."""
    text = data.decode("utf-8", "replace")
    logs.line_time(text)
    for parse in (parse_hour, logs.parse_since):
        with contextlib.suppress(ValueError):
            parse(text, 1.7e9)


def _genesis_files() -> list[bytes]:
    full = make_election(
        method="approval", max_choices=2, opens=5, closes=9, nodes=named_nodes(4), authority_key="cd" * 32
    )
    return [
        ELECTION.to_file(),
        full.to_file(),
        make_election(roll_root="ef" * 32, roll_size=1).to_file(),
    ]


def _headers() -> list[bytes]:
    ledger = Ledger(ELECTION)
    blocks = [ledger.grow() for _ in range(12)]
    lines = [block.header.pack().hex().encode() for block in blocks]
    return [b"\n".join(lines), lines[0], b"\n".join([lines[1], lines[0]])]


def _toml() -> list[bytes]:
    text = b"""[up]
nodes = 3
candidate = ["A", "B"]
closes = 2027-05-31T18:00:00+02:00
[node]
port = 3000
peer = ["a:1"]
mine = false
[vote]
json = true
"""
    tomllib.loads(text.decode())
    return [
        text,
        b"[bootstrap]\nport = 4000\nhost = '::1'\n",
        b"up.nodes = 2\nlogs.since = '5m'\n",
        b"up = 5\nvote = 'x'\nx = [[1]]\n",
    ]


_ROLL: Final = Roll((name, key_of(name).public_hex) for name in ("ann", "bob", "Zoë"))
_REQUESTS: Final = tuple(
    json.dumps({"v": 1, **request}).encode()
    for request in (
        {"command": "status"}, {"command": "down", "grace": 1.5, "now": True},
        {"command": "restart", "names": ["node-1"], "wait": 3}, {"ok": True, "pid": 1},
        {"ok": False, "error": {"code": "x", "message": "m", "exit_code": 3}},
    )
)  # fmt: skip
_LOG: Final = (
    b"2026-01-31T09:30:00.123+01:00 node: ready\nno time here\n2026-01-31 09:31:00,5 x\nend \xff\x00 line\r\n"
    b"0001-01-01T00:00:00+14:00 x\n"
)

TARGETS: Final = (
    Target(
        "votes",
        votes,
        lambda: [v.record for v in (*make_votes(ELECTION, 3), make_vote(ELECTION, "Zoë é"))],
        weight=0.7,
    ),
    Target("headers", headers, _headers),
    Target("genesis", genesis, _genesis_files),
    Target("rolls", rolls, lambda: [_ROLL.to_file()]),
    Target("ballots", ballots, _ballot_files),
    Target(
        "configuration",
        configuration,
        _toml,
        (*(b"\n[%s]\n" % name.encode() for name in COMMANDS), b"\nx = " + b"[" * 2000),
        8192,
    ),
    Target(
        "peers-file", peers_file, lambda: [encode_plain(["a:1", "[::1]:2", "b.example:65535"])], weight=0.5
    ),
    Target("key-file", key_file, _key_files, weight=0.5),
    Target("control-line", control_line, lambda: list(_REQUESTS), weight=0.5),
    Target(
        "notification",
        notification,
        lambda: [b"READY=1\nX_HEIGHT=5\nX_PEERS=2\nX_TIP=ab\nSTATUS=x"],
        weight=0.2,
    ),
    Target("state-files", state_files, _state_files, weight=0.5),
    Target("log-lines", log_lines, lambda: [_LOG, _LOG * 20, b""]),
    Target(
        "times",
        times,
        lambda: [b"+1d2h", b"10m", b"1.5d", b"2027-05-31T18:00+02:00", b"2026-01-31 09:30:00,5"],
        weight=0.4,
    ),
)
