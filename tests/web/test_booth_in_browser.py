"""The booth in a real browser, against real nodes and a real page."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from support.elections import UUID
from votenet.core.election.voting_code import key_of_code, shown_code
from votenet.core.ledger.vote import sign_vote
from votenet.core.records.receipt import check_receipt, decode_receipt
from web.booth_voting import (
    CHOICES,
    CONTESTS,
    ROLL,
    UNKNOWN_CODE,
    card,
    code_of,
    fill,
    patient,
    press,
    start_kiosk,
    step,
)
from web.browser import (
    PHONE,
    SMALL_PHONE,
    ZOOMED,
    Watch,
    axe,
    is_golden,
    small_targets,
    too_wide,
)
from web.network import PageNetwork

if TYPE_CHECKING:
    from playwright.sync_api import Download, Page, Route

Visit = Callable[..., "Page"]
LOST_CONNECTION = "ERR_CONNECTION|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE|Failed to load resource"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageNetwork]:
    made = PageNetwork(tmp_path_factory.mktemp("booth"), CONTESTS, roll=ROLL, title="Annual meeting")
    try:
        made.start_all()
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def kiosk(network: PageNetwork) -> str:
    """The address of another page of the network, for a kiosk."""
    return start_kiosk(network)


def looks_right(page: Page) -> None:
    """Nothing is wrong for those who do not see, have a small window, or a thick finger."""
    assert axe(page) == []
    assert too_wide(page) == []
    assert small_targets(page) == []


def main_order(page: Page) -> str:
    """The roles and names of what the booth shows, in the order in which they are read."""
    return str(page.locator("#booth").aria_snapshot())


def to_final(page: Page) -> None:
    step(page, "final")
    page.get_by_role(
        "heading", name=re.compile("Is this what you chose|Apakah ini yang Anda pilih")
    ).wait_for()


def noticed(page: Page, text: str) -> None:
    """Waits until the booth says this, to be seen and to be heard."""
    page.locator(".booth-notice", has_text=text).wait_for()
    page.get_by_role("status").filter(has_text=text).wait_for(state="attached")


def answered_is_told(page: Page, text: str) -> None:
    """Waits until the thanks for an answer are said, and have the focus: the buttons are gone."""
    page.get_by_role("status").filter(has_text=text).wait_for(state="attached")
    page.locator("#answered:focus", has_text=text).wait_for()


def said_to_be(page: Page, where: str | re.Pattern[str]) -> None:
    """Waits until the steps of the vote's way say this."""
    page.locator(".booth-way li", has_text=where).wait_for()


def sent_votes(page: Page) -> list[str]:
    """The bodies of all votes that this page sends from now on."""
    bodies: list[str] = []

    def note(request: Any) -> None:
        if request.method == "POST" and request.url.endswith("/api/v1/votes"):
            bodies.append(request.post_data)

    page.on("request", note)
    return bodies


def test_a_vote_by_card_on_a_phone(network: PageNetwork, visit: Visit) -> None:
    page = visit(viewport=PHONE)
    bodies = sent_votes(page)
    downloads: list[Download] = []
    page.on("download", lambda download: downloads.append(download))
    page.goto(card(network.url, "member-1"))
    step(page, "identity")
    page.get_by_role("button", name="Go to the ballot").wait_for()
    assert page.url == f"{network.url}/vote"
    read = [main_order(page)]
    looks_right(page)
    press(page, "Go to the ballot")
    press(page, "Next")  # nothing chosen
    noticed(page, "You have chosen nothing here")
    page.get_by_role("button", name="Skip this question (blank vote)").wait_for()
    looks_right(page)
    page.get_by_label("محمد").check()
    page.get_by_text("About Alice Ardiansyah").click()
    page.get_by_text("I have been treasurer").wait_for()
    press(page, "Next")
    assert "Choose up to 2" in page.title()
    for name in ("Ann", "Cy"):
        page.get_by_label(name, exact=True).check()
    page.get_by_label("Dewi").click()
    noticed(page, "To choose Dewi, first remove another one")
    assert not page.get_by_label("Dewi").is_checked()
    page.get_by_label("Cy", exact=True).uncheck()
    read.append(main_order(page))
    looks_right(page)
    press(page, "Next")
    press(page, "Harbour hall, not numbered")
    press(page, "Library, not numbered")
    drag_to_first(page, "Library")
    page.get_by_role("button", name="Library, your choice 1").wait_for()
    read.append(main_order(page))
    looks_right(page)
    press(page, "Next")
    page.get_by_label("Yes").check()
    press(page, "Check my vote")
    step(page, "review")
    page.get_by_text("You may choose 1 more here").wait_for()
    read.append(main_order(page))
    looks_right(page)
    press(page, "Change: New bylaws")
    page.get_by_label("No", exact=True).check()
    page.get_by_label("Yes").check()
    press(page, "Back to my vote")
    press(page, "Cast my vote")
    to_final(page)
    assert "Vote cast" in page.title()
    said_to_be(page, re.compile("Final, signed by [34] of 4"))
    page.get_by_text("as another computer of the election").wait_for()
    page.get_by_role("status").filter(has_text="Your vote is final").wait_for(state="attached")
    looks_right(page)
    press(page, "Yes, this is what I chose")
    answered_is_told(page, "You are finished")
    press(page, "Keep my receipt")
    page.locator("p", has_text="It is in your downloads").last.wait_for()
    download = downloads[0] if downloads else page.wait_for_event("download")
    receipt = decode_receipt(download.path().read_bytes())
    check_receipt(receipt, int(time.time()), network.election.network_hex, ROLL)
    assert [list(one) for one in receipt.vote.choices] == CHOICES
    assert is_golden("booth.txt", "\n\n".join(read))
    # The bytes are those that the command line signs with this key at this time.
    vote = json.loads(bodies[0])
    again = sign_vote(
        key_of_code(code_of("member-1"), UUID),
        network_hex=network.election.network_hex,
        voter_id="member-1",
        choices=CHOICES,
        time=vote["time"],
    )
    assert set(bodies) == {again.record.decode()}, "however often they are sent"


