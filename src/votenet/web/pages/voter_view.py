"""`/chain/voter/ID`: has this voter a working key, was it replaced, and has the voter voted? No names.

All of it is public already: votes stand on the chain under voter ids, amendments too, and the roll has public
keys only. There is no list of those who have not voted: the roll belongs to the organisers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.core.election.definition import Election
from votenet.errors import Rejected
from votenet.web.api.lookups import WhereVoteIs, where_is
from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages.links import vote_link
from votenet.web.pages.standing import change_text
from votenet.web.templates import render
from votenet.web.words import Words


@dataclass(frozen=True, slots=True)
class VoterView:
    """A voter in words. `kind` chooses the colour; `vote`: address of the vote, empty without one."""

    title: Markup
    kind: str
    state: Markup
    why: Markup
    vote: str
    facts: tuple[tuple[Markup, Markup], ...]
    changes: tuple[tuple[Markup, Markup], ...]


async def voter(request: Request) -> Response:
    """The voter whose id is the rest of the path, or `?voter=`."""
    view = request.app.state.view
    snapshot = view.snapshot
    words = words_of(language_of(request), snapshot)
    voter_id = request.path_params.get("wanted") or request.query_params.get("voter", "")
    found = voter_view(words, snapshot.election, await where_is(view, voter_id))
    if found is None:
        raise Rejected("not-found", "there is no such voter")
    return render(request, "chain_voter.html", voter=found, election=snapshot.election)


def voter_view(words: Words, election: Election, place: WhereVoteIs) -> VoterView | None:
    """None: there is no vote under this id, and it is on no roll that is known here."""
    voted = place.state != "unknown"
    name = words.name(place.voter_id)
    if not voted and not election.is_on_roll(place.voter_id):
        return None
    changes = [one for one in election.amendments if one.voter_id == place.voter_id]
    return VoterView(
        title=words.t("voter.title", voter=name),
        kind="final" if place.state == "final" else "open" if voted else "closed",
        state=words.t("voter.voted" if voted else "voter.not-voted"),
        why=words.t("voter.voted.why") if voted else words.t("chain.not-voted", voter=name),
        vote=vote_link(place.voter_id) if voted else "",
        facts=tuple(_facts(words, election, place.voter_id)),
        changes=tuple(
            (change_text(words, one), words.name(one.reason) if one.reason else Markup("")) for one in changes
        ),
    )


def _facts(words: Words, election: Election, voter_id: str) -> Iterator[tuple[Markup, Markup]]:
    """Whether the voter is on the roll, and with which key."""
    on_roll = words.t("voter.roll")
    if election.definition.registration == "open":
        yield on_roll, words.t("voter.roll.none")
        return
    key = (election.registered or election.given_keys).get(voter_id)
    if key is None:
        yield on_roll, words.t("voter.roll.away")
        return
    yield on_roll, words.t("voter.roll.yes")
    replaced = any(one.action == "replace-key" and one.voter_id == voter_id for one in election.amendments)
    yield words.t("voter.key"), words.t("voter.key.new" if replaced else "voter.key.works")
    yield words.t("voter.key.public"), Markup("<code>{}</code>").format(key)
    if election.definition.weighted and election.weights is not None:
        yield words.t("voter.weight"), Markup(words.number(election.weights[voter_id]))
