"""Commands that get hostile text: each text reaches the terminal as one harmless line."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socketserver
import threading
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import CommandResult

from support.elections import make_election
from support.lying_node import election_info, lying_node, results_info, status_info
from votenet.config import instance_dirs
from votenet.core.ledger.block import genesis_header
from votenet.protocol.wire.address import Address

FORGED = "Error: the election was cancelled [cancelled]"
HOSTILE = (
    f"x\n{FORGED}\r{FORGED}\x1b[2J\x1b]0;own\x07\x9b31m\u202egpj\u2028{FORGED}\u2066\u200f [bold]y[/bold]"
)
ELECTION = make_election(candidates=("Alice", "Bob"))
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def harmless(done: CommandResult) -> None:
    """Nothing acts, no line begins as the stranger wished, markup is text."""
    for text in (done.out, done.err):
        acting = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")}
        assert not acting, repr(text)
        assert not set(text) & set("\u202e\u2066\u200f"), repr(text)
        assert not [line for line in text.splitlines() if line.strip().startswith(FORGED)], text
    assert "Traceback" not in done.err


def hostile_results() -> dict[str, Any]:
    told = results_info(ELECTION)
    contest = told["contests"][0] | {
        "title": HOSTILE,
        "counts": [[HOSTILE, 2], ["[red]Bob[/red]", 1]],
        "votes": 3,
        "method": HOSTILE,
        "outcome": {
            "state": "won",
            "winners": [HOSTILE],
            "rounds": [
                {"number": 1, "counts": [[HOSTILE, 2]], "exhausted": 0, "eliminated": [HOSTILE],
                 "tied": [HOSTILE, "b"], "tie_break": HOSTILE},
            ],
        },
    }  # fmt: skip
    return told | {"title": HOSTILE, "votes": 3, "contests": [contest]}


def hostile_status() -> dict[str, Any]:
    return status_info(ELECTION, ("cut-off", HOSTILE)) | {
        "name": HOSTILE,
        "kernel": HOSTILE,
        "tip": HOSTILE,
        "listen": HOSTILE,
    }


def hostile_place(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "vote_status", "state": "in_block", "vote_id": HOSTILE, "time": 1, "block": HOSTILE,
        "height": 1, "position": 0, "confirmations": 1, "error": {"code": HOSTILE, "message": HOSTILE},
    }  # fmt: skip


def hostile_blocks() -> dict[str, Any]:
    genesis = {"header": genesis_header(ELECTION).pack().hex(), "own": True}
    return {"type": "block_list", "first": 0, "height": 0, "blocks": [genesis], "time": 1.0}


def refusal(request: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": HOSTILE, "message": HOSTILE, "next_step": HOSTILE}}


def known_refusal(request: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": "already-voted", "message": HOSTILE, "next_step": HOSTILE, "block": HOSTILE}}


def taken(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "votes_taken",
        "outcomes": [{"vote_id": HOSTILE, "error": {"code": "already-voted", "message": HOSTILE}}],
    }


KINDS = (
    "get_election", "get_status", "get_results", "get_vote_status", "get_proof", "get_headers", "get_blocks",
    "submit_votes", "ping", "get_block_list",
)  # fmt: skip
LIES = {
    "words": dict.fromkeys(KINDS, refusal)
    | {
        "get_results": lambda _: hostile_results(),
        "get_status": lambda _: hostile_status(),
        "get_vote_status": hostile_place,
        "get_proof": refusal,
        "get_headers": refusal,
        "get_block_list": lambda _: hostile_blocks(),
        "submit_votes": taken,
        "ping": refusal,
    },
    "refusals": dict.fromkeys(KINDS, refusal),
    "known-refusals": dict.fromkeys(KINDS, known_refusal),
    "election": dict.fromkeys(KINDS, known_refusal)
    | {
        "get_election": lambda _: (
            election_info(ELECTION)
            | {
                "definition": election_info(ELECTION)["definition"]
                | {"title": HOSTILE, "candidates": [HOSTILE]}
            }
        ),
    },
}
ASKING = {
    "results": ("results",),
    "results-json": ("results", "--json"),
    "status": ("status",),
    "blocks": ("blocks",),
    "blocks-json": ("blocks", "--all-nodes", "--json"),
    "status-voter": ("status", "--voter", "voter"),
    "receipt": ("receipt", "voter"),
    "vote": ("vote", "voter", "Alice", "--wait", "1"),
    "vote-json": ("vote", "voter", "Alice", "--wait", "1", "--json"),
    "export": ("export",),
    "replay": ("replay", "ballots.csv", "--wait", "0"),
    "peers-banned": ("peers", "list", "--banned"),
}


@pytest.mark.parametrize(
    ("command", "lies"),
    [
        pair for pair in itertools.product(ASKING, LIES) if pair != ("replay", "words")
    ],  # it tries for a minute
)
def test_text_of_a_node_has_no_effect_on_the_terminal(
    cli: Callable[..., CommandResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    lies: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ballots.csv").write_text("choice\nAlice\n")
    with lying_node(ELECTION, LIES[lies]) as address:  # type: ignore[arg-type]
        done = cli(*ASKING[command], "--node", str(address))
    harmless(done)
    assert done.out or done.err


@pytest.mark.parametrize("name", ["audit", "verify", "voters check", "import", "replay", "peers import"])
@pytest.mark.parametrize("form", ["json", "csv"])
def test_text_in_a_file_or_its_name_has_no_effect_on_the_terminal(
    cli: Callable[..., CommandResult], tmp_path: Path, name: str, form: str
) -> None:
    definition = election_info(ELECTION)["definition"] | {"title": HOSTILE, "candidates": [HOSTILE]}
    record: dict[str, Any] = {"format": HOSTILE, "version": 1, "definition": definition, "kind": HOSTILE}
    data = (
        json.dumps(record, ensure_ascii=False) + "\n" if form == "json" else f'"{HOSTILE}",{HOSTILE!r}\nx\n'
    )
    file = tmp_path / f"{HOSTILE.replace('/', '')[:60]}\udcff.{form}"
    file.write_text(data, errors="surrogateescape")
    more = ("--data-dir", str(tmp_path / "d")) if name == "import" else ()
    done = cli(*name.split(), str(file), *more)
    assert done.code != 0
    assert done.code != 70
    harmless(done)


def test_arguments_act_on_nothing(cli: Callable[..., CommandResult]) -> None:
    for arguments in (
        (HOSTILE,), ("vote", HOSTILE), ("results", f"--{HOSTILE}"), ("results", "--node", HOSTILE),
        ("results", "-i", HOSTILE), ("keys", "show", HOSTILE), ("keys", "make", HOSTILE), ("keys", "list"),
        ("logs", HOSTILE), ("wait", "--for", HOSTILE), ("up", "--dry-run", "--title", HOSTILE),
        ("up", "--dry-run", "--candidate", HOSTILE), ("verify", HOSTILE), ("help", HOSTILE),
        ("completion", HOSTILE), ("peers", "ban", HOSTILE), ("config", "show", HOSTILE),
    ):  # fmt: skip
        done = cli(*arguments)
        harmless(done)


# -- a bootstrap server ----------------------------------------------------------------------------


@contextlib.contextmanager
def lying_server(answer: bytes) -> Iterator[Address]:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # its trace would be taken for one of the command
                self.rfile.readline()
                self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Address("127.0.0.1", server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps({"error": {"code": HOSTILE, "message": HOSTILE}}),
        json.dumps({"type": "REGISTER_RESPONSE", "payload": HOSTILE}),
        json.dumps({"type": HOSTILE, "payload": [HOSTILE]}),
        json.dumps([{"address": HOSTILE}]),
        HOSTILE,
    ],
)
@pytest.mark.parametrize("command", ["register", "list", "remove", "ping", "export"])
def test_text_of_a_bootstrap_server_has_no_effect_on_the_terminal(
    cli: Callable[..., CommandResult], command: str, answer: str
) -> None:
    with lying_server(answer.encode() + b"\n") as address:
        peer = ("127.0.0.1:1",) if command in ("register", "remove") else ()
        harmless(cli("peers", command, *peer, "--bootstrap", str(address)))


# -- a supervisor ----------------------------------------------------------------------------------


def program(address: str) -> dict[str, Any]:
    return {
        "name": HOSTILE, "role": "node", "state": "removed", "address": address, "pid": 1, "uptime": 1.0,
        "height": 1, "peers": 1, "waiting": 0, "cpu": 1.0, "memory": 1, "restarts": 1, "cause": HOSTILE,
        "says": HOSTILE, "problem": HOSTILE, "alert": HOSTILE, "next_try_in": None, "log": None,
        "last_lines": [HOSTILE], "synced": True, "warnings": [],
        "links": {"cut": [HOSTILE], "delay": 0.1},
    }  # fmt: skip


@contextlib.contextmanager
def lying_supervisor(answers: list[dict[str, Any]]) -> Iterator[None]:
    path = instance_dirs().control_socket
    path.parent.mkdir(parents=True, exist_ok=True)

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the command has heard enough, and hung up
                self.rfile.readline()
                for answer in answers:
                    self.wfile.write(json.dumps({"v": 1, **answer}).encode() + b"\n")

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            os.unlink(path)


@pytest.mark.parametrize("lie", ["words", "refusal"])
@pytest.mark.parametrize(
    "command",
    ["ps", "ps --json", "events", "events --json", "top --once --interval 0.1", "status", "results",
     "wait --for ready --timeout 0", "start node-1", "stop node-1", "restart node-1",
     "kill node-1", "doctor"],
)  # fmt: skip
def test_text_of_a_supervisor_has_no_effect_on_the_terminal(
    cli: Callable[..., CommandResult], command: str, lie: str
) -> None:
    cli("version")  # sets the home
    with lying_node(ELECTION, LIES["words"]) as node:  # type: ignore[arg-type]
        status = {
            "instance": "default", "phase": "running", "programs": [program(str(node))], "genesis": HOSTILE,
            "supervisor": {"detached": True, "pid": 1}, "nodes": [str(node)], "bootstrap": str(node),
            "host": "127.0.0.1",
        }  # fmt: skip
        event = {"event": "state", "time": 1.0, "name": HOSTILE, "state": HOSTILE, "cause": HOSTILE}
        said = {"event": "says", "text": HOSTILE}
        words = [event, said, {"ok": True, **status}]
        error = {"code": HOSTILE, "message": HOSTILE, "next_step": HOSTILE, "exit_code": 1}
        with lying_supervisor(words if lie == "words" else [{"ok": False, "error": error}]):
            done = cli(*command.split())
    harmless(CommandResult(done.code, COLOURS.sub("", done.out), done.err))


def test_logs_show_one_line_for_one_line(cli: Callable[..., CommandResult]) -> None:
    cli("version")
    folder = instance_dirs().logs
    folder.mkdir(parents=True)
    line = HOSTILE.replace("\n", "\\n")
    (folder / "node-1.1.log").write_text(line + "\n" + "2020-01-01T00:00:00Z forged\n", newline="")
    done = cli("logs")
    harmless(done)
    assert len(done.out.splitlines()) == 2
    documents = [json.loads(text) for text in cli("logs", "--json").out.splitlines()]
    assert documents[0]["line"] == line
    assert documents[1]["time"] is None, "what a line says of itself is not when it was written"
    assert documents[1]["own_time"] == 1577836800.0