def drag_to_first(page: Page, name: str) -> None:
    """Drags a name to the first place of the order."""
    rows = page.locator(".booth-order li")
    rows.filter(has_text=name).locator(".booth-handle").hover()
    page.mouse.down()
    rows.first.locator(".booth-handle").hover(position={"x": 22, "y": 4})
    page.mouse.up()


FOCUSED = """() => {
    const at = document.activeElement;
    return at.ariaLabel || at.labels?.[0]?.innerText || at.innerText || "";
}"""


def tab_to(page: Page, name: str | re.Pattern[str]) -> None:
    """Presses Tab until a control with this name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if re.search(name, focused):
            return
    pytest.fail(f"no Tab leads to {name}")


def test_keyboard_only_in_indonesian_on_the_smallest_phone(network: PageNetwork, visit: Visit) -> None:
    page = visit(viewport=SMALL_PHONE, locale="id-ID", reduced_motion="reduce")
    page.goto(f"{network.url}/vote")
    step(page, "identity")
    looks_right(page)
    tab_to(page, "Kode suara")
    page.keyboard.type(shown_code(code_of("member-2")).lower().replace("-", ""))
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Buka surat suara").wait_for()
    looks_right(page)

    def go(name: str) -> None:
        tab_to(page, f"^{name}$")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.activeElement.tagName === 'H1'")

    go("Buka surat suara")
    tab_to(page, "Alice")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    assert page.get_by_label("محمد").is_checked()
    looks_right(page)
    go("Lanjut")
    tab_to(page, "^Ann$")
    page.keyboard.press("Space")
    looks_right(page)
    go("Lanjut")
    for name in ("Harbour hall", "Library"):
        tab_to(page, f"^{name}, belum")
        page.keyboard.press("Space")
    tab_to(page, "^Naikkan Library$")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Library, pilihan Anda nomor 1").wait_for()
    looks_right(page)
    go("Lanjut")
    tab_to(page, "^Yes$")
    page.keyboard.press("Space")
    go("Periksa suara saya")
    looks_right(page)
    page.locator("a.skip").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/vote#main")
    step(page, "review")
    go("Berikan suara saya")
    to_final(page)
    said_to_be(page, re.compile("Final, ditandatangani oleh [34] dari 4"))
    looks_right(page)
    tab_to(page, "^Ya, ini pilihan saya$")
    page.keyboard.press("Enter")
    answered_is_told(page, "Anda sudah selesai")


def test_codes_that_are_not_right(network: PageNetwork, visit: Visit, watch: Watch) -> None:
    watch.allow("404")
    page = visit(**ZOOMED)
    page.goto(f"{network.url}/vote")
    field = page.get_by_label("Voting code")
    good = shown_code(code_of("member-3"))
    wrong = f"{good[:12]}{'8' if good[12] == '7' else '7'}{good[13:]}"
    field.fill(wrong)
    press(page, "Continue")
    noticed(page, "Group 3 is not right")
    assert page.evaluate("() => String(getSelection())") == wrong.split("-")[2]
    looks_right(page)
    field.fill(shown_code(UNKNOWN_CODE))
    press(page, "Continue")
    noticed(page, "This code is not valid in this election")
    field.fill("")
    field.press_sequentially(good.replace("-", "").lower())
    assert field.input_value() == good
    press(page, "Continue")
    page.get_by_role("heading", name="You vote as member-3").wait_for()
    looks_right(page)


def test_a_node_and_the_page_are_killed_and_the_same_bytes_arrive(
    network: PageNetwork, visit: Visit, watch: Watch
) -> None:
    watch.allow(LOST_CONNECTION)
    page = visit(viewport=PHONE)
    bodies = sent_votes(page)
    page.goto(card(network.url, "member-4"))
    fill(page)
    page.reload()
    step(page, "review")
    network.kill("named-0")
    network.kill("web")
    press(page, "Cast my vote")
    page.locator("#booth p", has_text="Your vote is safe on this device").first.wait_for()
    looks_right(page)
    network.start_page()
    to_final(page)
    said_to_be(page, "Final, signed by 3 of 4")
    page.reload()
    to_final(page)
    assert len(bodies) >= 2, "the first did not arrive"
    assert len(set(bodies)) == 1
    network.start_named(0)


@pytest.mark.long
def test_two_tabs_and_the_back_button(network: PageNetwork, visit: Visit) -> None:
    page = visit(viewport=PHONE)
    page.goto(card(network.url, "member-5"))
    fill(page)
    page.go_back()
    page.get_by_role("heading", name="New bylaws").wait_for()
    assert page.get_by_label("Yes").is_checked()
    page.go_back()
    page.get_by_role("button", name="Library, your choice 1").wait_for()
    page.go_forward()
    press(page, "Back to my vote")
    other = page.context.new_page()
    other.goto(card(network.url, "member-5"))
    fill(other)
    press(page, "Cast my vote")
    step(other, "error")
    other.get_by_role("heading", name="This code has been used").wait_for()
    looks_right(other)
    to_final(page)
    page.go_back()
    page.get_by_role("heading", name="Your vote is final").wait_for()
    press(other, "See the vote that was cast")
    to_final(other)


def test_a_page_whose_server_lies_is_called_out(network: PageNetwork, visit: Visit) -> None:
    def lying(voter: str, path: str, lie: Callable[[dict[str, Any]], None]) -> None:
        page = visit(viewport=PHONE)

        def answer(route: Route) -> None:
            response = route.fetch()
            body = response.json()
            # A node that lags behind has no vote to show: the page asks again.
            if body.get("vote") or body.get("acceptances"):
                lie(body)
            route.fulfill(response=response, json=body)

        page.goto(card(network.url, voter))
        fill(page)
        page.route(path, answer)
        press(page, "Cast my vote")
        page.get_by_role("heading", name="Stop: this page was told something false").wait_for()
        looks_right(page)

    def other_choice(body: dict[str, Any]) -> None:
        body["vote"]["choices"][3] = ["No"]

    def forged(body: dict[str, Any]) -> None:
        body["acceptances"][0]["signature"] = "0" * 128

    lying("member-6", "**/api/v1/vote?*other_than*", other_choice)
    lying("member-7", "**/api/v1/votes", forged)


def test_a_kiosk_forgets_everything(kiosk: str, visit: Visit) -> None:
    page = visit(viewport={"width": 1024, "height": 768})
    page.clock.install()
    page.goto(card(kiosk, "member-8"))
    fill(page)
    looks_right(page)
    press(page, "Cast my vote")
    page.locator(".booth-kiosk-after").wait_for()
    page.clock.run_for(19_000)  # of the 20 seconds; the last one goes by as usual
    page.get_by_role("heading", name="Type your voting code").wait_for()
    assert page.evaluate("() => sessionStorage.length + localStorage.length") == 0
    page.go_back()
    step(page, "identity")
    assert "member-8" not in page.content()


def in_state(state: str) -> Callable[[Route], None]:
    """Answers with the election as it is, but in this state."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | {"state": state})

    return answer


