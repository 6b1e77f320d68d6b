"""Do the nodes agree?"""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from support.web_pages import html_of, shown, text_of
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
