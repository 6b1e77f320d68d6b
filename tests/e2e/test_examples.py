"""Every example of a help or a page is run in an order in which a person could: none leads nowhere.

An example that needs other machines, or runs for minutes, is only read (`tests/test_printed_commands.py`).
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.conftest import Votenet
from tests.e2e.test_printed_commands import Reader

from test_printed_commands import examples
from votenet.cli.main import COMMANDS, HIDDEN
from votenet.core.keys import SigningKey

pytestmark = pytest.mark.e2e

ELSEWHERE = re.compile(r"example\.org|10\.0\.0\.|HOST|/var/lib|0\.0\.0\.0|NODE|A,B|boot|key:")
"""Names of other machines, folders and nodes that only their owner has."""
LONG = ("votenet chaos", "votenet demo", "votenet bootstrap", "votenet node")
ONE_NETWORK = """
votenet help
votenet help vote
votenet help peers ban
votenet doctor
votenet doctor --json
votenet config show
votenet config show --json
votenet config show --origin
votenet config show down --origin
votenet --config board.toml config show up
votenet completion fish
votenet up -d --nodes 7 --dry-run
votenet up --nodes 5 --detach
votenet wait --for ready
votenet ls
votenet ls --json
votenet vote voter123 Alice
votenet vote voter124 Bob --wait 0
votenet wait --for results
votenet results
votenet results --all-nodes
votenet results --follow
votenet status
votenet status --voter voter123
votenet receipt voter123 -o receipt.json
votenet verify receipt.json
votenet verify receipt.json --node 127.0.0.1:3000
votenet verify receipt.json --network NETWORK_ID --json
votenet export -o election.jsonl
votenet audit election.jsonl
votenet export -o election.jsonl.xz
votenet audit election.jsonl.xz
votenet audit election.jsonl.xz --network NETWORK_ID --json
votenet import election.jsonl.xz --data-dir ./n6
votenet vote third Bob
votenet wait --for height=3 --timeout 60
votenet ps
votenet ps --json
votenet top
votenet top --once
votenet top --json --interval 5
votenet logs
votenet logs --since 10m
votenet logs -f node-1 node-2
votenet logs -n 100 supervisor
votenet peers list
votenet peers list --sample 10 --json
votenet peers register localhost:3999
votenet peers remove localhost:3999
votenet peers import data/peers.json
votenet peers export
votenet peers export peers.json
votenet peers ping localhost:3000
votenet peers ban 203.0.113.7 --for 7d
votenet peers list --banned
votenet peers unban 203.0.113.7
votenet peers ban 127.0.0.1:3002 --node node-1
votenet peers unban 127.0.0.1:3002
votenet partition node-1,node-2 / node-3,node-4,node-5
votenet heal
votenet partition node-5 / 'node-[1-4]'
votenet heal
votenet slow node-3 200ms
votenet slow node-3 0ms
votenet slow 'node-*' 1.5s
votenet slow 'node-*' 0ms
votenet pause node-3
votenet resume node-3
votenet resume 'node-*'
votenet kill node-3
votenet wait --for ready
votenet kill -s TERM node-3
votenet wait --for ready
votenet kill bootstrap
votenet wait --for ready
votenet stop node-3
votenet start node-3
votenet stop node-1 node-2 --timeout 2
votenet start 'node-*'
votenet restart node-3
votenet restart --rolling 'node-*'
votenet restart --rolling
votenet scale 7 --dry-run
votenet scale 7
votenet scale 3
votenet down --timeout 2
votenet down
votenet down --purge --yes
"""
OTHERS = [
    """
votenet roll create members.csv -o roll.json
votenet roll create members.csv -o roll.json --force
votenet roll check roll.json ann
votenet up -d --roll roll.json
votenet down --purge --yes
""",
    """
votenet roll create members.csv -o roll.json --make-keys
votenet up --nodes 5 --detach --candidates-from minneapolis-2013 --choice-column rank1
votenet replay minneapolis-2013 --presign signed.jsonl --limit 2000
votenet replay signed.jsonl --senders 2 --rate 1000 --confirmations 2
votenet replay minneapolis-2013 --choice rank1 --sample 500
votenet down --purge --yes
""",
    """
votenet up -d --title "Board 2026" --candidate Ann --candidate Bo
votenet down --purge --yes
votenet up -d --method instant-runoff --closes +2h --candidate Ann --candidate Bo --candidate Cy
votenet replay ballots.csv --voter-column member_no --choice first --choice second
votenet up -d -i second
votenet down
votenet down -i second
""",
    """
