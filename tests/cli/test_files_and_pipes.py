"""Files that commands read and write, as a shell gives them: pipes, `<(…)`, `-`, links, devices, and none."""

from __future__ import annotations

import contextlib
import json
import lzma
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from tests.cli.conftest import CommandResult, RunningNode, node_of

from support.archives import good_archive
from support.ceremonies import draft_for
from support.ceremonies import run as ceremony_until
from support.elections import make_election
from support.ports import free_port
from votenet.cli.main import main
from votenet.secret.ceremony.bulletin import read_record
from votenet.storage.ceremony_folder import CeremonyFolder

TIMEOUT = 150

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    names = ("Alice", "Bob")
    with node_of(
        make_election(candidates=names, bits=0x2000FFFF), tmp_path_factory.mktemp("node")
    ) as running:
        yield running


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A line of a shell; `votenet` in it is this program."""
    program = f"{shlex.quote(sys.executable)} -m votenet"

    def line(text: str, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["bash", "-c", re.sub(r"\bvotenet\b", lambda _: program, text)],
            cwd=tmp_path,
            env={**os.environ, "VOTENET_HOME": str(tmp_path / "home"), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return line


# -- in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["<(cat b.csv)", "- < b.csv", "/dev/stdin < b.csv", "<(xz -c b.csv)"])
def test_every_ballot_of_a_pipe_is_cast(run: Run, tmp_path: Path, node: RunningNode, given: str) -> None:
    """`replay <(…)` lost what the first opening had read, and said nothing."""
    prefix = re.sub(r"\W", "", given)
    rows = "".join(f"{'Alice' if n % 3 else 'Bob'}\n" for n in range(5000))
    (tmp_path / "b.csv").write_text("choice\n" + rows)
    done = run(f"votenet replay {given} --node {node.address} --wait 0 --json --prefix {prefix}-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 5000


@pytest.mark.parametrize("senders", [1, 2])
def test_every_ballot_of_a_presigned_pipe_is_cast(
    run: Run, tmp_path: Path, node: RunningNode, senders: int
) -> None:
    rows = "".join(f"Alice,s{senders}-{n}\n" for n in range(3000))
    (tmp_path / "b.csv").write_text("choice,id\n" + rows)
    signed = run(f"votenet replay b.csv --voter-column id --node {node.address} --presign signed.jsonl")
    assert signed.returncode == 0, signed.stderr
    done = run(
        f"cat signed.jsonl | votenet replay - --node {node.address} --wait 0 --json --senders {senders}"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accepted"] == 3000


def test_every_candidate_of_a_pipe_stands(run: Run, tmp_path: Path) -> None:
    names = [f"Candidate {n}" for n in range(500)]
    (tmp_path / "c.csv").write_text("choice\n" + "".join(f"{name}\n" for name in names * 20))
    up = "up -d --nodes 1 --difficulty 8 --candidates-from /dev/stdin --choice-column choice"
    try:
        done = run(f"cat c.csv | votenet {up}")
        assert done.returncode == 0, done.stderr
        genesis = json.loads((tmp_path / "home/default/genesis.json").read_text())
        (contest,) = genesis["contests"]
        assert [candidate["name"] for candidate in contest["candidates"]] == names
    finally:
        run("votenet down")


@pytest.mark.long
def test_archives_and_receipts_come_through_pipes(run: Run, tmp_path: Path, node: RunningNode) -> None:
    (tmp_path / "a.jsonl").write_bytes(good_archive())
    (tmp_path / "a.packed").write_bytes(lzma.compress(good_archive()))
    for given in ("- < a.jsonl", "<(cat a.jsonl)", "- < a.packed", "<(gzip -c a.jsonl)", "a.packed"):
        done = run(f"votenet audit --json {given}")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["height"] == 14
    named = run("votenet audit - < a.jsonl")
    assert named.stdout.startswith("Standard input agrees with itself"), named.stdout
    assert "standard input: 100%" in named.stderr, named.stderr
    assert run("cat a.packed | votenet import - --data-dir n1").returncode == 0
    assert (tmp_path / "n1" / "chain.db").exists()
    assert run(f"votenet vote voter Alice --node {node.address} --wait 60").returncode == 0
    piped = run(f"votenet receipt voter --node {node.address} -o - | votenet verify - --json")
    assert json.loads(piped.stdout)["voter_id"] == "voter", piped.stderr
    exported = run(f"set -o pipefail; votenet export --node {node.address} -o - | votenet audit - --json")
    assert exported.returncode == 0, exported.stderr


def test_standard_input_is_read_by_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id\nann\n")
    assert run("votenet voters import m.csv --make-keys -o roll.json").returncode == 0
    done = run("votenet voters check - --genesis - < roll.json")
    assert done.returncode == 78
    assert "another file of this command was read from there" in done.stderr


def test_a_dash_in_a_folder_is_a_file_by_its_path(run: Run, tmp_path: Path) -> None:
    (tmp_path / "-").write_bytes(good_archive())
    assert run("votenet audit ./-").returncode == 0


# -- out -------------------------------------------------------------------------------------------

WRITERS = {
    "receipt": "votenet receipt voter --node {node} -o {file}",
    "export": "votenet export --node {node} -o {file}",
    "roll": "votenet voters import m.csv --make-keys --force -o {file}",
    "peers": "votenet peers export {file} --bootstrap {bootstrap}",
    "presign": "votenet replay m.csv --choice c --node {node} --presign {file}",
}


@pytest.fixture
def writer(
    request: pytest.FixtureRequest, run: Run, node: RunningNode, tmp_path: Path
) -> Iterator[Callable[[str], subprocess.CompletedProcess[str]]]:
    """A command that writes the file it is given, with what it needs for that."""
    (tmp_path / "m.csv").write_text("id,c\nann,Alice\n")
    if request.param in ("receipt", "export"):
        run(f"votenet vote voter Alice --node {node.address} --wait 60")
    needs_server = "{bootstrap}" in WRITERS[request.param]
    with _bootstrap_server(tmp_path) if needs_server else contextlib.nullcontext() as bootstrap:
        yield lambda file: run(
            WRITERS[request.param].format(node=node.address, file=file, bootstrap=bootstrap)
        )


class _bootstrap_server:
    """A server with a registry that is empty."""

    def __init__(self, folder: Path) -> None:

        self._port = free_port()
        self._folder = folder

    def __enter__(self) -> str:
        command = ["bootstrap", "--port", str(self._port), "--data-dir", str(self._folder / "boot")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "votenet", *command], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        assert any(str(self._port) in line for line in self._process.stderr)
        return f"127.0.0.1:{self._port}"

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=150)


@pytest.mark.long
@pytest.mark.parametrize("writer", WRITERS, indirect=True)
def test_only_files_are_replaced_and_they_stay_as_they_were(
    writer: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """`-o /dev/null` as root made /dev/null a file; a link became a file; 0600 became 0644."""
    assert writer("plain").returncode == 0
    content = (tmp_path / "plain").read_bytes()
    assert content
    (tmp_path / "secret").write_bytes(b"")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "link").symlink_to("secret")
    assert writer("link").returncode == 0
    assert (tmp_path / "link").is_symlink()
    assert len((tmp_path / "secret").read_bytes()) >= len(content) // 2
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    null = tmp_path / "null"
    null.symlink_to("/dev/null")  # as good as /dev/null, should the test fail
    assert writer("null").returncode == 0
    assert null.is_symlink()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    null.unlink()
    (tmp_path / "full").symlink_to("/dev/full")
    full = writer("full")
    assert full.returncode in (74, 78)
    assert "No space left on device" in full.stderr
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    assert not [name for name in os.listdir(tmp_path) if "part" in name]


@pytest.mark.parametrize("writer", WRITERS, indirect=True)
def test_a_place_that_cannot_be_written_is_named(
    writer: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for place in ("none/file", "m.csv/file"):
        done = writer(place)
        assert done.returncode in (74, 78), done.stderr
        assert place in done.stderr
    (tmp_path / "folder").mkdir()
    assert writer("folder").returncode in (2, 74, 78)


# -- all that is no file ---------------------------------------------------------------------------


def readers(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    """(command, parameter) of every file that a command reads or writes."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            yield from readers(found, f"{name} {inner}".strip())
        if not command.invoke_without_command:
            return
    for param in command.params:
        if isinstance(param.type, click.Path) and name not in {"chaos", "demo"}:
            yield name, param


