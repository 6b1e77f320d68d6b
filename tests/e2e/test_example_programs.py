"""Every file of examples/ runs against a real network, and so does the code in docs/client.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs" / "client.md"


class Network:
    """A network of three nodes; runs programs as its user."""

    def __init__(self, user: Votenet, folder: Path) -> None:
        self.user, self.folder = user, folder
        user("up", "--nodes", "3", "--detach")
        programs = user.programs()
        self.nodes = [programs[f"node-{number}"]["address"] for number in (1, 2, 3)]
        self.bootstrap = programs["bootstrap"]["address"]
        self.network_id = user.json("results")["network_id"]

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self.user.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
        assert done.returncode == 0, f"{arguments[0]}:\n{done.stdout}\n{done.stderr}"
        assert done.stderr == ""
        return done.stdout


@pytest.mark.long
def test_every_example_runs_and_reports(votenet: Votenet, tmp_path: Path) -> None:
    network = Network(votenet, tmp_path)
    first, *others = network.nodes

    def example(name: str, *arguments: str) -> str:
        left.remove(name)
        return network.run(str(EXAMPLES / name), *arguments)

    left = {path.name for path in EXAMPLES.glob("*.py")}
    cast = example("cast_and_receipt.py", first, "voter123", "Alice", "receipt.json")
    standing = r"(in block 1, says .*|final, signed by .*)"
    assert re.search(rf"^Your vote is {standing}\.\nWrote receipt.json: Alice\.$", cast, re.M)
    votenet("verify", str(tmp_path / "receipt.json"), "--network", network.network_id)
    again = network.run(str(EXAMPLES / "cast_and_receipt.py"), first, "voter123", "Bob", "receipt.json")
    assert "voter123 has voted before" in again
    many = example("many_voters.py", network.bootstrap, network.network_id)
    assert len(re.findall(r"^member-\d+: \w+, block \d+$", many, re.M)) == 12
    assert many.endswith("13 votes in all\n")
    votenet("wait", "--for", "results")
    watched = example("watch_results.py", "1", first, *others)
    assert re.fullmatch(r"block \d+: Alice 5, Bob 4, Charlie 4\n", watched)
    votenet("export", "-o", str(tmp_path / "election.jsonl.xz"))
    counted = example("count_archive.py", "election.jsonl.xz", network.network_id)
    assert re.search(r"^ +5  Alice$", counted, re.M)
    assert left == set(), "an example that no test runs"


def test_the_code_on_the_page_runs(votenet: Votenet, tmp_path: Path) -> None:
    """Each block by itself, in the order of the page."""
    network = Network(votenet, tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 4
    for number, code in enumerate(blocks):
        for name, value in (
            ("10.0.0.1:3000", network.nodes[0]),
            ("10.0.0.2:3000", network.nodes[1]),
            ("10.0.0.9:4000", network.bootstrap),
            ("NETWORK_ID", network.network_id),
        ):
            code = code.replace(name, value)
        program = tmp_path / f"block_{number}.py"
        program.write_text(code)
        network.run(str(program))
