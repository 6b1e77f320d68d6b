"""How far an election is, in words: state, turnout, hours, who signed, amendments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup

from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.web.pages import charts
from votenet.web.snapshot import Snapshot
from votenet.web.words import Words


@dataclass(frozen=True, slots=True)
class Standing:
    """The banner of a page: `kind` chooses its colour, `hidden` says why no counts are shown."""

    state: str
    kind: str
    title: Markup
    lines: tuple[Markup, ...]
    hidden: Markup


@dataclass(frozen=True, slots=True)
class Turnout:
    text: Markup
    bar: Markup


@dataclass(frozen=True, slots=True)
class Signer:
    name: Markup
    signed: bool


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who signed the votes that are final, and who did not yet."""

    text: Markup
    nodes: tuple[Signer, ...]


def standing(words: Words, snapshot: Snapshot) -> Standing:
    """The state of the election now."""
    return Standing(
        state=snapshot.state,
        kind=snapshot.state,
        title=_title(words, snapshot),
        lines=tuple(_lines(words, snapshot)),
        hidden=_hidden(words, snapshot),
    )


def _title(words: Words, snapshot: Snapshot) -> Markup:
    if snapshot.state == "final":
        return words.t("state.final", signed=len(snapshot.signed_by), named=snapshot.named)
    return words.t(f"state.{snapshot.state}")


def _lines(words: Words, snapshot: Snapshot) -> Iterator[Markup]:
    opens, closes = snapshot.election.definition.opens, snapshot.election.closes
    match snapshot.state:
        case "before" if opens is not None:
            yield words.t("state.opens", date=words.date(opens))
        case "open" if closes is not None:
            yield words.t("state.closes", date=words.date(closes))
        case "open":
            yield words.t("state.no-closing")
        case "closed" if not snapshot.named:
            yield words.t("state.closed.unnamed")
        case "closed":
            yield words.t("state.closed.why")
        case "cancelled":
            yield from _cancelled(words, snapshot)
        case "final":
            key = "state.final.why" if snapshot.election.secret is None else "state.final.why.encrypted"
            yield words.t(key, names=words.names(snapshot.signed_by))
    if snapshot.stale:
        yield words.t("state.stale", span=words.span(snapshot.stale))


def _cancelled(words: Words, snapshot: Snapshot) -> Iterator[Markup]:
    """Who cancelled the election, when and why."""
    if snapshot.cancelled_at is None:
        yield words.t("state.cancelled.why")
    else:
        yield words.t("state.cancelled.at", date=words.date(snapshot.cancelled_at))
    for one in snapshot.election.amendments:
        if one.action == "cancel" and one.reason:
            yield words.t("amendments.reason", reason=words.name(one.reason))


def _hidden(words: Words, snapshot: Snapshot) -> Markup:
    """Why there are no counts; empty where they are shown."""
    if snapshot.state == "cancelled":
        return words.t("counts.cancelled")
    if snapshot.results.contests:
        return words.t("counts.before") if snapshot.state == "before" else Markup("")
    if snapshot.election.secret is not None:
        return _waiting(words, snapshot) if snapshot.state == "final" else words.t("counts.encrypted")
    if snapshot.state == "closed":
        return words.t("counts.hidden.ended")
    closes = snapshot.election.closes
    return words.t("counts.hidden", date="" if closes is None else words.date(closes))


def _waiting(words: Words, snapshot: Snapshot) -> Markup:
    """How many trustees the count of final secret votes waits for, and who has decrypted it."""
    trustees, done = snapshot.election.definition.trustees, snapshot.results.decrypted_by
    assert trustees is not None
    needed = trustees.threshold - len(done)
    text = words.t("counts.waiting", needed=needed, all=len(trustees.keys))
    if not done:
        return text
    names = words.names([trustees.keys[place - 1].name for place in done])
    return text + Markup(" ") + words.t("counts.waiting.by", names=names)


def turnout(words: Words, snapshot: Snapshot) -> Turnout:
    """How many have voted, and of how many."""
    votes, registered = snapshot.results.votes, snapshot.results.registered
    if not registered:
        return Turnout(words.t("turnout.open", count=votes), Markup(""))
    text = words.t(
        "turnout.roll", count=votes, registered=registered, percent=words.percent(votes, registered)
    )
    return Turnout(text, charts.bar(votes, registered))


def hours(words: Words, election: Election) -> Iterator[tuple[Markup, Markup]]:
    """The facts of an election with their labels."""
    definition = election.definition
    opens, closes = definition.opens, election.closes
    yield words.t("facts.opens"), words.t("facts.at-once") if opens is None else words.date(opens)
    text = words.t("facts.no-closing") if closes is None else words.date(closes)
    if closes != definition.closes and definition.closes is not None:
        text = text + Markup("<br>") + words.t("facts.was", date=words.date(definition.closes))
    yield words.t("facts.closes"), text
    yield words.t("facts.who"), _who_may_vote(words, election)
    shown = "after-close" if definition.results == "after-close" else "live"
    if election.secret is not None:
        shown = "secret"
    yield words.t("facts.results"), words.t(f"facts.results.{shown}")
    if definition.trustees is not None:
        names = words.names([each.name for each in definition.trustees.keys])
        who = words.t("facts.trustees.who", names=names, threshold=definition.trustees.threshold)
        yield words.t("facts.trustees"), who
    kept = "facts.kept.named" if election.named else "facts.kept.unnamed"
    yield words.t("facts.kept"), words.t(kept, count=election.named, quorum=election.quorum)


def _who_may_vote(words: Words, election: Election) -> Markup:
    if election.roll_size is None:
        return words.t("facts.who.open")
    return words.t(
        "facts.who.weighted" if election.definition.weighted else "facts.who.roll", count=election.roll_size
    )


def signatures(words: Words, snapshot: Snapshot) -> Signatures:
    """Which named nodes have signed the votes up to the newest final one."""
    if not snapshot.named:
        return Signatures(words.t("signed.unnamed"), ())
    signed = set(snapshot.signed_by)
    nodes = tuple(
        Signer(words.name(node.name), node.name in signed) for node in snapshot.election.definition.nodes
    )
    if not signed:
        return Signatures(words.t("signed.none"), nodes)
    whole = snapshot.final_height == snapshot.results.height
    text = words.t(
        "signed.all" if whole else "signed.some",
        signed=len(snapshot.signed_by),
        named=snapshot.named,
        quorum=snapshot.election.quorum,
    )
    return Signatures(text, nodes)


def amendments(words: Words, election: Election) -> list[tuple[Markup, Markup]]:
    """Each change of the election, and the reason that the authority gave."""
    return [
        (change_text(words, one), words.name(one.reason) if one.reason else Markup(""))
        for one in election.amendments
    ]


def change_text(words: Words, one: Amendment) -> Markup:
    """What an amendment changes, in a sentence."""
    voter = words.name(one.voter_id or "")
    if one.action == "add-voter" and one.weight not in (None, 1):
        return words.t("amendment.add-voter.weight", voter=voter, weight=one.weight)
    date = words.date(one.closes) if one.closes is not None else ""
    return words.t(f"amendment.{one.action}", voter=voter, date=date)
