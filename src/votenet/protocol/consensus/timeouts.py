"""How long a node waits in a round: longer in each, so that a slow network comes to an agreement, too."""

from __future__ import annotations

from typing import Final

UNREACHABLE_SECONDS: Final = 0.05
"""For the proposal of a node to which no link is up."""
PROPOSE_SECONDS: Final = 1.0
"""For a proposal, beside its search: the block must be sent and judged."""
SEARCHES: Final = 4.0
"""So many times the mean search are waited for: 2 % of searches take longer."""
VOTES_SECONDS: Final = 0.2
"""For the rest of the prevotes or precommits, once a quorum of nodes has sent any."""
PROPOSE_GROWTH: Final = 0.5
VOTES_GROWTH: Final = 0.1
"""By so many seconds each round waits longer than the one before, for the proposal and for votes."""
MAX_GROWTH: Final = 30.0
RECOVERY_SECONDS: Final = 2.0
"""For answers of nodes whose link is up, once a quorum has told which of our statements they hold."""
MISSING_VOTES_SECONDS: Final = 2.0
"""Without the votes that a node waits for, before all tell each other what they know; doubled each time."""
MAX_REFRESH: Final = 60.0


def propose_seconds(round_number: int, search_seconds: float) -> float:
    """The paper's timeoutPropose; `search_seconds`: how long a search takes on average."""
    growth = min(round_number * PROPOSE_GROWTH, MAX_GROWTH)
    return PROPOSE_SECONDS + SEARCHES * search_seconds + growth


def votes_seconds(round_number: int) -> float:
    """The paper's timeoutPrevote and timeoutPrecommit."""
    return VOTES_SECONDS + min(round_number * VOTES_GROWTH, MAX_GROWTH)
