"""The search for the nonce of an own proposal: what it takes in, when it is made anew, what ends it."""

from __future__ import annotations

from support.elections import make_votes
from support.named_network import NamedNetwork, named
from votenet.pow import bits_to_target
from votenet.pow import search as search_nonce
from votenet.protocol.node.events import Mined
from votenet.protocol.node.mining import template_seconds
from votenet.protocol.node.proposal_search import FIRST_SEARCH, ProposalSearch

NEVER_FOUND = 1e9


def searching() -> tuple[NamedNetwork, ProposalSearch]:
    """A node alone, with a search under way for one vote that no nonce ends."""
    net = NamedNetwork(1)
    net.search_seconds = lambda template: NEVER_FOUND  # type: ignore[method-assign]
    net.cast(make_votes(net.election, 1), named(0))
    finality = net.core(named(0)).finality
    assert finality is not None
    assert net.run_until(lambda: finality.template is not None, 5.0)
    return net, finality.search


def test_votes_that_come_during_a_search_join_the_block() -> None:
    net, search = searching()
    began = net.now
    net.cast(make_votes(net.election, 5, first=10), named(0))
    assert net.run_until(lambda: search.template is not None and len(search.template.votes) == 6, 5.0)
    assert net.now >= began + template_seconds(1) - 0.01


def test_without_new_votes_the_template_stays() -> None:
    net, search = searching()
    template = search.template
    net.run(5.0)
    assert search.template is template


def test_a_nonce_of_the_template_before_counts() -> None:
    net, search = searching()
    core, before = net.core(named(0)), search.template
    assert before is not None
    net.cast(make_votes(net.election, 5, first=10), named(0))
    assert net.run_until(lambda: search.template is not before, 5.0)
    header = before.header
    nonce = search_nonce(header.pack(), bits_to_target(header.bits), 0, 1000)
    net.nodes[named(0)].post(Mined(before.id, nonce))
    assert net.run_until(lambda: core.state.chain.tally.votes == 1, 5.0)
    assert net.run_until(lambda: search.template is not None and len(search.template.votes) == 5, 5.0)


def test_a_nonce_of_an_older_search_is_in_vain() -> None:
    net, search = searching()
    assert search.template is not None
    assert search.take(Mined(search.template.id - 1, 0), net.now) is None
    assert search.template is not None


def test_without_a_nonce_the_next_second_is_searched() -> None:
    net, search = searching()
    before = search.template
    assert before is not None
    assert search.take(Mined(before.id, None), net.now) is None
    assert search.template is not None
    assert search.template.header.time > before.header.time
    assert search.take(Mined(before.id, None), net.now) is None, "that template is over already"


def test_a_nonce_ends_the_search_and_moves_the_mean_time_of_searches() -> None:
    net, search = searching()
    assert search.template is not None
    template, first = search.template, search.round
    net.run(10.0)
    found = search.take(Mined(template.id, 7), net.now)
    assert found is not None
    assert (found.round, found.header.nonce, found.content.votes) == (first, 7, template.votes)
    assert search.template is None
    assert search.mean_seconds > FIRST_SEARCH


def test_a_search_that_is_stopped_finds_nothing() -> None:
    net, search = searching()
    assert search.template is not None
    event = Mined(search.template.id, 0)
    search.stop()
    assert search.take(event, net.now) is None
    assert net.core(named(0)).state.ready.template is None
