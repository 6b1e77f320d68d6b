"""Five organisations follow docs/operator.md, each on a host of its own, on wires with delay and loss.

What is typed at their shells is what the page prints; the test adds what voters do, and what goes wrong:
commands in a wrong order, a wrong clock, a program that lies, a machine that is destroyed.
"""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from support.certificates import Authority
from support.hosts import ip_of, made_hosts
from support.operator_page import STOP, Step, sections_of
from support.organisations import DONE, Terminals, terminals
from support.redis_server import needs_redis
from votenet.core.election.definition import Election
from votenet.core.election.voting_code import key_of_code
from votenet.core.ledger.vote import sign_vote
from votenet.storage.genesis_file import read_genesis

pytestmark = pytest.mark.e2e

PROJECT: Final = Path(__file__).parents[2]
OPERATOR_PAGE: Final = PROJECT / "docs" / "operator.md"
ORGANISATIONS: Final = ("north", "south", "east", "west", "centre")
PAGES: Final = ("north", "south")
CANDIDATES: Final = ("Alice", "Bob", "Charlie")
VOTERS: Final = tuple(f"{number:04}" for number in range(1, 21))
SAYS: Final = {
    # What a program says at its terminal when it is up.
    "redis": "Ready to accept connections",
    "boot": "event=listening",
    "page": "event=listening",
    "node": "ready: height",
}
LIARS: Final = PROJECT / "tests" / "adversary" / "liars.py"
WRONG_CLOCK: Final = PROJECT / "tests" / "support" / "wrong_clock.py"
LONGEST: Final = 500.0
"""Seconds of the whole story, on a machine that is very busy."""
_POST: Final = """
import sys, urllib.request
request = urllib.request.Request(sys.argv[1], open("vote.json", "rb").read())
request.add_header("Content-Type", "application/json")
urllib.request.urlopen(request, timeout=60).read()
"""


