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
from tests.e2e.test_course import EXERCISES, script
from tests.e2e.test_printed_commands import Reader

from support.printed_commands import commands_in
from test_printed_commands import examples
from votenet.cli.main import COMMANDS, HIDDEN
from votenet.core.keys import SigningKey
from votenet.storage.key_store import KeyStore

pytestmark = pytest.mark.e2e

ELSEWHERE = re.compile(
    r"example\.org|10\.0\.0\.|HOST|/var/lib|0\.0\.0\.0|NODE|A,B|boot|key:|VKEY|votenet evidence |"
    r"election create"
)
"""Names of other machines, folders and nodes that only their owner has, and lies that no node here tells."""
LONG = ("votenet chaos", "votenet demo", "votenet bootstrap", "votenet node")
ONE_NETWORK = """
votenet help
votenet help vote
votenet help peers ban
votenet help node init
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
votenet vote voter125 Bob --receipt bob.json
votenet wait --for results
votenet results
votenet results --all-nodes
votenet results --follow
votenet status
votenet status --voter voter123
votenet blocks
votenet blocks --last 5 --json
votenet blocks --all-nodes
votenet blocks --follow
votenet receipt voter123 -o receipt.json
votenet receipt --upgrade receipt.json
votenet receipt voter123 --tlog-proof -o vote.tlog-proof
votenet watch
votenet watch --node 127.0.0.1:3000 --node 127.0.0.1:3002 --once
votenet export --tiles ./log
votenet compare receipt.json bob.json
votenet compare receipt.json bob.json --node 127.0.0.1:3000
votenet verify receipt.json
votenet verify receipt.json --node 127.0.0.1:3000
votenet verify receipt.json --network NETWORK_ID --json
votenet verify receipt.json --network NETWORK_ID
votenet export -o election.jsonl
votenet audit election.jsonl
votenet report -o minutes.html
votenet report -o minutes.csv
votenet report -o minutes.html --archive election.jsonl
votenet report -o minutes.html --archive election.jsonl --network NETWORK_ID
votenet export -o election.jsonl.xz
votenet audit election.jsonl.xz
votenet audit election.jsonl.xz --network NETWORK_ID --json
votenet import election.jsonl.xz --data-dir ./n6
votenet backup node-3 -o node-3.backup
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
votenet stop node-3 --timeout 2
votenet stop node-1 node-2 --force
votenet start 'node-*'
votenet restart node-3
votenet restart --rolling 'node-*'
votenet restart --rolling
votenet scale 7 --dry-run
votenet scale 7
votenet scale 5
votenet scale 3 --force
votenet down --timeout 2
votenet down
votenet down --purge --yes
"""
OTHERS = [
    """
votenet voters import members.csv -o roll.json
votenet voters import members.csv -o roll.json --force
votenet voters check roll.json ann
votenet up -d --roll roll.json
votenet keys import ann.json
votenet keys list
votenet vote ann Alice --key ann.json
votenet voters keys
votenet voters status
votenet election close +2h
votenet election extend +3h --reason "the hall was late"
votenet keys make dan
votenet voters add dan PUBLIC_KEY --reason "paid today"
votenet voters replace-key bo PUBLIC_KEY --reason "lost his card"
votenet down --purge --yes
""",
    """
votenet voters import members.csv -o roll.json --make-keys
votenet up --nodes 5 --detach --candidates-from minneapolis-2013 --choice-column rank1
votenet ballots check minneapolis-2013 --choice rank1 --json
votenet replay minneapolis-2013 --choice rank1 --presign signed.jsonl --limit 2000
votenet replay signed.jsonl --senders 2 --rate 1000 --confirmations 2
votenet replay minneapolis-2013 --choice rank1 --sample 500
votenet down --purge --yes
""",
    """
votenet up -d --title "Board 2026" --candidate Ann --candidate Bo
votenet down --purge --yes
votenet up -d --method instant-runoff --closes +2h --candidate Ann --candidate Bo --candidate Cy
votenet ballots check ballots.csv
votenet ballots check ballots.csv --write-ins skip
votenet ballots check ballots.csv --contest 1=first,second
votenet replay ballots.csv --voter-column member_no --choice first --choice second
votenet up -d -i second
votenet down
votenet down -i second
""",
    """
votenet election new -o election.toml
votenet election check election.toml
votenet election show election.toml
votenet up -d -f election.toml
votenet down --purge --yes
""",
    """
votenet up
votenet up --nodes 5
""",
]
NOT_RUN = {
    "votenet down --purge": "asks on a terminal; tests/cli/network/test_down.py",
    "votenet vote --code": "asks for the code and for choices; the same",
    "votenet vote --code Alice": "asks for the code of a card; tests/cli/votes/test_code_input.py",
    "votenet vote --code-file code.txt Alice": "the same",
    "votenet voters cards": "members without keys; tests/cli/election/test_cards.py",
    "votenet voters cards --forget": "the same",
    "votenet voters cards 0017 0023 -o two.html": "the same",
    'votenet voters replace-key bo --card --reason "lost his card"': "tests/cli/election/test_new_card.py",
    "votenet voters invite members.csv -f election.toml -o invitations.csv": "cli/election/test_enrol.py",
    "votenet voters invite members.csv -f election.toml -o invitations.html": "the same",
    "votenet voters invite members.csv -f election.toml --again 0017 -o again.html": "the same",
    "votenet voters approve --enrolment enrolment --authority-key authority.key": "the same",
    "votenet voters status --enrolment enrolment": "the same",
    "votenet web": "tests/e2e/test_page.py, tests/cli/network/test_web.py",
    "votenet web --hashes": "tests/cli/network/test_web.py",
    "votenet events": "says nothing until something happens; tests/cli/network/test_events.py",
    "votenet events --json": "the same",
    "votenet peers ping": "a bootstrap server of the test's own; tests/cli/peers/test_peers.py",
    "votenet replay minneapolis-2013 --choice rank1 --sample 5000": "with 500, above",
    "votenet replay minneapolis-2013 --choice rank1 --presign signed.jsonl": "with 2,000, above",
    "votenet audit election.jsonl.xz --network NETWORK_ID --roll roll.json": "cli/archive/test_archive.py",
    "votenet audit election.jsonl.xz --compare result.json": "tests/cli/archive/test_archive.py",
    "votenet audit election.jsonl.xz --compare result.json --network NETWORK_ID --roll roll.json": "the same",
    "votenet audit election.jsonl.xz --result result.json": "the same",
    "votenet audit election.jsonl.xz --dask tcp://10.0.0.9:8786": "a cluster; cli/archive/test_archive.py",
    "votenet backup north -o north.backup": "a node that joined; tests/cli/network/test_backup.py",
    "votenet backup --data-dir /var/lib/votenet/north -o north.backup": "the same",
    "votenet backup north --final -o north.backup": "the same",
    "votenet restore north.backup": "the same",
    "votenet restore north.backup --data-dir /var/lib/votenet/north": "the same",
    "votenet restore north.backup --network NETWORK_ID": "the same",
    "votenet restore north.backup --lost south": "tests/storage/backup/test_node_backup.py",
    "votenet wait --for final --timeout 7200": "until the closing; tests/cli/network/test_events.py",
    "votenet results --final -o result.json": "after the closing; tests/cli/election/test_final_result.py",
    "votenet report -o minutes.html --result result.json": "after the closing; cli/report/test_report.py",
    "votenet report -o - --format json --result result.json": "the same",
    "votenet verify result.json --network NETWORK_ID": "the same",
    "votenet export --data-dir ./n1 --genesis genesis.json -o election.jsonl": "cli/archive/test_archive.py",
    "votenet export --belenios election.bel": "counted secret ballots; cli/archive/test_belenios_export.py",
    "votenet trustee init election.toml": "an election file of its own; tests/cli/trustee/test_trustee.py",
    "votenet trustee join ceremony Citra": "the same",
    "votenet trustee rehearse ceremony Citra": "the same",
    "votenet trustee status ceremony": "the same",
    "votenet trustee status ceremony --genesis genesis.json": "cli/trustee/test_own_election.py",
    "votenet trustee recover ceremony Citra": "the same",
    "votenet trustee submit share-1.json": "tests/cli/trustee/test_submit.py",
    "votenet trustee submit share-1.json share-3.json --node votes.example.org:3000": "the same",
    **{
        f"votenet trustee decrypt ceremony Citra --archive election.jsonl.xz{more}": "tests/cli/trustee"
        for more in ("", " --roll roll.json -o citra.json")
    },
}
COMMANDS_PAGE = Path(__file__).parent.parent.parent / "docs" / "commands.md"


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
        KeyStore(folder).put("ann", SigningKey(b"ann".ljust(32))).path.rename(one.cwd / "ann.json")
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
    if "PUBLIC_KEY" in line:
        voter = f"new-{line.split()[3]}"
        line = line.replace("PUBLIC_KEY", reader.json(f"votenet keys make {voter}")[0]["public_key"])
    if re.search(r":300\d", line) and "3999" not in line:
        ports = {one["name"]: one["address"] for one in reader.json("votenet ps")["programs"]}
        line = line.replace("127.0.0.1:3002", ports["node-3"])
        line = re.sub(r"(?:127\.0\.0\.1|localhost):3000", ports["node-1"], line)
    reader.run(line)


