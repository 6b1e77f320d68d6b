"""A secret election for tests of the booth: two contests, voters with cards, four nodes and a page."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from support.amendments import AUTHORITY
from support.named_programs import NAMED
from support.secret_definitions import SecretSetup, code_of, contest
from votenet.core.election.definition import Candidate, Contest, Election, ElectionDefinition, Threshold
from votenet.core.election.voting_code import shown_code
from web.network import PageNetwork
from web.voting import BoothVoter

OPEN_SECONDS: Final = 20_000
"""From the start of the test to the end of voting."""
MOTION: Final = Contest(
    id="bylaws",
    title="New bylaws",
    candidates=tuple(Candidate(name=name) for name in ("Yes", "No")),
    method="motion",
    threshold=Threshold(share="two-thirds", basis="cast"),
    blank=True,
)
CONTESTS: Final = (contest("Chair", ("Alice", "Bob", "Çelik"), id="chair"), MOTION)
VOTERS: Final = 12


STRANGE: Final = f"voter-{VOTERS}"
"""On the roll with the right key, and with the credential of another code: no ballot of theirs is taken."""


class _Setup(SecretSetup):
    def define(self, **changed: Any) -> ElectionDefinition:
        """Made a moment ago."""
        made = self.closes - OPEN_SECONDS - 60
        return super().define(**{"authority_key": AUTHORITY.public_hex, "created": made, **changed})

    def public_credential(self, voter: str) -> str:
        return super().public_credential("stranger" if voter == STRANGE else voter)


class SecretNetwork(PageNetwork):
    """Four named nodes and the page. `setup` knows what voters and trustees know."""

    def __init__(self, folder: Path) -> None:
        self.setup = _Setup(
            contests=CONTESTS,
            nodes=NAMED,
            weights=(1,) * VOTERS,
            closes=int(time.time()) + OPEN_SECONDS,
            grace=1,
            by_code=True,
        )
        super().__init__(folder, roll=self.setup.roll)
        self.election = Election(self.setup.definition)
        (folder / "genesis.json").write_bytes(self.election.to_file())


def card_code(voter: str) -> str:
    """The code as it stands on a voter's card."""
    return shown_code(code_of(voter))


def to_final(voter: BoothVoter) -> None:
    """Until the vote is final and was read back."""
    voter.page.locator('#booth[data-step="final"]').wait_for()
    voter.page.get_by_role("heading", name=voter.word("secret.readBack")).wait_for()
