"""An election for tests of the booth: four contests, a roll of voters with cards, nodes and a page."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
from typing import TYPE_CHECKING, Any, Final

from support.elections import UUID
from support.ports import free_port
from votenet.core.election.definition import Candidate, Contest, Threshold
from votenet.core.election.roll import Roll
from votenet.core.election.voting_code import code_from, key_of_code, shown_code
from votenet.protocol.wire.address import Address

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from web.network import PageNetwork


def contest(id: str, title: str, *names: str, **fields: Any) -> Contest:
    return Contest(id=id, title=title, candidates=tuple(Candidate(name=name) for name in names), **fields)


LONG_NAME: Final = "The old school behind the harbour, with the new hall and the long name"
PLACES: Final = ("Harbour hall", "Library", LONG_NAME)
PEOPLE: Final = (
    Candidate(name="Alice Ardiansyah", statement="I have been treasurer for two years."),
    Candidate(name="Bo"),
    Candidate(name="محمد"),
)
CHAIR: Final = Contest(
    id="chair",
    title="Chair",
    description="The chair leads the meetings for one year.",
    candidates=PEOPLE,
    method="plurality",
    blank=True,
)
TWO_THIRDS: Final = Threshold(share="two-thirds", basis="cast")
CONTESTS: Final = (
    CHAIR,
    contest(
        "board", "Board members", "Ann", "Cy", "Dewi", "Emil", method="block", seats=2, max=2, blank=True
    ),
    contest("place", "Where we meet", *PLACES, method="instant-runoff", max=3, blank=True),
    contest("bylaws", "New bylaws", "Yes", "No", "Abstain", method="motion", threshold=TWO_THIRDS),
)
VOTERS: Final = tuple(f"member-{number}" for number in range(1, 21))


def code_of(voter_id: str) -> str:
    """The code on a voter's card, without hyphens."""
    return code_from(hashlib.sha256(voter_id.encode()).digest()[:14])


ROLL: Final = Roll((voter, key_of_code(code_of(voter), UUID).public_hex) for voter in VOTERS)
UNKNOWN_CODE: Final = code_of("stranger")


def start_kiosk(network: PageNetwork) -> str:
    """Starts another page of the network, for a kiosk; returns its address once it answers."""
    where = Address("127.0.0.1", free_port())
    nodes = [word for address in network.addresses for word in ("--node", str(address))]
    roll = ("--roll", str(network.folder / "roll.json"))
    options = ("--port", str(where.port), "--network-id", network.election.network_hex, *roll, "--kiosk")
    network.start("kiosk", "web", *nodes, *options)

    def answers() -> bool:
        link = http.client.HTTPConnection(where.host, where.port, timeout=60)
        with contextlib.suppress(OSError), contextlib.closing(link):
            link.request("GET", "/api/v1/state")
            return link.getresponse().status == 200
        return False

    network.wait_for(answers)
    return f"http://{where}"


def patient(page: Page) -> Page:
    """At a kiosk that counts down slowly: it forgets a vote 20 seconds after it was received."""
    page.add_init_script("const begin = setInterval; window.setInterval = (act, ms) => begin(act, 20 * ms);")
    return page


def card(url: str, voter_id: str) -> str:
    """The link on a voter's card."""
    return f"{url}/vote#{shown_code(code_of(voter_id))}"


WORDS: Final = {
    "en": {
        "start": "Go to the ballot",
        "next": "Next",
        "review": "Check my vote",
        "cast": "Cast my vote",
        "yes": "Yes, this is what I chose",
    },
    "id": {
        "start": "Buka surat suara",
        "next": "Lanjut",
        "review": "Periksa suara saya",
        "cast": "Berikan suara saya",
        "yes": "Ya, ini pilihan saya",
    },
}
CHOICES: Final = [["محمد"], ["Ann"], ["Library", "Harbour hall"], ["Yes"]]
"""What `fill` chooses."""


def step(page: Page, name: str) -> None:
    """Waits until the booth is at a step."""
    page.locator(f"#booth[data-step={name}]").wait_for()


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def fill(page: Page, language: str = "en") -> None:
    """From the greeting to the review."""
    words = WORDS[language]
    press(page, words["start"])
    page.get_by_label("محمد").check()
    press(page, words["next"])
    page.get_by_label("Ann").check()
    press(page, words["next"])
    page.locator("button", has_text="Library").first.click()
    page.locator("button", has_text="Harbour hall").first.click()
    press(page, words["next"])
    page.get_by_label("Yes").check()
    press(page, words["review"])
    step(page, "review")
