"""The demonstration: everything by the commands that a user types.

Two things are done by hand: the kill -9, at the right moment, and the count of the ballots
(`demo_record.py`), which shares no code with the replay or the tally.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import psutil

from votenet.client.sync_client import ElectionClient
from votenet.errors import Unreachable, VotenetError
from votenet.lab.demo_network import (
    DEMO_POLL_SECONDS,
    DEMO_RECOVERY_SECONDS,
    GRACE_SECONDS,
    DemoCount,
    DemoNetwork,
    Outcome,
    TooLate,
    within_hours,
    works_in,
)
from votenet.lab.demo_page import browser, fetch, fetch_json, vote_in_browser
from votenet.lab.demo_record import (
    ALL_BALLOTS,
    MOTION_RULE,
    PUBLISHED_LAST_ROUND,
    PUBLISHED_WINNER,
    WRITE_IN,
    DemoBallot,
    as_csv,
    candidate_names,
    motion_counts,
    record_ballots,
    wrong_round,
)
from votenet.lab.replayer import DEFAULT_BATCH
from votenet.processes.spec import votenet_program

VICTIM: Final = "node-3"
KILL_AFTER: Final = 0.3
"""Share of the ballots that are cast when the victim is killed."""
KILL_POLL_SECONDS: Final = 0.01
"""Between two looks for the moment of the kill: the whole replay may last less than two seconds."""
START_SECONDS, BALLOTS_A_SECOND = 12, 300
"""What the voting hours allow for the start, and for casting, on a usual machine."""
BROWSER_SECONDS: Final = 10
"""The same for a vote on the page in a browser, where there is one."""
PAGE_VOTER: Final = "at-the-page"
CASTING_SHARE: Final = 1 / 8
"""Of the voting hours: over so long the ballots are spread, so that the victim can be killed among them."""
REQUESTS: Final = 50
"""In which they are cast, each of so many votes at most as a replay has by default."""


def run_demo(ballots: int, nodes: int, say: Callable[[str], None], *, keep: bool = False) -> Outcome:
    """The whole demonstration, with voting hours that are long enough for this machine.

    Raises:
        VotenetError: code demo-failed; they would be too long.
    """
    cast = record_ballots(ballots)

    def trial(seconds: int) -> Outcome:
        return Demo(cast, nodes, seconds, say).run(keep=keep)

    hours = START_SECONDS + ballots // BALLOTS_A_SECOND + (BROWSER_SECONDS if browser() else 0)
    return within_hours(hours, trial, say)


class Demo(DemoNetwork):
    """One trial with the record and the motion."""

    def __init__(
        self, ballots: Sequence[DemoBallot], nodes: int, seconds: int, say: Callable[[str], None]
    ) -> None:
        super().__init__(nodes, seconds, say)
        self._ballots = list(ballots)
        self._of_record = len(ballots)
        self._victim = VICTIM if nodes >= 3 else f"node-{nodes}"

    # -- steps ---------------------------------------------------------------------------------

    def _while_open(self) -> None:
        self._start()
        self._cast()
        self._wait_for_all()
        self._second_vote()
        self._vote_on_the_page()

    def _end(self) -> None:
        self._close()
        self._receipts()
        self._compare()
        self._compare_page()

    def _start(self) -> None:
        self._say(f"starting {self._nodes} nodes, a bootstrap server and a page, open for {self._seconds} s")
        began = time.monotonic()
        self._closes = int(time.time()) + self._seconds
        file = self._home / "election.toml"
        file.write_text(election_file(self._closes), encoding="utf-8")
        self._command("up", "--nodes", str(self._nodes), "--detach", "-f", str(file))
        found = self._command("ps", "--json")
        states, self._page = [program["state"] for program in found["programs"]], found["page"]
        self._check(
            f"{self._nodes} nodes, the bootstrap server and the page are ready",
            states == ["ready"] * (self._nodes + 2),
            f"in {time.monotonic() - began:.1f} s",
        )

    def _cast(self) -> None:
        self._say(
            f"casting {len(self._ballots):,} ballots with two contests over all nodes. The mayor's are real. "
            f"The motion is made up: {MOTION_RULE}"
        )
        file = self._home / "ballots.csv"
        file.write_text(as_csv(self._ballots), encoding="utf-8")
        left = max(1.0, self._closes - time.time())
        replay = subprocess.Popen(
            [*votenet_program(), "replay", str(file), *self._pace(), "--wait", f"{left:.0f}", "--json"],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            killed_at = self._kill_in_the_middle(replay)
            out, err = replay.communicate(timeout=60 + left + len(self._ballots) / 100)
        except subprocess.TimeoutExpired:
            raise TooLate from None
        finally:
            if replay.poll() is None:
                replay.kill()
                replay.wait()
        if not out:
            raise VotenetError(
                f"the replay failed: {err.decode(errors='replace').strip()[-300:]}", code="command-failed"
            )
        summary = json.loads(out)
        taken = summary["accepted"] + summary["repeated"]
        missed = killed_at is None and taken == len(self._ballots)
        if missed or "closed" in summary["refused"]:
            raise TooLate
        self._check(
            f"{self._victim} killed with -9 while votes were being cast",
            killed_at is not None,
            f"when {killed_at:,} votes were known to a node"
            if killed_at is not None
            else "the replay was over",
        )
        self._check(
            "every ballot was accepted once, over all nodes",
            taken == len(self._ballots) and not summary["refused"],
            f"{taken:,} accepted at {summary['votes_per_second']:,.0f} a second, "
            f"{sum(summary['refused'].values())} refused",
        )

    def _pace(self) -> list[str]:
        """Options of the replay, which else hands in a few hundred ballots at once."""
        ballots = len(self._ballots)
        rate = ballots / (CASTING_SHARE * self._seconds)
        batch = min(DEFAULT_BATCH, -(-ballots // REQUESTS))
        return ["--blank", WRITE_IN, "--batch", str(batch), "--rate", f"{rate:g}"]

    def _kill_in_the_middle(self, replay: subprocess.Popen[bytes]) -> int | None:
        """Kill the victim once a third of the votes are in; the votes known then, or None if too late."""
        programs = {p["name"]: p for p in self._programs()}
        program, other = programs[self._victim], programs["node-1"]
        with ElectionClient(other["address"], known=self._home / "known") as election:
            while replay.poll() is None:
                with contextlib.suppress(Unreachable):  # a busy node may answer late
                    results = election.results()
                    known = results.votes + results.waiting
                    if known >= KILL_AFTER * len(self._ballots):
                        self._kill(program)
                        self._say(f"killed {self._victim} (pid {program['pid']}) with -9")
                        return known if replay.poll() is None else None
                time.sleep(KILL_POLL_SECONDS)
        return None

    def _kill(self, program: dict[str, Any]) -> None:
        """Kill the process that works in our folder: psutil refuses a pid that has passed to another one."""
        process = psutil.Process(program["pid"])
        if works_in(process, self._home):
            process.kill()

    def _wait_for_all(self) -> None:
        self._say("waiting until every node has every vote")
        deadline = time.monotonic() + DEMO_RECOVERY_SECONDS
        while True:
            victim = next(p for p in self._programs() if p["name"] == self._victim)
            states = self._command("status", "--json", check=False)
            tips = {s.get("tip") for s in states}
            waiting = sum(s.get("waiting", 1) for s in states)
            back = victim["state"] == "ready" and victim["restarts"] > 0
            if back and len(tips) == 1 and not waiting and len(states) == self._nodes:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(DEMO_POLL_SECONDS)
        if time.time() >= self._closes:
            raise TooLate
        self._check(
            f"{self._victim} is back and has caught up",
            back and len(tips) == 1,
            f"restarted {victim['restarts']} time(s), after: {victim['cause']}",
        )

    def _second_vote(self) -> None:
        voter, choices = self._ballots[0].voter_id, ("--in", f"mayor={PUBLISHED_WINNER}", "--in", "motion=No")
        refused = self._run("vote", voter, *choices)
        if "[closed]" in refused.stderr:
            raise TooLate
        self._check(
            "a second vote of a voter is refused",
            refused.returncode == 1 and "has already voted" in refused.stderr,
            "refused" if refused.returncode == 1 else refused.stdout[:100],
        )

    def _vote_on_the_page(self) -> None:
        """One more ballot, blank for the mayor: the published last round stays as it is."""
        found = browser()
        if found is None:
            self._say("no vote on the page: Chromium, or Playwright for Python, is not installed")
            return
        self._say(f"casting a vote on the page, {self._page}/vote, in Chromium")
        words = vote_in_browser(found, self._page, PAGE_VOTER, "Yes")
        self._ballots.append(DemoBallot(PAGE_VOTER, (), "Yes"))
        self._check("a vote on the page is final", "final" in words, words)

    def _close(self) -> None:
        self._all = self._wait_until_final()
        file = str(self._home / "result.json")
        self._command("results", "--final", "-o", file)
        held = self._command("verify", file, "--json")
        self._check(
            "voting is closed and the result is final",
            held["votes"] == len(self._ballots),
            f"signed by {len(held['signed_by'])} of {self._nodes}, {held['votes']:,} votes",
        )

    def _receipts(self) -> None:
        """Three voters take the proof of their vote, which is checked offline."""
        last = len(self._ballots) - 1
        good = []
        for ballot in (self._ballots[0], self._ballots[last // 2], self._ballots[last]):
            file = str(self._home / f"{ballot.voter_id}.json")
            self._command("receipt", ballot.voter_id, "-o", file)
            held = self._command("verify", file, "--json")
            if held["final"] and held["voter_id"] == ballot.voter_id:
                good.append(ballot.voter_id)
        self._check("receipts of final votes hold", len(good) == 3, ", ".join(good))

    def _compare(self) -> None:
        nodes = self._all["nodes"]
        self._check(
            "every node gives the same count and the same tip",
            self._all["agree"] and len(nodes) == self._nodes,
            f"{len(nodes)} nodes, height {nodes[0]['height']}, tip {nodes[0]['tip'][:16]}",
        )
        mayor, motion = nodes[0]["contests"]
        self._compare_mayor(mayor)
        self._compare_motion(motion)

    def _compare_mayor(self, mayor: dict[str, Any]) -> None:
        rounds, (winner,) = mayor["outcome"]["rounds"], mayor["outcome"]["winners"]
        wrong = wrong_round(self._ballots, rounds, winner)
        first = [ballot.choices[0] for ballot in self._ballots if ballot.choices]
        ours = dict(mayor["counts"])
        counts = [(name, ours[name], first.count(name)) for name in candidate_names()]
        counts = sorted((one for one in counts if one[1] or one[2]), key=lambda one: (-one[2], one[0]))
        wrong = wrong or ", ".join(name for name, a, b in counts if a != b)
        votes = dict(rounds[-1]["counts"])[winner] if rounds else 0
        self._counts.append(
            DemoCount(mayor["title"], f"{winner}, in round {len(rounds)} with {votes:,} votes", counts)
        )
        self._check(
            "every round of the runoff equals a count of the record by hand",
            not wrong,
            wrong or f"{len(rounds)} rounds, {winner} wins",
        )
        if self._of_record == ALL_BALLOTS:
            last = dict(rounds[-1]["counts"])
            self._check("the last round is the published one", last == PUBLISHED_LAST_ROUND, str(last))

    def _compare_motion(self, motion: dict[str, Any]) -> None:
        ours, by_hand = dict(motion["counts"]), motion_counts(self._ballots)
        counts = [(name, ours[name], by_hand.get(name, 0)) for name in ours]
        self._counts.append(DemoCount(motion["title"], motion["outcome"]["state"], counts))
        self._check(
            "the motion's counts equal a count by hand",
            all(a == b for _, a, b in counts) and motion["votes"] == len(self._ballots),
            ", ".join(f"{name} {votes:,}" for name, votes, _ in counts),
        )

    def _compare_page(self) -> None:
        """The page shows the count of the nodes, and that it is final.

        Its API asks a node at once; its pages show what they saw at their last look, a second ago or so.
        """
        node, deadline = self._all["nodes"][0], time.monotonic() + DEMO_RECOVERY_SECONDS
        while True:
            shown, text = fetch_json(f"{self._page}/api/v1/results"), fetch(f"{self._page}/results?lang=en")
            says_final = "Final, signed by" in text
            if (shown["final"] and says_final) or time.monotonic() > deadline:
                break
            time.sleep(DEMO_POLL_SECONDS)
        (winner,) = node["contests"][0]["outcome"]["winners"]
        same = shown["contests"] == node["contests"] and shown["votes"] == len(self._ballots)
        self._check(
            "the page shows the same count, and says that it is final",
            same and winner in text and says_final,
            f"{shown['votes']:,} votes, {winner} wins",
        )


def election_file(closes: int) -> str:
    """The election as people write it. A candidate's name as JSON is one as TOML."""
    candidates = json.dumps(candidate_names(), ensure_ascii=False)
    hour = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(closes))
    return f"""
title = "Minneapolis 2013"
closes = {hour}
grace = {GRACE_SECONDS}

[[contests]]
id = "mayor"
title = "Mayor"
method = "instant-runoff"
max = 3
blank = true
candidates = {candidates}

[[contests]]
id = "motion"
title = "Motion, made up for the demonstration"
method = "motion"
threshold = "simple of votes cast"
"""
