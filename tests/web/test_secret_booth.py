"""The booth of a secret election in a real browser, against real nodes and a real page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from support.secret_definitions import UUID, code_of
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.secret.ballot import check_ballot
from votenet.secret.credentials import credential_of_code, public_credential
from web.browser import PHONE, axe, small_targets, too_wide
from web.secret_voting import SecretNetwork, card_code
from web.voting import BoothVoter

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
CHOICES = {"Chair": ["Bob"], "New bylaws": []}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretNetwork]:
    made = SecretNetwork(tmp_path_factory.mktemp("secret-booth"))
    try:
        made.start_all()
        yield made
    finally:
        made.end()


def looks_right(page: Page) -> None:
    """Nothing is wrong for those who do not see, have a small window, or a thick finger."""
    assert axe(page) == []
    assert too_wide(page) == []
    assert small_targets(page) == []


def sent_votes(page: Page) -> list[str]:
    """The bodies of all votes that this page sends from now on."""
    bodies: list[str] = []

    def note(request: Any) -> None:
        if request.method == "POST" and request.url.endswith("/api/v1/votes"):
            bodies.append(request.post_data)

    page.on("request", note)
    return bodies


def test_a_whole_secret_vote_on_a_phone(network: SecretNetwork, visit: Visit, tmp_path: Any) -> None:
    page = visit(viewport=PHONE)
    bodies = sent_votes(page)
    voter = BoothVoter(page, network.url)
    voter.scan(card_code("voter-1"))
    voter.choose(CHOICES)
    voter.button("review.cast").wait_for()
    looks_right(page)
    shown = page.locator("#booth code").inner_text()
    voter.cast()
    page.locator('#booth[data-step="final"]').wait_for()
    page.get_by_role("heading", name=voter.word("secret.readBack")).wait_for()
    looks_right(page)
    assert shown in page.locator(".booth-facts").inner_text()
    assert "Bob" not in page.locator("#booth").inner_text()
    kept = page.evaluate("() => JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "Bob" not in kept
    assert code_of("voter-1") not in kept
    receipt = decode_receipt(voter.keep_receipt(tmp_path).read_bytes())
    check_receipt(receipt, int(time.time()), network.election.network_hex, network.setup.roll)
    vote = json.loads(bodies[0])
    assert set(bodies) == {bodies[0]}
    assert (vote["choices"], receipt.vote.ballot) == ([], vote["ballot"])
    secret = network.election.secret
    assert secret is not None
    credential = public_credential(credential_of_code(code_of("voter-1"), UUID), UUID)
    check_ballot(secret, vote["ballot"].encode(), {credential})
