"""The image is made by the steps of the Dockerfile, and the network that compose.yaml describes runs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from support.compose_file import NODES, LoopbackContainers, build, instructions, process_of, read_compose
from support.elections import key_of
from support.processes import Programs
from votenet.core.election.definition import Election, election_from_file
from votenet.core.ledger.vote import sign_vote

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]


class Containers(Programs):
    """The services of the file as processes, by their names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.services = read_compose()["services"]
        self.programs = build(folder)
        self.places = LoopbackContainers(folder)
        self.url = f"http://127.0.0.1:{self.places.ports['web']}"

    @property
    def env(self) -> dict[str, str]:
        home = str(self.places.state)
        return {"PATH": f"{self.programs}:/usr/bin:/bin", "VOTENET_HOME": home, "HOME": home}

    def once(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """A command in the container of a service, to its end."""
        return subprocess.run(
            self.places.words(name, words), env=self.env, cwd=self.places.state,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip

    def up(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self.places.words(name, process_of(self.services[name])),
                env=self.env, cwd=self.places.state, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def healthy(self, name: str) -> bool:
        """Whether the health check of a container passes."""
        own = self.services[name].get("healthcheck", {}).get("test")
        image = json.loads(dict(instructions())["HEALTHCHECK"].partition("CMD ")[2])
        return self.once(name, own[1:] if own else image).returncode == 0

    def asked(self, path: str) -> httpx.Response | None:
        """The answer of the page; None while it does not answer."""
        try:
            return httpx.get(self.url + path, timeout=60, trust_env=False)
        except httpx.HTTPError:
            return None

    def knows_a_node(self) -> bool:
        answer = self.asked("/api/v1/state")
        return answer is not None and answer.status_code == 200

    def is_final(self, votes: int) -> bool:
        answer = self.asked("/api/v1/state")
        if answer is None or answer.status_code != 200:
            return False
        state = answer.json()
        return bool(state["votes"] == votes and state["final_height"] == state["height"])


def vote_of(net: Containers, voter: str) -> bytes:
    """A vote that this voter has signed."""
    answer = net.asked("/genesis.json")
    assert answer is not None
    election: Election = election_from_file(answer.content, "the page")
    vote = sign_vote(
        key_of(voter), network_hex=election.network_hex, voter_id=voter, choices=[["Alice"]],
        time=int(time.time()),
    )  # fmt: skip
    return vote.record


def taken(net: Containers, vote: bytes) -> bool:
    """Whether the page has taken the vote, now or before."""
    headers = {"Content-Type": "application/json"}
    where = f"{net.url}/api/v1/votes"
    with contextlib.suppress(httpx.HTTPError):
        answer = httpx.post(where, content=vote, headers=headers, timeout=60, trust_env=False)
        return answer.status_code == 200
    return False


def test_what_the_files_describe_becomes_a_network_in_which_a_vote_is_final(tmp_path: Path) -> None:
    """Also where one container is killed and started again, with the folder that it had."""
    net = Containers(tmp_path)
    try:
        for _ in range(2):  # the second time it changes nothing
            done = net.once("ceremony", process_of(net.services["ceremony"]))
            assert done.returncode == 0, done.stdout + done.stderr
        for name in ("bootstrap", *NODES, "web"):
            net.up(name)
        net.wait_for(net.knows_a_node, 300)
        for name in ("bootstrap", *NODES, "web"):
            net.wait_for(lambda name=name: net.healthy(name), 300)
        first, second = vote_of(net, "first"), vote_of(net, "second")
        net.wait_for(lambda: taken(net, first), 300)
        net.wait_for(lambda: net.is_final(1), 300)
        net.kill("east")
        assert not net.healthy("east")
        net.wait_for(lambda: taken(net, second), 300)
        net.wait_for(lambda: net.is_final(2), 300)
        net.up("east")
        net.wait_for(lambda: net.healthy("east"), 300)
        assert os.stat(net.places.state / "east/node.key").st_mode & 0o077 == 0
    finally:
        net.end()