class Story:
    """The page's sections, each followed once, and the votes that were cast meanwhile."""

    def __init__(self, shells: Terminals) -> None:
        self.shells = shells
        self.sections = sections_of(OPERATOR_PAGE.read_text(encoding="utf-8"))
        self.lines: dict[str, str] = {}
        self.cast: dict[str, str] = {}
        self._election: Election | None = None
        self.began = time.monotonic()

    @property
    def election(self) -> Election:
        if self._election is None:
            genesis = self.shells.home("north") / "genesis.json"
            self._election = read_genesis(genesis)
        return self._election

    def follow(self, title: str) -> list[DONE]:
        """Type what stands below this heading; what was said by the commands that came back."""
        done = [self.type(step) for step in self.sections.pop(title)]
        return [one for one in done if one is not None]

    def type(self, step: Step) -> DONE | None:
        step = step._replace(line=self.filled(step.line))
        before = self._said(step)
        done = self.shells.type(step, typed="y\n")
        if step.terminal and step.line != STOP:
            self.shells.wait_for(lambda: self._said(step) > before, f"{step.host} is up: {step.line}")
        if " node init " in step.line:
            assert done is not None
            self.lines[step.host] = re.findall(rf"^({step.host}:\S+)$", done.stdout, re.MULTILINE)[0]
        return done

    def _said(self, step: Step) -> int:
        if not step.terminal or not self.shells.log_file(step.host, step.terminal).exists():
            return 0
        return self.shells.log(step.host, step.terminal).count(SAYS[step.terminal])

    def filled(self, line: str) -> str:
        """A line with the names of this election in place of those of the page."""
        line = re.sub(r"(\w+):LINE", lambda found: self.lines[found[1]], line)
        return line.replace("NETWORK_ID", self.election.network_hex) if "NETWORK_ID" in line else line

    def repeat(self, title: str) -> None:
        """Follow a section each of whose commands is typed again until it succeeds."""
        for step in self.sections.pop(title):
            line = self.filled(step.line)
            while not self.succeeds(step.host, line):
                time.sleep(2.0)

    def succeeds(self, host: str, line: str) -> bool:
        """Whether it succeeds now. Fails when the story has lasted too long."""
        done = self.shells.run(host, line, None)
        late = time.monotonic() > self.began + LONGEST
        assert not late, f"{line}: {done.stdout}{done.stderr}\n{self.shells.told()}"
        return done.returncode == 0

    # -- voters --------------------------------------------------------------------------------------

    def code_of(self, voter: str) -> str:
        codes = json.loads((self.shells.home("north") / "codes.json").read_text())["codes"]
        code: str = codes[voter]
        return code

    def vote_by_command(self, voter: str, choice: str, host: str) -> None:
        """With the code of the card, at the node of this organisation; final when it returns."""
        home = self.shells.home("voter")
        (home / "code.txt").write_text(self.code_of(voter))
        where = f"--node {host}.example:3000 --roll roll.json --wait 120"
        self.shells.run("voter", f"votenet vote --code-file code.txt {choice} {where}")
        self.cast[voter] = choice

    def vote_at_page(self, voter: str, choice: str, host: str) -> None:
        """What a booth sends, to the page of this organisation; received by its nodes when it returns."""
        key = key_of_code(self.code_of(voter), self.election.definition.uuid)
        vote = sign_vote(
            key, network_hex=self.election.network_hex, voter_id=voter, choices=[[choice]],
            time=int(time.time()),
        )  # fmt: skip
        (self.shells.home("voter") / "vote.json").write_bytes(vote.record)
        url = f"https://vote.{host}.example:8443/api/v1/votes"
        post = shlex.join([sys.executable, "-c", _POST, url])
        self.shells.wait_for(lambda: self.shells.run("voter", post, None).returncode == 0, f"{voter} votes")
        self.cast[voter] = choice

    # -- what all nodes say --------------------------------------------------------------------------

    def results(self, host: str) -> dict[str, Any]:
        """What the node of this organisation counts; {} while it does not answer."""
        number = self.shells.numbers[host]
        return self.shells.hosts.on(number, lambda: asked(ip_of(number)))

    def all_count(self, *hosts: str) -> None:
        """Wait until these nodes have counted every vote that was cast."""
        for host in hosts or ORGANISATIONS:
            what = f"{host} counts {len(self.cast)}"
            self.shells.wait_for(lambda host=host: self.counted(self.results(host)), what)

    def counted(self, results: dict[str, Any]) -> bool:
        if "contests" not in results:
            return False
        counts = dict(results["contests"][0]["counts"])
        choices = list(self.cast.values())
        return counts == {name: choices.count(name) for name in CANDIDATES}


def asked(ip: str) -> dict[str, Any]:
    """The results that the node at this address tells; {} where none answers."""
    with contextlib.suppress(OSError), socket.create_connection((ip, 3000), 60.0) as link:
        link.sendall(b'{"type":"get_results"}\n')
        with link.makefile("rb") as lines:
            answer: dict[str, Any] = json.loads(lines.readline() or b"{}")
            return answer
    return {}


@pytest.fixture
def story() -> Iterator[Story]:
    needs_redis()
    names = (*ORGANISATIONS, "voter")
    with (
        tempfile.TemporaryDirectory(prefix="vf-") as name,
        made_hosts(range(1, len(names) + 1), spoiled=True) as hosts,
    ):
        folder, aliases = Path(name), {f"vote.{host}.example": host for host in PAGES}
        authority = Authority(folder)
        trust = {"SSL_CERT_FILE": str(authority.certificate)}
        with terminals(folder, hosts, names, aliases, **trust) as shells:
            for host in PAGES:
                authority.certify(shells.home(host) / "tls", f"{host}.example", f"vote.{host}.example")
            yield Story(shells)


def test_five_organisations_hold_an_election_as_the_page_says(story: Story) -> None:
    prepare(story)
    type_too_early_or_with_another_file(story)
    join_with_a_wrong_clock(story)
    vote_and_catch_the_liar(story)
    lose_a_machine_and_upgrade_another(story)
    finish(story)
    assert not story.sections, f"nobody followed {list(story.sections)}"
    assert story.shells.hosts.wires.lost > 0


def prepare(story: Story) -> None:
    story.follow("Each machine")
    story.follow("The registry and its three bootstrap servers")
    story.follow("Each organisation makes a key")
    story.follow("The organiser makes the election")
    story.follow("The organiser's page")


