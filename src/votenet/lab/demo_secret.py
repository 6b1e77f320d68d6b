"""The demonstration's second election: small, with secret ballots and three trustees, by commands as well.

But for the trustees' ceremony, which this one process holds for all three: the hours run meanwhile. One of
them stays away at the end.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from votenet.core.election.recovery_code import recovery_code
from votenet.lab.demo_network import GRACE_SECONDS, DemoCount, DemoNetwork, Outcome, within_hours
from votenet.secret.ceremony.bulletin import STEPS
from votenet.secret.ceremony.trustee import next_record, rehearse
from votenet.secret.key_generation import TrusteeSeed
from votenet.storage.ceremony_folder import CeremonyFolder

SECRET_SECONDS: Final = 10
"""What the voting hours allow for the trustees' ceremony, the start and the votes, on a usual machine."""
SECRET_NODES: Final = 3
TRUSTEES: Final = ("Citra", "Dewi", "Eko")
DECRYPTING: Final = ("Citra", "Eko")
CANDIDATES: Final = ("Coffee", "Tea", "Water")
VOTERS: Final = {"m-1": "Tea", "m-2": "Coffee", "m-3": "Tea", "m-4": "", "m-5": "Tea"}
"""What each chooses; an empty choice is a blank vote."""


def run_secret_demo(say: Callable[[str], None], *, keep: bool = False) -> Outcome:
    """This election, with voting hours that are long enough for this machine.

    Raises:
        VotenetError: code demo-failed; they would be too long.
    """
    return within_hours(SECRET_SECONDS, lambda seconds: SecretDemo(seconds, say).run(keep=keep), say)


class SecretDemo(DemoNetwork):
    """One trial."""

    def __init__(self, seconds: int, say: Callable[[str], None]) -> None:
        super().__init__(SECRET_NODES, seconds, say)
        self._file = self._home / "election.toml"
        self._ceremony = CeremonyFolder(self._home / "ceremony")
        self._seeds = {name: TrusteeSeed.draw(os.urandom) for name in TRUSTEES}

    def _while_open(self) -> None:
        self._make_key()
        self._start()
        self._cast()

    def _end(self) -> None:
        self._all = self._wait_until_final()
        self._still_secret()
        self._decrypt()
        self._compare()
        self._audit()

    # -- steps ---------------------------------------------------------------------------------

    def _make_key(self) -> None:
        self._say(f"secret ballots: {', '.join(TRUSTEES)} make a key together; two of them are needed")
        self._closes = int(time.time()) + self._seconds
        self._file.write_text(secret_election_file(self._closes), encoding="utf-8")
        members = "".join(f"{voter},Member {voter}\n" for voter in VOTERS)
        (self._home / "members.csv").write_text(f"id,name\n{members}", encoding="utf-8")
        self._command("trustee", "init", str(self._file))
        hold_ceremony(self._ceremony, list(self._seeds.values()))
        bulletin = self._ceremony.bulletin()
        self._check(
            "three trustees have made a key, and each has decrypted a test tally",
            bulletin.waiting() is None and not bulletin.refused,
            f"{bulletin.draft.threshold} of {bulletin.draft.size} can count",
        )

    def _start(self) -> None:
        self._say(f"starting {self._nodes} nodes, open for {self._seconds} s")
        self._command("up", "--nodes", str(self._nodes), "--detach", "--no-web", "-f", str(self._file))

    def _cast(self) -> None:
        codes = json.loads((self._home / "default" / "codes.json").read_text(encoding="utf-8"))["codes"]
        # Rounded up: a vote that is not final in time is late for the hours, too.
        left = str(max(1, math.ceil(self._closes - time.time())))

        def cast(voter: str) -> None:
            choice = [VOTERS[voter]] if VOTERS[voter] else ["--in", "drink="]
            self._command("vote", "--code", *choice, "--wait", left, given=codes[voter])

        together(cast, VOTERS)
        self._say(f"{len(VOTERS)} members have voted with the codes on their cards")

    def _still_secret(self) -> None:
        nodes = self._all["nodes"]
        self._check(
            "every node has every vote, and none knows what was voted",
            all(node["votes"] == len(VOTERS) and not node["contests"] for node in nodes),
            f"{nodes[0]['votes']} votes, encrypted, final on {len(nodes)} nodes",
        )

    def _decrypt(self) -> None:
        for name in DECRYPTING:
            words = ("trustee", "decrypt", str(self._ceremony.path), name, "--code-file", "-")
            share = self._home / f"share-{name}.json"
            self._command(*words, "-o", str(share), given=recovery_code(self._seeds[name].text))
        self._say(f"{' and '.join(DECRYPTING)} have decrypted the sums; the third trustee stays away")

    def _compare(self) -> None:
        nodes = self._all_nodes(lambda node: bool(node["contests"]))["nodes"]
        right = secret_counts()
        ours = [counts_of(node) for node in nodes]
        lines = [(name, found[name], right[name]) for found in ours[:1] if found for name in right]
        self._counts.append(DemoCount("Drinks, by secret ballot", decided(nodes[0]), lines))
        self._check(
            "two of three trustees count the secret votes: every node has the counts by hand",
            ours == [right] * self._nodes,
            ", ".join(f"{name} {count}" for name, count in right.items()),
        )

    def _audit(self) -> None:
        archive = str(self._home / "secret.jsonl")
        self._command("export", "-o", archive)
        found = self._command("audit", archive, "--json")
        self._check(
            "an audit checks every proof in the ballots and in the trustees' shares, and counts again",
            bool(found["final"]) and counts_of(found) == secret_counts(),
            f"{found['votes']} votes",
        )


def hold_ceremony(folder: CeremonyFolder, seeds: Sequence[TrusteeSeed]) -> None:
    """All steps of all trustees, in the order of their places. Raises NotProven."""
    for step in STEPS:
        for place, seed in enumerate(seeds, start=1):
            bulletin = folder.bulletin()
            record = rehearse(bulletin, seed) if step == "rehearsal" else next_record(bulletin, seed, place)
            assert record is not None
            assert record.step == step
            folder.hand_in(record)


def together(do: Callable[[str], object], names: Iterable[str]) -> None:
    """All at once; raises what the first of them raised, when all are over."""
    with ThreadPoolExecutor(len(VOTERS)) as pool:
        for _ in pool.map(do, names):
            pass


def secret_counts() -> dict[str, int]:
    """What was voted, by hand: blank votes are in no candidate's count."""
    chosen = Counter(VOTERS.values())
    return {name: chosen[name] for name in CANDIDATES}


def counts_of(report: dict[str, Any]) -> dict[str, int]:
    """Votes by candidate of the one contest; empty where they are not counted yet."""
    return {name: votes for contest in report["contests"] for name, votes in contest["counts"]}


def decided(report: dict[str, Any]) -> str:
    """Who has won, in words."""
    winners = [name for contest in report["contests"] for name in contest["outcome"]["winners"]]
    return " and ".join(winners) or "undecided"


def secret_election_file(closes: int) -> str:
    """The election as people write it."""
    hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(closes))
    return f"""
title = "What shall we drink?"
secrecy = "secret"
closes = {hour}
grace = {GRACE_SECONDS}
members = "members.csv"

[trustees]
names = {json.dumps(TRUSTEES)}
threshold = 2
folder = "ceremony"

[[contests]]
id = "drink"
title = "What shall we drink?"
blank = true
candidates = {json.dumps(CANDIDATES)}
"""