ARGUMENTS = {
    "ballots check": "",
    "receipt": "voter --node 127.0.0.1:1", "export": "", "voters import": "-o out",
    "import": "--data-dir fresh",
    "backup": "-o out --genesis genesis.json --data-dir fresh", "restore": "good --data-dir fresh",
    "replay": "--node 127.0.0.1:1", "peers import": "--bootstrap 127.0.0.1:1", "audit": "good",
    "peers export": "--bootstrap 127.0.0.1:1", "up": "--dry-run", "verify": "good", "voters check": "good",
    "voters cards": "--genesis genesis.json", "voters invite": "-o out",
    "voters approve": "--node 127.0.0.1:1",
    "voters keys": "", "voters status": "--node 127.0.0.1:1", "keys import": "",
    "peers ban": "127.0.0.1", "peers unban": "127.0.0.1", "peers list": "--banned",
    "vote": "voter Alice --node 127.0.0.1:1", "results": "--final --node 127.0.0.1:1", "compare": "good good",
    "report": "-o out --format html --archive good",
    "election new": "", "election check": "good", "election show": "good",
    "election create": "good -o out", "node init": "--name north",
    "node join": "genesis.json --relay --yes --no-start --bootstrap 127.0.0.1:1 --data-dir fresh",
    "node run": "",
    "election extend": "+2h --node 127.0.0.1:1", "election close": "+2h --node 127.0.0.1:1",
    "election cancel": "--yes --node 127.0.0.1:1",
    "voters add": f"dan {'58' + '66' * 31} --node 127.0.0.1:1",
    "voters replace-key": f"dan {'58' + '66' * 31} --node 127.0.0.1:1",
    "evidence make": "good --archive good",
    "evidence verify": "good", "evidence show": "0 two-lists --node 127.0.0.1:1",
    "trustee init": "", "trustee status": "FOLDER",
    **{f"trustee {step}": "FOLDER Citra" for step in ("join", "rehearse", "recover")},
    "trustee decrypt": "FOLDER Citra --archive good --roll good",
    "trustee submit": "--node 127.0.0.1:1",
    # Programs: at an address that this machine does not have, should all else be in order.
    "node": "--data-dir fresh --genesis genesis.json --host 203.0.113.1",
    "bootstrap": "--data-dir fresh --host 203.0.113.1",
    "witness": "--data-dir fresh --genesis genesis.json --listen 203.0.113.1:4100",
    "web": "--node 127.0.0.1:1 --host 203.0.113.1",
}  # fmt: skip
"""How each command is called that takes a file, but for the file in question. FOLDER: that of a ceremony."""
FOLDER = "FOLDER"
ODD = (
    *(
        "folder",
        "none",
        "none/none",
        "file/none",
        "empty",
        "binary",
        "utf16",
        "nul",
        "denied",
        "loop",
        "socket",
    ),
    *("/dev/zero", "/dev/null", "/proc/self/mem", "bad\udcff", "bomb.gz"),
)
TAKES_A_FILE = {"voters import", "voters invite", "replay", "import", "ballots check"}
CASES = [(name, param) for name, param in readers(main)]