def ways_out(page: Page) -> set[str]:
    """Where the links of a page lead, but those to its own parts and to itself in another language."""
    links = page.eval_on_selector_all("a", "(all) => all.map((each) => each.getAttribute('href'))")
    return {link for link in links if not link.startswith(("#", "?"))}


@pytest.mark.long
def test_no_screen_of_a_kiosk_leads_to_another_page(
    kiosk: str, network: PageNetwork, visit: Visit, watch: Watch
) -> None:
    watch.allow("ERR_FAILED")
    page = patient(visit(viewport={"width": 1024, "height": 768}))
    page.goto(card(kiosk, "member-9"))
    fill(page)
    press(page, "Cast my vote")
    page.locator(".booth-kiosk-after").wait_for()
    assert ways_out(page) == set()
    to_final(page)  # until then a node may not know it yet
    assert ways_out(page) == set()
    page = visit(viewport={"width": 1024, "height": 768})
    page.goto(card(kiosk, "member-9"))
    page.get_by_role("heading", name="This code has been used").wait_for()
    assert ways_out(page) == set()
    own = visit()
    for state, heading in (("closed", "Voting has ended"), ("cancelled", "This election was cancelled")):
        for reader, url in ((page, kiosk), (own, network.url)):
            reader.route("**/api/v1/election", in_state(state))
            reader.route("**/api/v1/events", lambda route: route.abort())
            reader.route("**/api/v1/state", lambda route: route.abort())
            reader.goto(f"{url}/vote")
            reader.get_by_role("heading", name=heading).wait_for()
        assert ways_out(page) == set(), state
        assert {"/results", "/check"} <= ways_out(own), state


