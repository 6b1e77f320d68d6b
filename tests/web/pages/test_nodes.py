"""Do the nodes agree?"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from support.elections import make_election, named_nodes
from support.page import PATIENT, until
from support.posed_nodes import PosedNode, posed
from support.web_pages import html_of, results_of, shown, text_of
from votenet.protocol.wire.address import Address
from votenet.web import found_nodes
from votenet.web.live_view import LiveView
from votenet.web.pages.nodes import agreement
from votenet.web.snapshot import NodeView, Snapshot
from votenet.web.words import Words

EN = Words("en")


def with_nodes(*changes: dict[str, object]) -> Snapshot:
    """The open election; each change is of one node."""
    snapshot = shown("open")
    nodes = list(snapshot.nodes)
    for place, change in enumerate(changes):
        nodes[place] = msgspec.structs.replace(nodes[place], **change)
    return replace(snapshot, nodes=tuple(nodes))


DOWN = {"up": False, "problem": "it refuses connections", "code": "unreachable"}


@pytest.mark.parametrize(
    ("changes", "kind", "title"),
    [
        ((), "good", "All 5 nodes that answer are at block 10"),
        ((DOWN,), "wait", "All 4 nodes that answer are at block 10"),
        ((DOWN, DOWN), "wait", "All 3 nodes that answer are at block 10"),
        ((DOWN,) * 5, "bad", "No node answers"),
        (({"height": 8},), "wait", "4 of 5 nodes are at block 10"),
        (({"tip": "ff" * 32},), "bad", "Nodes disagree"),
        (({"lies": ("Node 3 proposed two blocks",)},), "bad", "A node has lied, and there is proof"),
    ],
)
def test_agreement(changes: tuple[dict[str, object], ...], kind: str, title: str) -> None:
    found = agreement(EN, with_nodes(*changes))
    assert (found.kind, found.title) == (kind, title)


STRANGER = NodeView("203.0.113.9:9000", "Node 9", up=True, height=9, unproven=True)


def and_strangers(snapshot: Snapshot, *strangers: NodeView) -> Snapshot:
    return replace(snapshot, nodes=(*snapshot.nodes, *strangers))


@pytest.mark.parametrize("lie", [{"height": 10, "tip": "ff" * 32}, {"height": 10**9}, {"height": 0}])
def test_a_stranger_cannot_make_it_look_as_if_nodes_that_sign_disagree(lie: dict[str, object]) -> None:
    found = agreement(EN, and_strangers(shown("open"), msgspec.structs.replace(STRANGER, **lie)))
    assert (found.kind, found.title) == ("good", "All 5 nodes that answer are at block 10")
    assert found.text.startswith("They have the same votes. 1 other node answers.")


def test_strangers_that_do_not_answer_are_not_counted() -> None:
    gone = msgspec.structs.replace(STRANGER, **DOWN)
    found = agreement(EN, and_strangers(shown("open"), *[gone] * 60))
    assert (found.kind, found.title) == ("good", "All 5 nodes that answer are at block 10")
    given = msgspec.structs.replace(gone, given=True)
    found = agreement(EN, and_strangers(shown("open"), given))
    assert (found.kind, "does not answer" in found.text) == ("wait", True), found.text


def test_strangers_do_not_make_up_for_nodes_that_sign_and_are_away() -> None:
    level = msgspec.structs.replace(shown("open").nodes[0], signs=False)
    kept = replace(shown("open"), nodes=shown("open").nodes[:3])
    found = agreement(EN, and_strangers(kept, *[level] * 4))
    assert (found.kind, found.title) == ("wait", "All 3 nodes that answer are at block 10")
    found = agreement(EN, and_strangers(with_nodes(*(DOWN,) * 5), *[level] * 4))
    assert (found.kind, found.title) == ("bad", "No node that signs answers")


def test_a_given_node_is_compared_and_does_not_count_as_one_that_signs() -> None:
    given = {"signs": False, "given": True}
    found = agreement(EN, with_nodes({**given, "tip": "ff" * 32}))
    assert (found.kind, found.title) == ("bad", "Nodes disagree")
    found = agreement(EN, with_nodes(given, given))
    assert (found.kind, found.title) == ("wait", "All 5 nodes that answer are at block 10")


def test_where_no_nodes_are_named_all_are_compared() -> None:
    unnamed = make_election()
    nodes = (STRANGER, msgspec.structs.replace(STRANGER, tip="ff" * 32))
    snapshot = Snapshot(unnamed, "open", results_of(unnamed), nodes, unnamed.definition.created)
    assert agreement(EN, snapshot).title == "Nodes disagree"


def test_a_node_is_given_only_where_the_page_was_started_with_its_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    election = make_election(nodes=named_nodes(4))
    relay, found = PosedNode(election), PosedNode(election)

    async def listed(*_: object) -> list[Address]:
        return [found.address]

    async def look() -> list[bool]:
        servers = [Address("127.0.0.1", 1)]
        async with LiveView([relay.address], bootstrap=servers, **PATIENT) as view:
            await until(lambda: [node.up for node in view.nodes] == [True, True])
            return [node.given for node in view.nodes]

    monkeypatch.setattr(found_nodes, "nodes_at_bootstrap", listed)
    with posed(relay, found):
        assert asyncio.run(look()) == [True, False]


def test_faults_are_told_in_the_language_of_the_page_and_what_it_does_not_know_as_the_nodes_say_it() -> None:
    slow = {"warnings": ("its clock differs by 9 s",), "warning_codes": ("clock-off",)}
    new = {"warnings": ("something <new>",), "warning_codes": ("not-known-here",)}
    snapshot = with_nodes(DOWN, slow, new, {"lies": ("Node 3 <lied>",)})
    for lang, said in (
        ("en", ("it refuses connections", "its clock differs by 9 s", "does not answer")),
        ("id", ("tidak dapat dihubungi", "Jam simpul ini berbeda dari", "tidak menjawab")),
    ):
        _, html = html_of("/nodes", snapshot, lang)
        for words in (*said, "something <new>", "Node 3 <lied>"):
            assert words in text_of(html)
        assert html.count('<li lang="en">') == (lang == "id")
        assert html.count('class="small" lang="en"') == (lang == "id")


def test_a_lie_is_told_in_the_language_of_the_page() -> None:
    lie = "Node 3 (Node 3) signed two different closing lists for one closing time."
    snapshot = with_nodes({"lies": (lie,)}, {"lies": (lie,)})
    said = "Simpul 3 (Node 3) menandatangani dua daftar penutupan yang berbeda untuk satu waktu penutupan."
    for lang, expected in (("en", lie), ("id", said)):
        _, html = html_of("/nodes", snapshot, lang)
        assert text_of(html).replace("( ", "(").replace(" )", ")").count(expected) == 1
        assert '<li lang="en">' not in html


@pytest.mark.parametrize(
    ("lang", "signs", "unproven"),
    [("en", "signs", "says it signs, not proven"), ("id", "menandatangani", "mengaku menandatangani")],
)
def test_a_node_that_has_not_proved_its_key_is_not_shown_as_one_that_signs(
    lang: str, signs: str, unproven: str
) -> None:
    lying = {"signs": False, "unproven": True}
    html = html_of("/nodes", with_nodes({}, {}, lying, lying, {"signs": False}), lang)[1]
    assert html.count(f'<span class="mark">{signs}</span>') == 2
    assert html.count(f'<span class="mark mark-wait">{unproven}') == 2


def test_a_node_that_was_never_seen_has_no_name() -> None:
    snapshot = replace(shown("open"), nodes=(NodeView("127.0.0.1:1"),))
    assert "not known yet" in text_of(html_of("/nodes", snapshot)[1])
