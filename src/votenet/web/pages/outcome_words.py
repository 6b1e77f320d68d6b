"""A count in the words of a page: who has won or is ahead, each round, each tie, what a motion needed.

*Winner*, *elected* and *carried* are words for a final result alone. Before that a candidate is ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from votenet.core.election.definition import Contest
from votenet.core.election.outcome_text import Decision
from votenet.core.methods.method import Condition, ContestResult, Round
from votenet.web.words import Words

MANY_LEAVE = 4
"""More candidates than these leave a round as a number, not by name."""


def decision(words: Words, found: Decision, final: bool, votes: int = 0) -> Markup:
    """Who has won, or is ahead while the count is not final; for a motion whether it is carried.

    Args:
        votes: how many ballots there are, blank ones included.
    """
    when = "final" if final else "so-far"
    match found.state:
        case "cancelled":
            return words.t("decision.cancelled")
        case "undecided" if final and votes:
            return words.t("decision.undecided.blank")
        case "undecided" | "carried" | "rejected":
            return words.t(f"decision.{found.state}.{when}")
        case "tied":
            lot = [name for name in found.winners if name in found.tied]
            chosen = words.names(lot, most=len(found.winners))
            sure = [name for name in found.winners if name not in found.tied]
            tied = words.t(f"decision.tied.{when}", names=words.names(found.tied), chosen=chosen)
            return _winners(words, found, sure, final) + Markup(" ") + tied if sure else tied
    return _winners(words, found, found.winners, final)


def _winners(words: Words, found: Decision, names: Sequence[str], final: bool) -> Markup:
    """Every one of these winners by name, however many the seats."""
    key = "decision.winners" if final else "decision.ahead"
    return words.t(key, count=len(found.winners), names=words.names(names, most=len(found.winners)))


def round_sentence(words: Words, one: Round, final: bool) -> Markup:
    """What follows from a round, in whole sentences."""
    parts = []
    if one.elected:
        key = "round.elected" if final else "round.would-be-elected"
        parts.append(words.t(key, count=len(one.elected), names=words.names(one.elected)))
    if one.surplus:
        parts.append(words.t("round.surplus", name=words.name(one.surplus)))
    if len(one.eliminated) > MANY_LEAVE:
        parts.append(words.t("round.many-leave", count=len(one.eliminated)))
    elif one.eliminated:
        parts.append(words.t("round.leaves", count=len(one.eliminated), names=words.names(one.eliminated)))
    if not parts:
        parts.append(words.t("round.ends"))
    if one.tie_break:
        parts.append(tie_sentence(words, one))
    return Markup(" ").join(parts)


def tie_sentence(words: Words, one: Round) -> Markup:
    """How a tie in a round was settled."""
    if one.tie_break == "lot":
        how = words.t("tie.by-lot")
    else:
        how = words.t("tie.by-round", round=one.tie_break.rpartition(" ")[2])
    return words.t("tie.surplus" if one.surplus else "tie.fewest", names=words.names(one.tied), how=how)


def conditions(
    words: Words, found: ContestResult, *, weighted: bool = False
) -> Iterator[tuple[Condition, Markup]]:
    """What a motion needed, and what it got; where votes are `weighted`, weights of ballots."""
    for one in found.conditions:
        key = f"condition.{one.name}.{'met' if one.met else 'missed'}"
        yield one, words.t(f"{key}.weighted" if weighted else key, got=one.got, needed=one.needed)


def threshold(words: Words, contest: Contest, *, weighted: bool = False) -> Markup:
    """What a motion needs to be carried; empty for other contests. `weighted`: votes have weights."""
    if contest.threshold is None:
        return Markup("")
    needed = words.t(f"threshold.{contest.threshold.basis}.{contest.threshold.share}")
    if contest.quorum is None:
        return needed
    key = "threshold.quorum.weighted" if weighted else "threshold.quorum"
    return needed + Markup(" ") + words.t(key, percent=contest.quorum.percent)


def method(words: Words, contest: Contest) -> Markup:
    """How a contest is counted, in plain words."""
    text = words.t(f"method.{contest.method}", max=contest.max)
    if contest.seats == 1:
        return text
    return text + Markup(" ") + words.t("contest.seats", count=contest.seats)


def how_to_choose(words: Words, contest: Contest) -> Markup:
    """How many choices a ballot has."""
    if contest.method == "motion":
        return words.t("choose.motion")
    kind = "rank" if contest.method in RANKED else "choose"
    if contest.max == 1:
        return words.t("choose.one")
    return words.t(f"choose.{kind}", max=contest.max)


RANKED = frozenset({"instant-runoff", "stv", "schulze"})