def test_every_example_is_accounted_for() -> None:
    course = (line for text in EXERCISES.values() for line in script(text).splitlines())
    ran = {line for text in (ONE_NETWORK, *OTHERS) for line in _lines(text)}
    ran |= {command for line in course for command in commands_in(line)[:1]} | set(_in_tour())
    ran_words = {frozenset(line.split()) for line in ran}
    for line in sorted(set(examples()) - ran - NOT_RUN.keys()):
        if frozenset(line.split()) in ran_words:
            continue  # the same words in another order
        assert ELSEWHERE.search(line) or line.startswith(LONG), f"{line} is run nowhere"


@pytest.mark.long
def test_the_examples_for_one_network(reader: Reader) -> None:
    for line in _lines(ONE_NETWORK):
        run(reader, line)


@pytest.mark.long
@pytest.mark.parametrize("text", OTHERS, ids=lambda text: _lines(text)[0][8:20])
def test_the_examples_for_other_networks(reader: Reader, text: str) -> None:
    for line in _lines(text):
        run(reader, line)


# -- docs/commands.md ---------------------------------------------------------------------------------


def _in_tour() -> list[str]:
    """The commands of the section "A first tour", from top to bottom."""
    section = COMMANDS_PAGE.read_text(encoding="utf-8").split("## A first tour\n")[1].split("\n## ")[0]
    lines = re.findall(r"^    (votenet .*)$", section, re.MULTILINE)
    return [line.split("  #")[0].rstrip() for line in lines]