def type_too_early_or_with_another_file(story: Story) -> None:
    """Each is refused with a code, and nothing is left behind that would stand in the way."""
    run = story.shells.run
    no_key = run("voter", "votenet node join https://vote.north.example:8443 --name voter --yes", None)
    assert no_key.returncode not in (0, 70), no_key
    assert "votenet node init" in no_key.stderr, "what comes first is named"
    changed = (story.shells.home("north") / "genesis.json").read_text().replace("Council", "Council of five")
    (story.shells.home("west") / "other.json").write_text(changed)
    network = f"--network {story.election.network_hex}"
    other = run("west", f"votenet node join other.json --name west --roll roll.json {network} --yes", None)
    assert other.returncode not in (0, 70), other
    assert "network-mismatch" in other.stderr, other


def join_with_a_wrong_clock(story: Story) -> None:
    """East has changed its program from the start, and the clock of centre is a day ahead."""
    story.shells.install("east", sys.executable, str(LIARS), "two-faced")
    story.shells.install("centre", sys.executable, str(WRONG_CLOCK), str(24 * 3600))
    story.follow("Each organisation joins")
    story.shells.wait_for(lambda: doctor_names_the_clock(story), "the clock of centre is named")
    story.shells.install("centre", sys.executable, "-m", "votenet")
    story.type(Step("centre", "node", STOP))
    story.type(Step("centre", "node", "votenet node run --name centre"))
    story.repeat("All look")
    story.follow("A second page")
    story.shells.run("north", "scp roll.json voter.example:")


def doctor_names_the_clock(story: Story) -> bool:
    line = "votenet doctor --network https://vote.north.example:8443"
    done = story.shells.run("north", line, None)
    return done.returncode == 1 and bool(re.search("centre +its clock is 1 day ahead", done.stdout))


def vote_and_catch_the_liar(story: Story) -> None:
    """The evidence is there once the liar has proposed a block: within some votes."""
    voters = iter(VOTERS)
    story.shells.interrupt("north", "redis")  # nodes that know each other need no registry
    story.vote_by_command(next(voters), "Alice", "west")
    story.vote_at_page(next(voters), "Bob", "south")
    while not liar_is_shown(story):
        story.vote_at_page(next(voters), "Bob", "south")
        story.all_count("north", "west")
    listed, *_ = story.follow("A node lies")
    assert "east" in listed.stdout
    story.shells.install("east", sys.executable, "-m", "votenet")
    story.follow("Its program is mended")
    story.vote_at_page(VOTERS[-4], "Charlie", "north")
    story.all_count()


def liar_is_shown(story: Story) -> bool:
    done = story.shells.run("voter", "votenet evidence list --node north.example:3000 --json")
    return any(one["kind"] == "two-prevotes" for one in json.loads(done.stdout))


def lose_a_machine_and_upgrade_another(story: Story) -> None:
    story.type(Step("north", "redis", "redis-server redis.conf"))
    story.follow("Each day")
    story.shells.destroy("west")
    story.vote_at_page(VOTERS[-3], "Alice", "south")
    story.all_count("north", "south", "east", "centre")
    story.follow("A machine is lost")
    for voter in VOTERS[-2:]:  # two blocks, after which it speaks again
        story.vote_by_command(voter, "Alice", "west")
    story.all_count()
    story.follow("Closing")
    story.follow("Upgrading")
    story.follow("On the old machine")
    story.shells.destroy("centre")
    story.follow("On the new machine")


def finish(story: Story) -> None:
    """The result, the archive and both verifiers say what was cast, and who signed it."""
    story.repeat("The final result")
    story.all_count()
    final = json.loads((story.shells.home("north") / "result.json").read_text())
    assert story.counted(final), (final["contests"], story.cast)
    shutil.copy(PROJECT / "verifier" / "votenet_verifier.py", story.shells.home("south"))
    audited, *checked = story.follow("Archive and audit")[-3:]
    for done in (audited, *checked):
        assert re.search("signed by [45] of 5", done.stdout), done
        for name in CANDIDATES:
            votes = list(story.cast.values()).count(name)
            assert re.search(rf"{name} +{votes}\b", done.stdout), (done, story.cast)