@pytest.mark.long
def test_the_receipt_code_of_a_kiosk_finds_the_vote_elsewhere(
    kiosk: str, network: PageNetwork, visit: Visit
) -> None:
    wall = patient(visit(viewport={"width": 1024, "height": 768}))
    wall.goto(card(kiosk, "member-10"))
    fill(wall)
    press(wall, "Cast my vote")
    code = wall.get_by_text(re.compile("^[0-9A-F]{4}(-[0-9A-F]{4}){3}$")).inner_text()
    network.wait_for(lambda: b"member-10" in network.get(f"/api/v1/search?q={code}")[1])
    home = visit(viewport=SMALL_PHONE)
    for typed in (code, code.lower().replace("-", " ")):
        home.goto(f"{network.url}/check")
        home.get_by_role("searchbox").fill(typed)
        home.get_by_role("button", name="Find").click()
        home.get_by_role("heading", name="The vote of member-10").wait_for()
        said = home.locator("main").inner_text()
        assert all(name in said for choices in CHOICES for name in choices)
        looks_right(home)
    home.goto(f"{network.url}/check")
    home.get_by_role("searchbox").fill("0123-4567-89AB-CDEF")
    home.get_by_role("button", name="Find").click()
    home.get_by_role("status").filter(has_text="0123-4567-89AB-CDEF").wait_for()


def test_an_arrow_that_does_nothing_looks_so_in_the_colours_of_a_reader(
    network: PageNetwork, visit: Visit
) -> None:
    page = visit(forced_colors="active")
    page.goto(card(network.url, "member-11"))
    press(page, "Go to the ballot")
    page.get_by_label("محمد").check()
    press(page, "Next")
    page.get_by_label("Ann").check()
    press(page, "Next")
    for name in ("Library", "Harbour hall"):
        page.locator("button", has_text=name).first.click()
    shown = {
        (move.get_attribute("aria-disabled"), move.evaluate("(each) => getComputedStyle(each).color"))
        for move in page.locator(".booth-move").all()
    }
    assert len(shown) == 2
    assert {disabled for disabled, _ in shown} == {"true", "false"}
    assert len({colour for _, colour in shown}) == 2


def test_hours_and_troubles_say_what_to_do(network: PageNetwork, visit: Visit, watch: Watch) -> None:
    watch.allow("503|ERR_FAILED")
    page = visit(viewport=SMALL_PHONE)
    headings = {
        "before": "Voting has not begun",
        "closed": "Voting has ended",
        "cancelled": "This election was cancelled",
    }
    for state, heading in headings.items():
        page.route("**/api/v1/election", in_state(state))
        page.route("**/api/v1/events", lambda route: route.abort())
        page.route("**/api/v1/state", lambda route: route.abort())
        page.goto(f"{network.url}/vote")
        page.get_by_role("heading", name=heading).wait_for()
        looks_right(page)
        page.unroute_all()
    nobody = {"error": {"code": "unreachable", "message": "", "next": ""}}
    page.route("**/api/v1/election", lambda route: route.fulfill(status=503, json=nobody))
    page.goto(f"{network.url}/vote")
    page.get_by_role("heading", name="The election cannot be reached").wait_for()
    looks_right(page)
    page.unroute_all()
    step(page, "identity")


def test_without_javascript_the_page_says_how_to_vote(network: PageNetwork, visit: Visit) -> None:
    page = visit(java_script_enabled=False, locale="id-ID")
    page.goto(f"{network.url}/vote")
    told = page.locator("noscript").inner_text()
    assert "Pemungutan suara memerlukan JavaScript" in told
    assert "votenet vote --code --node" in told
    assert too_wide(page) == []