@pytest.fixture(scope="module")
def oddities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import gzip
    import socket

    place = tmp_path_factory.mktemp("odd")
    (place / "folder").mkdir()
    (place / "file").write_text("x")
    (place / "empty").touch()
    (place / "binary").write_bytes(bytes(range(256)) * 999)
    (place / "utf16").write_text("id,choice\nann,Alice\n", encoding="utf-16")
    (place / "nul").write_bytes(b"id,public_key\0\nann\0,x\n" * 9)
    (place / "denied").write_text("x")
    (place / "denied").chmod(0)
    (place / "loop").symlink_to("loop")
    (place / "bomb.gz").write_bytes(gzip.compress(bytes(2**27)))
    (place / "good").write_bytes(good_archive())
    (place / "genesis.json").write_bytes(make_election().to_file())
    ceremony = CeremonyFolder(place / "ceremony")
    ceremony.begin(draft_for())
    for raw in ceremony_until(("certificate", "coefficients", "key")).files.values():
        ceremony.hand_in(read_record(raw))
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(place)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    return place


@pytest.mark.long
@pytest.mark.parametrize(("name", "param"), CASES, ids=lambda one: getattr(one, "name", one))
def test_a_wrong_kind_of_file_is_refused_with_a_sentence(
    cli: Callable[..., CommandResult],
    oddities: Path,
    name: str,
    param: click.Parameter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Folders, devices, sockets, loops, holes: an exit code that says what it is, never a trace."""
    monkeypatch.chdir(oddities)
    flag = param.opts[0] if isinstance(param, click.Option) else ""
    rest = ARGUMENTS[name].removeprefix("good" if not flag else "")
    rest = re.sub(rf"{flag} \S+", "", rest) if flag else rest
    others = ["file"] if name in TAKES_A_FILE and flag else []
    words = [*name.split(), *others, *shlex.split(rest)]
    for odd in ODD:
        if odd.startswith("/") and param.name == "data_dir":
            continue
        if flag:
            called = ["ceremony" if word == FOLDER else word for word in words] + [flag, odd]
        elif FOLDER in words:
            called = [odd if word == FOLDER else word for word in words]
        else:
            called = [*words, odd]
        done = cli(*called)
        assert "Traceback" not in done.err, (odd, done.err)
        assert done.code in (0, 1, 2, 3, 6, 74, 75, 78), (odd, done)
        if done.code:
            assert "Error" in done.err or "ERROR" in done.err, (odd, done)
    for made in ("out", "fresh", "none"):
        shutil.rmtree(oddities / made, ignore_errors=True)
        with contextlib.suppress(OSError):
            (oddities / made).unlink()