votenet up
votenet up --nodes 5
""",
]
NOT_RUN = {
    "votenet down --purge": "asks on a terminal; tests/cli/test_network_down.py",
    "votenet events": "says nothing until something happens; tests/cli/test_network_events.py",
    "votenet events --json": "the same",
    "votenet peers ping": "a bootstrap server of the test's own; tests/cli/test_peers.py",
    "votenet replay minneapolis-2013 --choice rank1 --sample 5000": "with 500, above",
    "votenet replay minneapolis-2013 --presign signed.jsonl": "with 2,000, above",
    "votenet export --data-dir ./n1 --genesis genesis.json -o election.jsonl": "tests/cli/test_archive.py",
}
README_PAGE = Path(__file__).parent.parent.parent / "README.md"


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()


@pytest.fixture
def reader() -> Iterator[Reader]:
    with tempfile.TemporaryDirectory(prefix="vx-") as name:
        folder = Path(name)
        one = Reader(folder, VOTENET_HOME=str(folder / "home"))
        keys = "".join(f"{who},{SigningKey(who.encode().ljust(32)).public_hex}\n" for who in ("ann", "bo"))
        (one.cwd / "members.csv").write_text(f"id,public_key\n{keys}")
        (one.cwd / "ballots.csv").write_text("member_no,first,second\n" + "m1,Ann,Bo\nm2,Bo,\n")
        (one.cwd / "board.toml").write_text("[up]\nnodes = 3\n")
        (one.cwd / "data").mkdir()
        (one.cwd / "data" / "peers.json").write_text('[{"address":"127.0.0.1:3998"}]')
        yield one
        for row in one.json("votenet ls"):
            one(f"votenet down -i {row['instance']}", None)
        assert Votenet(folder).left_over() == []


def run(reader: Reader, line: str) -> None:
    """An example as it stands, but for the ports and the network id of the network here."""
    if "NETWORK_ID" in line:
        line = line.replace("NETWORK_ID", reader.json("votenet results")["network_id"])
    if re.search(r":300\d", line) and "3999" not in line:
        ports = {one["name"]: one["address"] for one in reader.json("votenet ps")["programs"]}
        line = line.replace("127.0.0.1:3002", ports["node-3"])
        line = re.sub(r"(?:127\.0\.0\.1|localhost):3000", ports["node-1"], line)
    reader.run(line)


def test_every_example_is_accounted_for() -> None:
    ran = {line for text in (ONE_NETWORK, *OTHERS) for line in _lines(text)} | set(_in_readme())
    ran_words = {frozenset(line.split()) for line in ran}
    for line in sorted(set(examples()) - ran - NOT_RUN.keys()):
        if frozenset(line.split()) in ran_words:
            continue  # the same words in another order
        assert ELSEWHERE.search(line) or line.startswith(LONG), f"{line} is run nowhere"


def test_the_examples_for_one_network(reader: Reader) -> None:
    for line in _lines(ONE_NETWORK):
        run(reader, line)


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: _lines(text)[0][8:20])
def test_the_examples_for_other_networks(reader: Reader, text: str) -> None:
    for line in _lines(text):
        run(reader, line)


# -- README -------------------------------------------------------------------------------------------


def _in_readme() -> list[str]:
    """The commands of the section "Your own vote", from top to bottom."""
    section = README_PAGE.read_text(encoding="utf-8").split("## Your own vote\n")[1].split("\n## ")[0]
    lines = re.findall(r"^    (votenet .*)$", section, re.MULTILINE)
    return [line.split("  #")[0].rstrip() for line in lines]


def test_readme_works_from_top_to_bottom(reader: Reader) -> None:
    page = README_PAGE.read_text(encoding="utf-8")
    for line in _in_readme():
        done = reader.run(line)
        if line == "votenet vote voter123 Alice":
            shown = page.split("    Your vote is in block")[1].split("\n\n")[0]
            for wanted in ("    Your vote is in block" + shown).splitlines():
                label = wanted.strip().split("  ")[0]
                assert label == "..." or label in done.stdout, f"README shows {wanted!r}"
    receipt = json.loads((reader.cwd / "receipt.json").read_text())
    assert receipt["vote"]["voter_id"] == "voter123"
    assert {row["instance"] for row in reader.json("votenet ls")} == {"default", "board", "ranked"}
    verifier = README_PAGE.parent / "verifier" / "votenet_verifier.py"
    for kind, name in (("receipt", "receipt.json"), ("archive", "election.jsonl")):
        reader(shlex.join([sys.executable, str(verifier), kind, name]))


def test_readme_names_every_command() -> None:
    page = README_PAGE.read_text(encoding="utf-8")
    table = page.split("| command | what it does |")[1].split("\n\n")[0]
    named = set(
        re.findall(r"\b([a-z]+)\b", " ".join(row.split("|")[1] for row in table.splitlines() if "|" in row))
    )
    assert set(COMMANDS) - set(HIDDEN) <= named
