"""Organisations that each run a node: from the line that one hands in to a final vote, with real programs."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import Votenet

from support.elections import make_election
from support.ports import free_port
from support.processes import PATIENCE, Programs, programs
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

NAMES = ("north", "south", "east")


def answer(url: str) -> httpx.Response | None:
    """What a page answers; None while it does not listen."""
    try:
        return httpx.get(url, timeout=PATIENCE, trust_env=False)
    except httpx.TransportError:
        return None


def status_of(url: str) -> int:
    found = answer(url)
    return 0 if found is None else found.status_code


def made_election(user: Votenet, folder: Path) -> str:
    """The network id of an election that names a node of each organisation, by the lines they hand in."""
    lines = [user("node", "init", "--name", name).stdout.strip() for name in NAMES]
    contests = '[[contests]]\ntitle = "Chair"\ncandidates = ["Ann", "Bo"]\n'
    (folder / "election.toml").write_text(f'title = "Board"\ndifficulty = 8\nnodes = {lines}\n{contests}')
    user("election", "check", str(folder / "election.toml"))
    genesis = ("-o", str(folder / "board.json"), "--authority-key", str(folder / "authority.key"))
    return str(user.json("election", "create", str(folder / "election.toml"), *genesis)["network_id"])


def waiting_page(made: Programs) -> str:
    """The address of a page of that election, before any node runs."""
    boot, port = made.bootstrap(Address("127.0.0.1", free_port())), free_port()
    genesis = ("--genesis", str(made.folder / "board.json"))
    made.start("web", "web", *genesis, "--bootstrap", str(boot), "--port", str(port))
    page = f"http://127.0.0.1:{port}"
    made.wait_for(lambda: status_of(f"{page}/join.json") == 200)
    return page


def test_organisations_join_at_a_page_that_waits_for_them_and_their_vote_is_final(tmp_path: Path) -> None:
    with programs(tmp_path) as made:
        user = Votenet(tmp_path / "home")
        network_id = made_election(user, tmp_path)
        page = waiting_page(made)
        waiting = answer(page)
        assert waiting is not None
        assert (waiting.status_code, network_id in waiting.text) == (503, True)

        nodes = [Address("127.0.0.1", free_port()) for _ in NAMES]
        for name, address in zip(NAMES, nodes, strict=True):
            asked = ("--yes", "--network", network_id, "--listen", str(address))
            made.start(name, "node", "join", page, "--name", name, *asked)
        made.wait_for(lambda: status_of(page) == 200)
        vote = ("vote", "--node", str(nodes[0]), "--wait", "150", "ann", "Bo")
        assert "Your vote is final" in user(*vote).stdout
        made.wait_for(lambda: "Bo" in user("results", "--node", str(nodes[2]), exit_code=None).stdout)

        again = user("node", "join", page, "--name", "north", "--yes", exit_code=75)
        assert "[locked]" in again.stderr
        made.stop("north")
        made.start("north", "node", "run", "--name", "north")
        made.wait_for(lambda: made.log("north").count("listening on") == 2)
        (tmp_path / "other.json").write_bytes(make_election(title="Another").to_file())
        other = user("node", "join", str(tmp_path / "other.json"), "--name", "north", "--yes", exit_code=78)
        assert "[other-election]" in other.stderr
