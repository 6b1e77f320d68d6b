"""Votes of tests of the page: handed to a node past the page, and followed until they are final."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from votenet.client.answers import submit_votes
from votenet.core.ledger.vote import HashedVote
from votenet.web.api.lookups import where_is
from votenet.web.live_view import LiveView


async def are_final(view: LiveView, *voters: str) -> None:
    """Wait until the votes of these voters are final, and the view knows it."""
    view.asked()
    for voter in voters:
        while (found := await where_is(view, voter)).state != "final":  # noqa: ASYNC110  the node tells nobody
            await asyncio.sleep(0.02)
        assert found.height is not None
        while (snapshot := view.snapshot).final_height is None or snapshot.final_height < found.height:
            await view.changed(snapshot)


async def cast_at_node(view: LiveView, votes: Sequence[HashedVote]) -> None:
    """Hand votes to a node, and wait until they are final."""
    taken = await view.ask(lambda node: submit_votes(node, view.snapshot.election, votes))
    assert [one.refusal for one in taken] == [None] * len(votes)
    await are_final(view, *(vote.voter_id for vote in votes[-1:]))
