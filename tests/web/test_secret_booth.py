"""The booth of a secret election in a real browser, against real nodes and a real page."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.secret_definitions import UUID, code_of
from votenet.core.election.voting_code import shown_code
from votenet.core.records.receipt import check_receipt, decode_receipt
from votenet.secret.ballot import check_ballot
from votenet.secret.credentials import credential_of_code, public_credential
from web.booth_voting import patient, start_kiosk
from web.browser import PHONE, SMALL_PHONE, Watch, axe, small_targets, too_wide
from web.secret_voting import STRANGE, SecretNetwork, card_code, to_final
from web.voting import BoothVoter

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

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


def shows_the_same(network: SecretNetwork, path: str, fingerprint: str) -> None:
    """The page of the vote: what was chosen is encrypted, and this is the fingerprint."""
    shown: list[str] = []

    def is_there() -> bool:
        """A node that is behind may not have it yet."""
        status, body = network.get(path)
        shown.append(body.decode())
        return status == 200

    network.wait_for(is_there)
    assert "What was chosen is encrypted" in shown[-1]
    assert fingerprint in shown[-1]
    assert "left blank" not in shown[-1]


def test_a_whole_secret_vote_on_a_phone(network: SecretNetwork, visit: Visit, tmp_path: Path) -> None:
    page = visit(viewport=PHONE)
    bodies = sent_votes(page)
    voter = BoothVoter(page, network.url)
    voter.scan(card_code("voter-1"))
    voter.choose(CHOICES)
    voter.button("review.cast").wait_for()
    looks_right(page)
    shown = shown_fingerprint(page)
    voter.cast()
    to_final(voter)
    looks_right(page)
    assert shown in page.locator(".booth-facts").inner_text()
    assert "Bob" not in page.locator("#booth").inner_text()
    shows_the_same(network, "/chain/vote/voter-1", shown)
    kept = page.evaluate("() => JSON.stringify([{...sessionStorage}, {...localStorage}])")
    assert "Bob" not in kept
    assert code_of("voter-1") not in kept
    kept_receipt = voter.keep_receipt(tmp_path)
    assert "voter-1" in told_offline(network, visit(), kept_receipt, "The vote is final.")
    receipt = decode_receipt(kept_receipt.read_bytes())
    check_receipt(receipt, int(time.time()), network.election.network_hex, network.setup.roll)
    vote = json.loads(bodies[0])
    assert set(bodies) == {bodies[0]}
    assert (vote["choices"], receipt.vote.ballot) == ([], vote["ballot"])
    secret = network.election.secret
    assert secret is not None
    credential = public_credential(credential_of_code(code_of("voter-1"), UUID), UUID)
    check_ballot(secret, vote["ballot"].encode(), {credential})


def told_offline(network: SecretNetwork, page: Page, file: Path, words: str) -> str:
    """What verify.html says of a file once it says these words; on another device, without the server."""
    verify = file.parent / "verify.html"
    verify.write_bytes(network.get("/verify.html")[1])
    page.goto(verify.as_uri())
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text(words).first.wait_for()
    return page.locator("main").inner_text()


def shown_fingerprint(page: Page) -> str:
    return page.locator("#booth code").inner_text()


def fingerprint_of(ballot: str) -> str:
    return base64.b64encode(hashlib.sha256(ballot.encode()).digest()).decode().rstrip("=")


def test_a_tested_ballot_is_not_sent_and_a_fresh_one_is_cast(
    network: SecretNetwork, visit: Visit, tmp_path: Path
) -> None:
    page = visit(viewport=SMALL_PHONE, locale="id-ID")
    bodies = sent_votes(page)
    voter = BoothVoter(page, network.url, "id")
    voter.scan(card_code("voter-2"))
    voter.choose(CHOICES)
    first = shown_fingerprint(page)
    page.get_by_text(voter.word("secret.more")).click()
    looks_right(page)
    voter.button("secret.test").click()
    page.locator('#booth[data-step="tested"]').wait_for()
    assert shown_fingerprint(page) == first
    page.get_by_text(voter.word("secret.asText")).click()
    looks_right(page)
    with page.expect_download() as download:
        voter.button("secret.keep").click()
    path = tmp_path / "tested.json"
    download.value.save_as(path)
    text = path.read_text(encoding="utf-8")
    assert page.locator("textarea").input_value() == text
    tested = json.loads(text)
    assert (tested["format"], tested["choices"]) == ("votenet-tested-ballot", [[0, 1, 0], [1, 0, 0]])
    assert fingerprint_of(tested["ballot"]) == first
    told = told_offline(network, visit(), path, first)
    assert "Bob" in told
    assert "Alice" not in told
    assert bodies == []
    voter.button("secret.goOn").click()
    voter.button("review.cast").wait_for()
    second = shown_fingerprint(page)
    assert second != first
    page.reload()
    voter.button("review.cast").wait_for()
    assert shown_fingerprint(page) not in (first, second)
    third = shown_fingerprint(page)
    voter.cast()
    to_final(voter)
    assert {fingerprint_of(json.loads(body)["ballot"]) for body in bodies} == {third}


def test_a_credential_that_is_not_on_the_roll_is_told_in_plain_words(
    network: SecretNetwork, visit: Visit, watch: Watch
) -> None:
    watch.allow("400")
    page = visit(viewport=PHONE)
    voter = BoothVoter(page, network.url)
    voter.scan(card_code(STRANGE))
    voter.choose(CHOICES)
    voter.cast()
    voter.heading(voter.word("trouble.refusedTitle")).wait_for()
    page.get_by_text("This code does not belong to this name").wait_for()
    page.get_by_text("unknown-credential").wait_for()
    looks_right(page)
    assert STRANGE not in str(page.evaluate("() => JSON.stringify({...localStorage})"))


def test_codes_that_are_not_of_this_election(network: SecretNetwork, visit: Visit, watch: Watch) -> None:
    watch.allow("404")
    page = visit(viewport=PHONE)
    voter = BoothVoter(page, network.url)
    page.goto(f"{network.url}/vote#{shown_code(code_of('nobody'))}")
    page.locator(".booth-notice", has_text="This code is not valid in this election").wait_for()
    good = card_code("voter-3")
    wrong = good[:-1] + ("0" if good[-1] != "0" else "1")
    page.get_by_label(voter.word("identity.codeLabel")).fill(wrong)
    voter.button("identity.continue").click()
    page.locator(".booth-notice", has_text="Group 5 is not right").wait_for()
    page.get_by_label(voter.word("identity.codeLabel")).fill(good)
    voter.button("identity.continue").click()
    voter.button("identity.start").wait_for()


def test_a_worker_that_does_not_arrive_is_asked_for_again(
    network: SecretNetwork, visit: Visit, watch: Watch
) -> None:
    watch.allow("ERR_FAILED|Failed to load resource")
    page = visit(viewport=PHONE)
    voter = BoothVoter(page, network.url)

    def lost(route: Route) -> None:
        route.abort()

    page.route("**/static/secret_worker.js", lost)
    voter.scan(card_code("voter-3"))
    voter.choose(CHOICES)
    page.get_by_text(voter.word("secret.failed")).wait_for()
    looks_right(page)
    page.unroute("**/static/secret_worker.js")
    voter.button("again").click()
    voter.button("review.cast").wait_for()


def test_a_kiosk_forgets_a_secret_vote_and_offers_no_test(network: SecretNetwork, visit: Visit) -> None:
    kiosk = start_kiosk(network)
    page = patient(visit(viewport={"width": 1024, "height": 768}))
    voter = BoothVoter(page, kiosk)
    voter.scan(card_code("voter-4"))
    voter.choose(CHOICES)
    voter.button("review.cast").wait_for()
    assert page.get_by_text(voter.word("secret.more")).count() == 0
    looks_right(page)
    voter.cast()
    to_final(voter)
    voter.button("kiosk.leave").click()
    page.get_by_role("heading", name=voter.word("identity.codeTitle")).wait_for()
    assert page.evaluate("() => sessionStorage.length + localStorage.length") == 0


def test_without_javascript_the_page_names_the_command_that_encrypts(
    network: SecretNetwork, visit: Visit
) -> None:
    page = visit(java_script_enabled=False, locale="id-ID")
    page.goto(f"{network.url}/vote")
    told = page.locator("noscript").inner_text()
    assert "Pemungutan suara memerlukan JavaScript" in told
    assert "votenet vote --code --node 127.0.0.1:" in told
    assert "mengenkripsinya" in told
    assert too_wide(page) == []
