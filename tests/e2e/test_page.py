"""The page of a real network: who is killed under it, and what its end looks like."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

from support.elections import make_vote
from votenet.core.election.definition import Election
from votenet.core.ledger.vote import HashedVote
from votenet.storage.genesis_file import read_genesis

pytestmark = pytest.mark.e2e

VOTES = 60
KILL_AT = 20
"""So many votes are acknowledged when the page is killed."""


class Browser:
    """What a script of the page does, over sockets."""

    def __init__(self, votenet: Votenet) -> None:
        self.url = votenet.json("ps")["page"]

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.loads(answer.read())

    def shows(self, path: str, name: str, value: object) -> bool:
        """Whether a field has this value; false while no node answers the page."""
        try:
            return bool(self.get(path)[name] == value)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            return False

    def post(self, path: str, body: bytes) -> Any:
        headers = {"Content-Type": "application/json", "Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def cast(self, vote: HashedVote) -> Any:
        """Post the same bytes until they are acknowledged, as the booth does while the page is away."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return self.post("/api/v1/votes", vote.record)
            except urllib.error.HTTPError as error:
                if error.code != 503 or time.monotonic() > deadline:
                    raise
            except (OSError, http.client.HTTPException):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def stream(self) -> socket.socket:
        """An open event stream, after its first event."""
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        link = socket.create_connection((host, int(port)), timeout=60)
        link.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        seen = b""
        while b"event: state" not in seen:
            data = link.recv(65536)
            assert data, seen
            seen += data
        return link


def election_of(votenet: Votenet) -> Election:
    return read_genesis(Path(votenet.json("ps")["genesis"]))


class Voters(threading.Thread):
    """Cast votes one after the other; `acknowledged` grows as they are."""

    def __init__(self, browser: Browser, votes: Sequence[HashedVote]) -> None:
        super().__init__()
        self._browser, self._votes = browser, votes
        self.acknowledged: list[str] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            for vote in self._votes:
                found = self._browser.cast(vote)
                assert found["vote_id"] == vote.id.hex()
                self.acknowledged.append(vote.voter_id)
        except BaseException as error:
            self.failure = error


@pytest.mark.long
def test_no_acknowledged_vote_is_lost_where_the_page_and_a_node_are_killed(votenet: Votenet) -> None:
    votenet("up", "--web", "--nodes", "4", "--detach", "--difficulty", "8")
    election, browser = election_of(votenet), Browser(votenet)
    before = votenet.programs()["web"]
    now = int(time.time())
    voters = Voters(browser, [make_vote(election, f"voter-{n}", time=now) for n in range(VOTES)])
    voters.start()
    try:
        wait_for(lambda: len(voters.acknowledged) >= KILL_AT or not voters.is_alive(), "votes are taken")
        votenet.kill("web")
        wait_for(lambda: len(voters.acknowledged) >= 2 * KILL_AT or not voters.is_alive(), "and again")
        votenet.kill("node-2")
    finally:
        voters.join(timeout=240)
    assert voters.failure is None
    assert len(voters.acknowledged) == VOTES
    wait_for(lambda: votenet.json("results")["votes"] == VOTES, "every vote is counted")
    for name in voters.acknowledged[::10]:
        wait_for(lambda n=name: votenet.json("status", "--voter", n)["state"] == "final", f"{name} is final")
    wait_for(lambda: votenet.programs()["web"]["state"] == "ready", "the page is there")
    after = votenet.programs()["web"]
    assert (after["address"], after["restarts"]) == (before["address"], 1)
    wait_for(lambda: browser.shows("/api/v1/state", "votes", VOTES), "the page shows them")
    # A voter whose node dies between two requests is served by another one.
    votenet("stop", "node-1")
    assert browser.cast(make_vote(election, "late", time=now))["received"] >= 1
    wait_for(lambda: browser.shows("/api/v1/vote?voter=late", "state", "final"), "final without node-1")


def test_the_page_of_plain_up_lives_longer_than_its_supervisor_and_ends_at_once(votenet: Votenet) -> None:
    del votenet.env["VOTENET_UP_WEB"]
    started = votenet("up", "--nodes", "1", "--detach", "--difficulty", "8")
    browser = Browser(votenet)
    assert f"Page:    {browser.url}\n" in started.stderr
    assert votenet("status").stdout.count(f"Page: {browser.url}\n") == 1
    assert votenet.json("ls")[0]["page"] == browser.url
    # 1. It keeps nothing on the disk.
    assert not (votenet.home / "default" / "web").exists()
    # 2. Its supervisor is killed: it serves, and is adopted.
    pid = votenet.programs()["web"]["pid"]
    handle = os.pidfd_open(votenet.json("ps")["supervisor"]["pid"])
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    wait_for(lambda: votenet("ps", exit_code=None).returncode == 3, "the supervisor is gone")
    assert browser.get("/api/v1/state")["nodes_up"] == 1
    votenet("up", "--detach")
    assert votenet.programs()["web"]["pid"] == pid
    votenet("restart", "web")  # how an adopted one ends nobody can know
    # 3. Open streams hold up no end.
    streams = [browser.stream() for _ in range(20)]
    try:
        assert votenet("down").returncode == 0
        for stream in streams:
            while stream.recv(65536):
                pass
    finally:
        for stream in streams:
            stream.close()
    log = (votenet.home / "default" / "logs" / "web.2.log").read_text()
    assert "exit 0, as asked" in log.splitlines()[-1]
    assert not [line for line in log.splitlines() if " ERROR " in line or "Traceback" in line]
