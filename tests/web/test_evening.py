"""An evening of a club: members vote in browsers, a projector shows the result, a receipt is checked."""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.elections import UUID
from support.processes import PATIENCE
from votenet.core.election.definition import Threshold
from votenet.core.election.roll import Roll
from votenet.core.election.voting_code import code_from, key_of_code, shown_code
from votenet.core.ledger.vote import sign_vote
from web.browser import PATIENCE_MS, PHONE, Watch, too_wide
from web.network import PageNetwork, closes_soon, contest, page_network
from web.voting import BoothVoter

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]

CHAIR, BOARD, BYLAWS = "Chair", "Three seats on the board", "New bylaws"
CONTESTS: Final = (
    contest("chair", CHAIR, "Ann Ångström", "Bo O'Neill", "Citra Ayu", method="instant-runoff", max=3),
    contest("board", BOARD, "Di", "Ed", "Flo", "Gus", method="stv", seats=3, max=4, blank=True),
    contest(
        "bylaws", BYLAWS, "Yes", "No", "Abstain", method="motion",
        threshold=Threshold(share="two-thirds", basis="cast"),
    ),
)  # fmt: skip
CARDS: Final = {
    name: code_from(bytes([number]) * 14) for number, name in enumerate(("ann", "budi", "citra", "dewi"))
}
BALLOTS: Final[dict[str, dict[str, list[str]]]] = {
    "ann": {CHAIR: ["Citra Ayu", "Bo O'Neill"], BOARD: ["Gus", "Di", "Ed"], BYLAWS: ["Yes"]},
    "budi": {CHAIR: ["Bo O'Neill"], BOARD: [], BYLAWS: ["Yes"]},
    "citra": {CHAIR: ["Citra Ayu"], BOARD: ["Ed", "Flo"], BYLAWS: ["No"]},
}
DAY: Final = 86_400


def test_an_evening_of_a_club(visit: Visit, watch: Watch, tmp_path: Path) -> None:
    watch.allow(r"status of 503|net::ERR_")  # while a node is gone, and at the end without a page
    roll = Roll((name, key_of_code(code, UUID).public_hex) for name, code in CARDS.items())
    with page_network(tmp_path, contests=CONTESTS, closes=DAY, roll=roll) as network:
        wall = visit(viewport={"width": 1920, "height": 1080})
        wall.goto(f"{network.url}/screen")
        receipt = all_vote(network, visit, tmp_path)
        notices = itertools.count(64, 8)
        network.wait_for(lambda: closes_soon(network, notices), 4 * PATIENCE)
        result_stands_on_the_projector(network, wall)
        receipt_holds_without_the_server(network, visit, receipt)


def all_vote(network: PageNetwork, visit: Visit, folder: Path) -> Path:
    # 1. On a phone, with the link of a card. A node is gone between review and cast.
    phone = BoothVoter(visit(viewport=PHONE), network.url)
    phone.scan(shown_code(CARDS["ann"]))
    phone.choose(BALLOTS["ann"])
    network.kill(network.name(0))
    phone.cast()
    # 2. Another one types the code, in Indonesian, and leaves a question blank.
    typed = BoothVoter(visit(viewport=PHONE, locale="id-ID"), network.url, "id")
    typed.type_code(CARDS["budi"].lower())
    typed.choose(BALLOTS["budi"])
    typed.cast()
    # 3. The vote of a third, as a browser hands it in.
    handed_in(network, "citra")
    for voter in (phone, typed):
        voter.wait_until_final()
        assert not too_wide(voter.page)
    phone.button("after.yes").click()
    network.start_named(0)
    return phone.keep_receipt(folder)


def handed_in(network: PageNetwork, name: str) -> None:
    vote = sign_vote(
        key_of_code(CARDS[name], UUID),
        network_hex=network.election.network_hex,
        voter_id=name,
        choices=list(BALLOTS[name].values()),
        time=int(time.time()),
    )
    headers = {"Content-Type": "application/json", "Origin": network.url}
    request = urllib.request.Request(f"{network.url}/api/v1/votes", vote.record, headers)
    taken: list[tuple[str, int]] = []

    def is_taken() -> bool:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                told = json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:  # no node has answered in time: it is sent again
                    raise
            return False
        taken.append((told["vote_id"], told["of"]))
        return True

    network.wait_for(is_taken)
    assert taken == [(vote.id.hex(), 4)]


def result_stands_on_the_projector(network: PageNetwork, wall: Page) -> None:
    """The page was open all the time: it has kept up by itself."""
    wall.get_by_text(re.compile(r"Final, signed by [34] of 4")).wait_for(timeout=4 * PATIENCE_MS)
    shown = wall.locator("main").inner_text()
    assert "3 of 4 have voted" in " ".join(shown.split())
    for title, winner in ((CHAIR, "Citra Ayu"), (BYLAWS, "carried")):
        assert winner in wall.get_by_role("region", name=title).locator(".decision").inner_text()
    assert wall.evaluate("document.documentElement.scrollHeight <= innerHeight"), "nobody scrolls a projector"
    counts = json.loads(network.get("/api/v1/results")[1])
    assert (counts["final"], counts["votes"]) == (True, 3)
    firsts = {contest["title"]: dict(contest["counts"]) for contest in counts["contests"]}
    assert firsts[CHAIR] == {"Ann Ångström": 0, "Bo O'Neill": 1, "Citra Ayu": 2}
    assert firsts[BYLAWS] == {"Yes": 2, "No": 1, "Abstain": 0}


def receipt_holds_without_the_server(network: PageNetwork, visit: Visit, receipt: Path) -> None:
    offline = receipt.parent / "verify.html"
    offline.write_bytes(network.get("/verify.html")[1])
    network.kill("web")
    page = visit()
    page.goto(offline.as_uri())
    page.locator("input[type=file]").set_input_files(receipt)
    page.get_by_text("The vote is final.").wait_for()
    shown = page.locator("main").inner_text()
    for name in ("ann", "Citra Ayu", "Gus"):
        assert name in shown
