"""The page of a network as `votenet up` makes it, keeps it and changes it, over scripted programs."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.network_shell import Shell, alive, open_shell, wait_until
from votenet.cli.network.page import WITHOUT_TLS, change_page, page_lines
from votenet.errors import ConfigError
from votenet.processes import ports
from votenet.processes.identity import leftovers
from votenet.processes.instance import load_network, network_file
from votenet.processes.spec import WebSpec


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    home = tmp_path_factory.mktemp("h")
    monkeypatch.setenv("VOTENET_HOME", str(home))
    monkeypatch.delenv("VOTENET_UP_WEB")
    with open_shell(home) as found:
        yield found


def page(shell: Shell) -> dict[str, Any]:
    return next(program for program in shell.status()["programs"] if program["name"] == "web")


def test_a_page_from_its_start_to_its_end(shell: Shell, tmp_path: Path) -> None:
    port = shell.page[-1]
    plan = json.loads(shell.up(*shell.page, "--dry-run", "--json", nodes=1).stdout)
    assert plan["programs"][-1]["address"] == f"127.0.0.1:{port}"
    assert not shell.dirs.state.exists()
    started = shell.up(*shell.page, "--kiosk", nodes=1).stderr
    assert f"Page:    http://127.0.0.1:{port}\n" in started
    first = page(shell)
    assert (first["state"], first["address"]) == ("ready", f"127.0.0.1:{port}")
    # 1. Other settings restart the page alone; the same ones change nothing.
    others = shell.pids()[:-1]
    dry = json.loads(shell.call("up", "--dry-run", "--no-kiosk", "--json").stdout)
    assert (dry["restarts"], dry["starts"], dry["stops"]) == (["web"], [], [])
    changed = shell.call("up", "--detach", "--no-kiosk").stderr
    assert "changed: web" in changed
    assert f"Page:    http://127.0.0.1:{port}" in changed
    assert shell.pids()[:-1] == others
    assert page(shell)["pid"] != first["pid"]
    assert "changed" not in shell.call("up", "--detach", "--web").stderr
    # 2. A supervisor that was killed leaves it running; the next one goes on with it.
    pid = page(shell)["pid"]
    shell.kill_supervisor()
    assert "web" in shell.call("ps", code=3).stderr
    shell.run("up", "--detach", *shell.program)
    assert page(shell)["pid"] == pid
    # 3. Killed, it comes back; restarted and stopped by name like a node.
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: page(shell)["state"] == "ready" and page(shell)["pid"] != pid)
    shell.call("restart", "web")
    shell.call("stop", "web")
    assert "starting again what was out: web" in shell.run("up", "--detach").stderr
    # 4. Without it, and with it again, on the same port.
    assert "changed: web" in shell.call("up", "--detach", "--no-web").stderr
    assert [program["name"] for program in shell.status()["programs"]] == ["bootstrap", "node-1"]
    assert len(leftovers(shell.dirs)) == 2
    shell.call("up", "--detach", "--web")
    assert page(shell)["address"] == f"127.0.0.1:{port}"
    # 5. As last time.
    pids = shell.pids()
    shell.run("down")
    assert not any(map(alive, pids))
    again = shell.run("up", "--detach", *shell.program).stderr
    assert page(shell)["address"] == f"127.0.0.1:{port}", again


def test_a_port_that_is_taken_is_left_and_said_unless_it_was_asked_for(shell: Shell) -> None:
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.page[-1])))
        stranger.listen()
        refused = shell.up(*shell.page, code=78).stderr
        assert f"port {shell.page[-1]} is taken by pid {os.getpid()}" in refused
        assert not leftovers(shell.dirs)
    shell.up(*shell.page)
    shell.run("down")
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", int(shell.page[-1])))
        stranger.listen()
        moved = shell.up("--web").stderr
        assert f"(port {shell.page[-1]} is taken by pid {os.getpid()}" in moved
        port = page(shell)["address"].rpartition(":")[2]
        assert f"page: port {port} (" in moved
        assert f"Page:    http://127.0.0.1:{port}\n" in moved


def test_a_network_whose_page_does_not_start_is_ready_and_says_so(shell: Shell) -> None:
    shell.plan({"web": {"exit_always": 78}})
    told = shell.up(*shell.page).stderr
    assert "web is failed: exit 78 (bad configuration)" in told
    assert "Page:    it is failed; votes are taken all the same. Why: votenet logs -i t web" in told
    assert shell.status()["phase"] == "running"


def test_the_network_of_a_start_that_knew_no_page_goes_on_and_gets_one(shell: Shell) -> None:
    shell.up("--no-web", nodes=1)
    shell.kill_supervisor()
    left = shell.pids_left()
    file = network_file(shell.dirs)
    told = json.loads(file.read_text())
    del told["web"]
    file.write_text(json.dumps(told))
    assert load_network(shell.dirs).page is None
    started = shell.up(*shell.page, nodes=1)
    assert page(shell)["state"] == "ready", started.stderr
    assert set(left) < set(shell.pids_left())


@pytest.mark.parametrize("options", [("--tls-cert", "c.pem"), ("--tls-cert", "c.pem", "--tls-key", "none")])
def test_a_certificate_that_cannot_be_used_is_refused_before_anything_starts(
    shell: Shell, tmp_path: Path, options: tuple[str, ...]
) -> None:
    refused = shell.up(*shell.page, *options, code=78).stderr
    assert "[bad-tls]" in refused
    assert not leftovers(shell.dirs)


def status(page: WebSpec) -> dict[str, Any]:
    return {
        "instance": "default",
        "page": page.url,
        "settings": {"web": msgspec.to_builtins(page)},
        "programs": [{"name": "web", "role": "web", "state": "ready"}],
    }


def test_beyond_this_machine_without_tls_is_said() -> None:
    assert list(page_lines(status(WebSpec(port=8080)))) == ["Page:    http://127.0.0.1:8080"]
    wide = list(page_lines(status(WebSpec(port=8080, host="0.0.0.0"))))
    assert wide[0].endswith(":8080")
    assert wide[1].strip() == WITHOUT_TLS
    assert "--tls-cert" in wide[2]
    named = list(page_lines(status(WebSpec(port=8080, host="192.0.2.7"))))
    assert (named[0], named[1].strip()) == ("Page:    http://192.0.2.7:8080", WITHOUT_TLS)
    safe = WebSpec(port=8443, host="192.0.2.7", tls_cert="/c", tls_key="/k")
    assert list(page_lines(status(safe))) == ["Page:    https://192.0.2.7:8443"]
    behind = WebSpec(port=8080, host="192.0.2.7", public_url="https://vote.example.org")
    assert list(page_lines(status(behind))) == ["Page:    https://vote.example.org"]


def test_an_address_of_another_port_than_the_one_it_listens_on_is_said() -> None:
    moved = list(page_lines(status(WebSpec(port=8081, public_url="http://127.0.0.1:8080"))))
    assert moved[0] == "Page:    http://127.0.0.1:8080"
    assert "port 8081" in moved[1]
    assert moved[1].endswith("votenet up -d --web-port 8080")
    assert len(list(page_lines(status(WebSpec(port=80, public_url="http://vote.example.org"))))) == 1


@pytest.mark.parametrize("may", [True, False])
def test_no_command_is_shown_that_this_user_may_not_give(monkeypatch: pytest.MonkeyPatch, may: bool) -> None:
    monkeypatch.setattr(ports, "may_listen", lambda port: may)
    behind = WebSpec(port=8080, public_url="http://vote.example.org")
    line = list(page_lines(status(behind)))[1]
    assert "port 8080, and voters are sent to port 80." in line
    assert ("--web-port 80" in line, "A proxy must" in line) == (may, not may)
    high = replace(behind, public_url="http://vote.example.org:8081")
    assert "--web-port 8081" in list(page_lines(status(high)))[1]


def test_an_address_for_cards_has_no_slash_at_its_end_and_a_scheme(shell: Shell) -> None:
    asked = shell.up(*shell.page, "--public-url", "http://vote.example:8080/", "--dry-run", "--json", nodes=1)
    argv = json.loads(asked.stdout)["programs"][-1]["argv"]
    assert argv[argv.index("--public-url") + 1] == "http://vote.example:8080"
    wrong = shell.call("up", "--public-url", "vote.example", "--dry-run", code=2)
    assert "https://vote.example.org" in wrong.stderr


def test_what_is_not_given_stays_when_a_running_page_changes() -> None:
    running = status(WebSpec(port=8080, kiosk=True, network_id="ab"))
    changed = change_page(running, {"web_host": "0.0.0.0", "web_port": None}, {"web_host"}, "")
    assert changed is not None
    assert (changed["host"], changed["kiosk"], changed["network_id"]) == ("0.0.0.0", True, "ab")
    assert change_page(running, {"kiosk": True}, {"kiosk"}, "") is None
    assert change_page(running, {}, {"nodes"}, "") is None
    with pytest.raises(ConfigError, match="belong together"):
        change_page(running, {"tls_cert": "x", "web_port": None}, {"tls_cert"}, "")