def test_the_first_tour_works_from_top_to_bottom(reader: Reader) -> None:
    page = COMMANDS_PAGE.read_text(encoding="utf-8")
    for line in _in_tour():
        done = reader.run(line)
        if line == "votenet vote voter123 Alice":
            heading, *shown = page.split("    Your vote is final")[1].split("\n\n")[0].splitlines()
            assert heading == ", signed by 5 of 5."
            assert done.stdout.startswith("Your vote is final, signed by ")
            for wanted in shown:
                label = wanted.strip().split("  ")[0]
                assert label == "..." or label in done.stdout, f"the page shows {wanted!r}"
    receipt = json.loads((reader.cwd / "receipt.json").read_text())
    assert receipt["vote"]["voter_id"] == "voter123"
    assert {row["instance"] for row in reader.json("votenet ls")} == {"default", "board", "ranked"}
    verifier = COMMANDS_PAGE.parent.parent / "verifier" / "votenet_verifier.py"
    for kind, name in (("receipt", "receipt.json"), ("archive", "election.jsonl")):
        reader(shlex.join([sys.executable, str(verifier), kind, name]))


def test_every_command_is_accounted_for_in_the_table_of_commands() -> None:
    page = COMMANDS_PAGE.read_text(encoding="utf-8")
    table = page.split("| command | what it does |")[1].split("\n\n")[0]
    named = set(
        re.findall(r"\b([a-z]+)\b", " ".join(row.split("|")[1] for row in table.splitlines() if "|" in row))
    )
    assert set(COMMANDS) - set(HIDDEN) <= named
