"""An evening with secret ballots: members vote in browsers, trustees decrypt, a projector shows both."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.processes import PATIENCE
from votenet.core.ledger.secret_count import EncryptedCount
from votenet.core.records.archive import ArchiveCheck
from votenet.protocol.wire.client_messages import SubmitShare
from votenet.protocol.wire.messages import encode_message
from web.browser import PATIENCE_MS, PHONE, Watch
from web.network import closes_soon
from web.secret_voting import SecretNetwork, card_code, to_final
from web.voting import BoothVoter

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]

BALLOTS = {
    "voter-1": {"Chair": ["Bob"], "New bylaws": ["Yes"]},
    "voter-2": {"Chair": ["Bob"], "New bylaws": []},
    "voter-3": {"Chair": ["Çelik"], "New bylaws": ["Yes"]},
}


@pytest.mark.long
def test_an_evening_with_secret_ballots(visit: Visit, watch: Watch, tmp_path: Path) -> None:
    watch.allow(r"status of 503|net::ERR_")  # a node that is slow for a moment, and at the end without a page
    network = SecretNetwork(tmp_path)
    try:
        network.start_all()
        wall = visit(viewport={"width": 1920, "height": 1080})
        wall.goto(f"{network.url}/screen")
        all_vote(network, visit)
        notices = itertools.count(64, 8)
        network.wait_for(lambda: closes_soon(network, notices), 4 * PATIENCE)
        trustees_decrypt(network, wall)
        counts_stand_there(network, wall)
    finally:
        network.end()


def all_vote(network: SecretNetwork, visit: Visit) -> None:
    voters = [BoothVoter(visit(viewport=PHONE), network.url) for _ in BALLOTS]
    for voter, (name, ballot) in zip(voters, BALLOTS.items(), strict=True):
        voter.scan(card_code(name))
        voter.choose(ballot)
        voter.cast()
    for voter in voters:
        to_final(voter)


def trustees_decrypt(network: SecretNetwork, wall: Page) -> None:
    """The projector was open all the time: it tells of each of them by itself."""
    waits = "The count waits for {} of 3 trustees to decrypt it."
    wall.get_by_text(waits.format(2)).wait_for(timeout=4 * PATIENCE_MS)
    assert wall.locator(".decision").count() == 0
    counted = encrypted_count(network)
    hand_in(network, 1, counted, at=0)
    wall.get_by_text(f"{waits.format(1)} Trustee 1 did so already.").wait_for()
    hand_in(network, 3, counted, at=2)


def encrypted_count(network: SecretNetwork) -> EncryptedCount:
    """What trustees decrypt: from the archive that the page gives to everybody."""
    answers: list[tuple[int, bytes]] = []

    def answered() -> bool:
        answers.append(network.get("/api/v1/archive"))
        return answers[-1][0] == 200

    network.wait_for(answered)
    lines = answers[-1][1].splitlines(keepends=True)
    check = ArchiveCheck(lines, int(time.time()), roll=network.setup.roll)
    votes = [vote for _, block in check.blocks() for vote in block]
    assert len(votes) == len(BALLOTS)
    return network.setup.counted(votes)


def hand_in(network: SecretNetwork, place: int, counted: EncryptedCount, *, at: int) -> None:
    request = encode_message(SubmitShare(share=network.setup.share(place, counted)))
    network.wait_for(lambda: network.ask(at, request).get("type") == "share_taken")


def counts_stand_there(network: SecretNetwork, wall: Page) -> None:
    for title, winner in (("Chair", "Bob"), ("New bylaws", "carried")):
        decision = wall.get_by_role("region", name=title).locator(".decision", has_text=winner)
        decision.wait_for(timeout=2 * PATIENCE_MS)
    told = json.loads(network.get("/api/v1/results")[1])
    counts = {contest["title"]: dict(contest["counts"]) for contest in told["contests"]}
    assert counts == {"Chair": {"Alice": 0, "Bob": 2, "Çelik": 1}, "New bylaws": {"Yes": 2, "No": 0}}
