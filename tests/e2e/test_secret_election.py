"""A secret election by commands alone, from its file to the archive that three programs check.

Everybody has a home of their own, as on a machine of their own. What is typed is what a command before it,
or a card, has printed, wherever it printed something.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import Votenet, wait_for

from support.belenios_check import read_archive
from support.belenios_tool import find_tool
from support.printed_commands import commands_in

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900)]
"""Some sixty commands, and a minute until voting closes: 80 s on an idle machine."""

VERIFIER = Path(__file__).parents[2] / "verifier" / "votenet_verifier.py"
NODES = 4
TRUSTEES = ("Citra", "Dewi", "Eko")
MEMBERS = "id,name\n0001,Ani\n0002,Budi\n0003,Cici\n0004,Didi\n0005,Edo\n"
VOTES = {
    "0001": ("--in", "chair=Alice", "--in", "hall=Yes"),
    "0002": ("--in", "chair=Bob", "--in", "hall=No"),
    "0003": ("--in", "chair=Bob"),
    "0004": ("--in", "hall=Yes", "--in", "chair=Bob"),
}
"""What is typed behind the code. A contest that is left out is blank; the fifth member stays away."""
COUNTS = {"chair": {"Alice": 1, "Bob": 3, "Charlie": 0}, "hall": {"Yes": 2, "No": 1, "Abstain": 0}}
SECOND_CONTEST = """
[[contests]]
id = "hall"
title = "Shall we build a hall?"
method = "motion"
threshold = "simple of votes cast"
blank = true
"""
PATIENCE = 240.0


Counts = dict[str, dict[str, int]]


def counts_of(report: Any) -> Counts:
    """The votes of each candidate of each contest."""
    return {contest["id"]: dict(contest["counts"]) for contest in report["contests"]}


class Person(Votenet):
    """Somebody with a home of their own, who types in a folder."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home)
        self.folder = folder

    def types(self, line: str | Sequence[str], code: str = "", exit_code: int | None = 0) -> str:
        """What a command prints, errors as well; `code` is what comes on its standard input."""
        words = shlex.split(line)[1:] if isinstance(line, str) else list(line)
        done = self.runs(words, code)
        said = done.stdout + done.stderr
        assert exit_code is None or done.returncode == exit_code, f"{words}: {done.returncode}\n{said}"
        return said

    def asks(self, *words: str) -> Any:
        """The JSON that a command prints, whatever its code: nodes that differ for a moment have one, and a
        sentence on stderr."""
        return json.loads(self.runs([*words, "--json"]).stdout)

    def runs(self, words: Sequence[str], code: str = "") -> subprocess.CompletedProcess[str]:
        """A command that has ended, in whatever way; without a trace of Python."""
        done = subprocess.run(
            [sys.executable, "-m", "votenet", *words],
            env=self.env,
            cwd=self.folder,
            input=code,
            capture_output=True,
            text=True,
            timeout=PATIENCE + 60,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return done


def printed(said: str, beginning: str) -> list[str]:
    """The commands that were printed, and begin so."""
    return [line for line in commands_in(said) if line.startswith(f"votenet {beginning}")]


class Evening:
    """The organiser, the trustees and the voters of one election."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.organiser = Person(folder / "organiser", folder)
        self.trustees = {name: Person(folder / name, folder) for name in TRUSTEES}
        self.voters = Person(folder / "voters", folder)
        self.counted: list[Counts] = []

    # -- before ---------------------------------------------------------------------------------------

    def write_file(self) -> str:
        """The file of the election; what its check prints to go on."""
        said = self.organiser.types("votenet election new -o election.toml")
        file = self.folder / "election.toml"
        head, tables = file.read_text().split("[[contests]]")
        head = head.replace("# closes = 2027", "closes = 2037").replace("# members =", "members =")
        head = head.replace("grace = 30", 'grace = 1\nsecrecy = "secret"\n#')
        trustees = f'[trustees]\nnames = {json.dumps(TRUSTEES)}\nthreshold = 2\nfolder = "ceremony"\n\n'
        tables = tables.replace("blank = false", "blank = true")
        file.write_text(f"{head}{trustees}[[contests]]{tables}{SECOND_CONTEST}")
        (self.folder / "members.csv").write_text(MEMBERS)
        (check,) = printed(said, "election check")
        return self.organiser.types(check)

    def hold_ceremony(self, said: str) -> str:
        """All steps of the trustees, as each output asks for them; the last output."""
        (init,) = printed(said, "trustee init")
        said = self.organiser.types(init)
        for _ in range(3):
            asked = printed(said, "trustee join")
            assert asked
            for line in asked:
                said = self.trustees[line.split()[-1]].types(line)
        refused = self.organiser.types("votenet up -d -f election.toml", exit_code=None)
        assert "[ceremony-incomplete]" in refused
        for line in printed(said, "trustee rehearse"):
            name = line.split()[-1]
            said = self.trustees[name].types(line, code=self.card_of(name))
        assert "The ceremony is complete" in said
        return said

    def card_of(self, trustee: str) -> str:
        """The code on the recovery card of a trustee."""
        page = self.folder / f"recovery-{1 + TRUSTEES.index(trustee)}.html"
        first, second = re.findall(r'<p class="code"><span>(.*?)</span><span>(.*?)</span>', page.read_text())
        assert first == second
        return "".join(first)

    def start(self) -> str:
        """Name the nodes, make the genesis file, start the network; the address of a node."""
        home = self.organiser.home / "default"
        lines = [
            self.organiser.types(
                ("node", "init", "--data-dir", str(home / f"node-{n}"), "--name", f"Node {n}")
            )
            for n in range(1, NODES + 1)
        ]
        file = self.folder / "election.toml"
        file.write_text(f"nodes = {[line.splitlines()[0] for line in lines]}\n{file.read_text()}")
        (create,) = printed(self.organiser.types("votenet election check election.toml"), "election create")
        said = self.organiser.types(create)
        assert "Give the genesis file to every node, with the roll." in said
        up = ("up", "--detach", "--nodes", str(NODES), "--genesis", "genesis.json", "--roll", "roll.json")
        self.organiser.types((*up, "--timeout", str(PATIENCE)))
        return str(self.organiser.programs()["node-2"]["address"])

    # -- voting ---------------------------------------------------------------------------------------

    def vote(self, node: str) -> None:
        """Every voter types the code of the card; a second vote is refused."""
        codes = json.loads((self.folder / "codes.json").read_text())["codes"]
        words = ("vote", "--code", "--node", node, "--roll", "roll.json")
        for voter, choice in VOTES.items():
            more = ("--wait", str(PATIENCE), "--receipt", f"{voter}.json")
            said = self.voters.types([*words, *choice, *more], code=codes[voter])
            assert "Your vote is final" in said
            assert "choice       encrypted" in said
        again = self.voters.types([*words, *VOTES["0002"]], code=codes["0001"], exit_code=1)
        assert "has already voted" in again
        waiting = f"{len(VOTES)} votes, encrypted; waiting for 2 of 3 trustees."
        wait_for(lambda: waiting in self.results(), "a node knows all", PATIENCE)
        assert "Bob" not in self.organiser.types("votenet results")

    def close(self) -> None:
        """As soon as may be: a minute ahead. On a slow machine the minute may be missed: then later."""
        key = ("--authority-key", "authority.key", "--wait", str(PATIENCE))
        for notice in itertools.count(64, 16):
            said = self.organiser.types(("election", "close", f"+{notice}s", *key), exit_code=None)
            if "is final, signed by" in said:
                return
            assert notice < 300, said

    # -- afterwards -----------------------------------------------------------------------------------

    def decrypt(self, name: str, node: str) -> str:
        """A trustee's share, once the node that is asked knows the final result."""
        line = ("trustee", "decrypt", "ceremony", name, "--node", node, "--roll", "roll.json")
        said = ""

        def taken() -> bool:
            nonlocal said
            said = self.trustees[name].types(line, exit_code=None)
            later = "[not-final]" in said or "[unreachable]" in said  # that node does not know it, or is slow
            assert later or "A node has checked and taken it." in said, said
            return not later

        wait_for(taken, f"{name} has decrypted", PATIENCE)
        return said

    def results(self) -> str:
        """What a node tells now."""
        return self.organiser.types("votenet results", exit_code=None)

    def all_have_counted(self) -> bool:
        """Whether every node has counts now; they are in `counted`."""
        nodes = self.organiser.asks("results", "--all-nodes").get("nodes", [])
        self.counted = [counts_of(node) for node in nodes if node["contests"]]
        return len(self.counted) == NODES


@pytest.fixture(scope="module")
def evening() -> Iterator[Evening]:
    """The election up to its counts; two of three keys were lost, and one trustee's cards, too."""
    with tempfile.TemporaryDirectory(prefix="votenet-e2e-") as folder:
        whole = Votenet(Path(folder))  # looks for processes in all homes
        made = Evening(Path(folder))
        try:
            held(made)
            yield made
        finally:
            down = made.organiser("down", exit_code=None)
        assert whole.left_over() == [], f"down ended with {down.returncode}:\n{down.stdout}\n{down.stderr}"


def held(evening: Evening) -> None:
    said = evening.hold_ceremony(evening.write_file())
    node = evening.start()
    (check,) = printed(said, "trustee status")
    for trustee in evening.trustees.values():
        assert "has the keys of this ceremony." in trustee.types(check)
    evening.vote(node)
    evening.close()
    # While the minute passes:
    for voter in VOTES:
        assert "final: signed by" in evening.voters.types(f"votenet verify {voter}.json --roll roll.json")
    for name in ("Citra", "Eko"):
        shutil.rmtree(evening.trustees[name].home)
    citra = evening.trustees["Citra"]
    said = citra.types("votenet trustee recover ceremony Citra", code=evening.card_of("Citra"))
    assert "Your key is back" in said
    evening.organiser.types(("wait", "--for", "final", "--timeout", str(PATIENCE)))
    assert f"Decrypting the sum of {len(VOTES)} votes." in evening.decrypt("Dewi", node)
    wait_for(lambda: "by Dewi" in evening.results(), "the share is known", PATIENCE)
    evening.decrypt("Citra", node)
    wait_for(evening.all_have_counted, "every node has counted", PATIENCE)


def test_every_node_counts_what_was_voted(evening: Evening) -> None:
    assert evening.counted == [COUNTS] * NODES
    assert "Winner: Bob" in evening.organiser.types("votenet results")


def test_final_result_audit_and_second_verifier_come_to_the_same_counts(evening: Evening) -> None:
    organiser = evening.organiser
    said = organiser.types("votenet results --final -o result.json")
    (verify,) = printed(said, "verify")
    assert "The final result holds." in evening.voters.types(verify)
    (audit,) = printed(organiser.types("votenet export -o election.jsonl"), "audit")
    told = evening.voters.types(f"{audit} --roll roll.json --compare result.json")
    assert "every proof in the encrypted ballots, the trustees' shares of the count" in told
    assert "result.json says the same." in told
    command = [sys.executable, str(VERIFIER), "archive", "election.jsonl", "--roll", "roll.json", "--json"]
    done = subprocess.run(command, cwd=evening.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert counts_of(report) == COUNTS
    assert (report["votes"], report["final"], "not_checked" in report) == (len(VOTES), True, False)


def test_the_tool_of_belenios_proves_the_archive_that_is_written_for_it(evening: Evening) -> None:
    export = "votenet export --belenios election.bel --trustees trustees.json"
    said = evening.organiser.types(export)
    assert "Bob 3" in said
    bel = evening.folder / "election.bel"
    archive = read_archive(bel.read_bytes())
    assert archive.result == b'{"result":[[0,1,3,0],[1,2,1,0]]}'
    alone = evening.folder / "alone"
    alone.mkdir()
    tool = find_tool(alone)
    (uuid,) = re.findall(r" as (\w+)\.bel", said)
    shutil.copy(bel, alone / f"{uuid}.bel")
    assert b"all checks passed" in tool.attempt("election", "verify").stderr
    assert tool.proves(archive, uuid)
