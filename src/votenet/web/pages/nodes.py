"""`/nodes`: each node, how far it is, whether they agree, what is wrong; nothing can be changed here."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from votenet.web.frame import words_of
from votenet.web.language import language_of
from votenet.web.pages import standing
from votenet.web.pages.lie_words import lie_in_words
from votenet.web.snapshot import NodeView, Snapshot
from votenet.web.templates import render
from votenet.web.words import Words


class Trouble(NamedTuple):
    """What is wrong at a node, or what it did; `english`: in English on a page in another language."""

    text: Markup
    english: bool


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node in words; `signs` and `unproven` as in `NodeView`."""

    name: Markup
    address: Markup
    up: bool
    signs: bool
    unproven: bool
    height: str
    final_height: str
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether the nodes agree; `kind` is good, wait or bad."""

    kind: str
    title: Markup
    text: Markup


async def nodes(request: Request) -> Response:
    view = request.app.state.view
    snapshot = view.snapshot
    words = words_of(language_of(request), snapshot)
    return render(
        request,
        "nodes.html",
        live=True,
        agreement=agreement(words, snapshot),
        lies=[lie_text(words, lie) for lie in lies(snapshot.nodes)],
        rows=[node_row(words, node) for node in snapshot.nodes],
        signed=standing.signatures(words, snapshot),
    )


def agreement(words: Words, snapshot: Snapshot) -> Agreement:
    """One sentence: do the nodes that answer have the same votes?

    Where the election names nodes, strangers are left out: a liar that is listed must not raise an alarm.
    """
    up = [node for node in snapshot.nodes if node.up]
    counted = [node for node in snapshot.nodes if node.signs or node.given or not snapshot.named]
    judged = [node for node in counted if node.up]
    strangers = len(up) - len(judged)
    left_out = [words.t("agree.strangers", count=strangers)] if strangers else []
    if lies(snapshot.nodes):
        return Agreement("bad", words.t("agree.lies"), words.t("agree.lies.why"))
    if not judged:
        title = words.t("agree.none.signs" if up else "agree.none")
        return Agreement("bad", title, _text([words.t("agree.none.why"), *left_out]))
    top = max(node.height for node in judged)
    if len({node.tip for node in judged if node.height == top}) > 1:
        why = words.t("agree.split.why", height=top)
        return Agreement("bad", words.t("agree.split"), _text([why, *left_out]))
    level, away = sum(node.height == top for node in judged), len(counted) - len(judged)
    missing = [words.t("agree.away", count=away)] if away else []
    if level < len(judged):
        title = words.t("agree.behind", level=level, count=len(judged), height=top)
        return Agreement("wait", title, _text([words.t("agree.behind.why"), *missing, *left_out]))
    title = words.t("agree.level", count=level, height=top)
    few = snapshot.named > 0 and sum(node.signs for node in judged) < snapshot.election.quorum
    text = _text([*(missing or [words.t("agree.level.why")]), *left_out])
    return Agreement("wait" if away or few else "good", title, text)


def _text(sentences: Sequence[Markup]) -> Markup:
    return Markup(" ").join(sentences)


def lies(found: Sequence[NodeView]) -> list[str]:
    """What named nodes are proven to have done, each once."""
    return list(dict.fromkeys(lie for node in found for lie in node.lies))


def lie_text(words: Words, lie: str) -> Trouble:
    """A lie in the language of the page; as the nodes say it in English, and where it is not known here."""
    said = None if words.lang == "en" else lie_in_words(words, lie)
    if said is None:
        return Trouble(words.name(lie), english=words.lang != "en")
    return Trouble(said, english=False)


def node_row(words: Words, node: NodeView) -> NodeRow:
    return NodeRow(
        name=words.name(node.name) if node.name else words.t("nodes.no-name"),
        address=words.name(node.address),
        up=node.up,
        signs=node.signs,
        unproven=node.unproven,
        height=words.number(node.height) if node.up else "–",
        final_height=words.number(node.final_height) if node.up and node.final_height is not None else "–",
        troubles=tuple(_troubles(words, node)),
    )


def _troubles(words: Words, node: NodeView) -> Iterator[Trouble]:
    """In English the sentences of the nodes, which say more; else those of the catalogue for their codes."""
    found = [(f"problem.{node.code}", node.problem)] if node.problem else []
    codes = itertools.zip_longest(node.warning_codes, node.warnings, fillvalue="")
    for key, message in (*found, *((f"warning.{code}", message) for code, message in codes)):
        if words.lang != "en" and words.has(key):
            yield Trouble(words.t(key), english=False)
        else:
            yield Trouble(words.name(message), english=words.lang != "en")
