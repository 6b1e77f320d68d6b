"""A sentence for every code that the program has."""

from __future__ import annotations

import re

from support.web_pages import html_of, secret_snapshot, shown, text_of
from votenet.core.faults import FAULTS
from votenet.errors import REFUSALS
from votenet.protocol.wire.client_messages import WARNINGS
from votenet.web.pages.help import code_groups
from votenet.web.refusals import STATUS
from votenet.web.words import Words


def test_every_code_has_one_sentence_and_one_anchor() -> None:
    codes = [one.code for group in code_groups(Words("en")) for one in group.codes]
    assert len(codes) == len(set(codes))
    assert set(codes) >= {*REFUSALS, *FAULTS, *WARNINGS}
    _, html = html_of("/help", None)
    anchors = re.findall(r' id="([^"]+)"', html)
    assert len(anchors) == len(set(anchors))
    assert set(anchors) >= set(codes)


def test_voters_read_their_codes_in_their_language() -> None:
    english, indonesian = (code_groups(Words(language))[0].codes for language in ("en", "id"))
    met = {
        "already-voted",
        "bad-code",
        "closed",
        "not-open",
        "not-on-roll",
        "too-many",
        "unreachable",
        "cancelled",
    }
    assert met <= {one.code for one in english}
    assert not any(one.english for one in indonesian)
    assert not {one.text for one in english} & {one.text for one in indonesian}


def test_codes_of_the_server_itself_are_explained() -> None:
    codes = {one.code for group in code_groups(Words("en")) for one in group.codes}
    assert codes >= STATUS.keys()


def test_the_rest_says_that_it_is_english() -> None:
    _, html = html_of("/help", shown("open"), "id")
    assert '<div id="bad-merkle-root"><dt><code>bad-merkle-root</code></dt><dd lang="en">' in html


def test_secret_ballots_have_an_answer_of_their_own() -> None:
    public, secret = (text_of(html_of("/help", one)[1]) for one in (shown("open"), secret_snapshot()))
    assert "Is my vote secret? No." in public
    assert "Is my vote secret? It is encrypted, with limits." in secret
    assert "Cast my vote" in public
    assert "Cast my vote" in secret
