"""Every block and every vote, and one field to find them."""

from __future__ import annotations

import pytest

from support.web_pages import FixedReader, club_evening_read, html_of, shown, text_of
from votenet.web.api import chain
from votenet.web.api.chain import Found
from votenet.web.pages.explorer import links_to
from votenet.web.words import Words

FINAL = shown("final")


@pytest.fixture(autouse=True)
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "reader_of", lambda view: FixedReader(view.snapshot.results.over))


def test_the_list_has_the_newest_block_first_and_says_what_is_final() -> None:
    text = text_of(html_of("/chain", FINAL)[1])
    assert "Votes: 35. Blocks: 12. Final up to block 12." in text
    assert text.index("Block 12") < text.index("Block 1 ")
    text = text_of(html_of("/chain", shown("closed"))[1])
    assert "not final yet" in text


def test_the_list_goes_on() -> None:
    _, html = html_of("/chain?from=3", FINAL)
    assert "Block 4" not in text_of(html)
    assert 'href="/chain?from=12" rel="prev"' in html
    assert html_of("/chain?from=nonsense", FINAL)[0] == 200


@pytest.mark.parametrize("which", ["by height", "by hash"])
def test_a_block_explains_its_header(which: str) -> None:
    _, blocks = club_evening_read(True)
    name = "2" if which == "by height" else blocks[1].header.hash.hex()
    text = text_of(html_of(f"/chain/block/{name}", FINAL)[1])
    for words in ("Block 2", "4 votes", "Merkle root", blocks[1].header.hash.hex(), "Nonce", "0001"):
        assert words in text


def test_blocks_without_votes() -> None:
    assert "This is the first block." in text_of(html_of("/chain/block/0", FINAL)[1])
    text = text_of(html_of("/chain/block/1", FINAL)[1])
    assert "A change of the election: 0041 was added to the roll with weight 2." in text
    closing = text_of(html_of("/chain/block/11", FINAL)[1])
    assert "This block ends the voting." in closing
    assert "The closing list of node 0" in closing
    assert "that is not counted" in text_of(html_of("/chain/block/12", FINAL)[1])


def test_a_vote_with_its_path() -> None:
    _, blocks = club_evening_read(True)
    vote = blocks[1].votes[2]
    for wanted in (vote.voter_id, vote.id.hex()):
        status, html = html_of(f"/chain/vote/{wanted}", FINAL)
        text = text_of(html)
        assert status == 200
        for words in (
            f"The vote of {vote.voter_id}",
            "Final, signed by",
            vote.id.hex(),
            "Checked: the path leads",
        ):
            assert words in text
        for name in (name for choices in vote.vote.choices for name in choices):
            assert name in text
        assert f'href="/api/v1/receipt?voter={vote.voter_id}"' in html


def test_choices_are_not_shown_before_closing_where_counts_are_not() -> None:
    html = html_of("/chain/vote/0003", shown("hidden"))[1]
    text = text_of(html)
    assert "only after closing" in text
    assert "What was chosen" not in text
    assert ("data-path" in html, "Checked: the path leads" in text) == (False, True), "the record has choices"
    assert "data-path" in html_of("/chain/vote/0003", FINAL)[1]


@pytest.mark.parametrize(
    "path", ["/chain/block/99", "/chain/block/abc", "/chain/vote/nobody", f"/chain/vote/{'0' * 64}"]
)
def test_what_is_not_there(path: str) -> None:
    status, html = html_of(path, FINAL)
    assert status == 404
    assert "There is nothing under this address" in text_of(html)


def test_a_search_leads_to_what_it_finds() -> None:
    words, some_hash = Words("en"), "ab" * 32
    assert links_to(words, Found("vote", 2, some_hash, some_hash, "Ann/1")) == [
        ("/chain/vote/Ann%2F1", "The vote of <bdi>Ann/1</bdi>")
    ]
    both = links_to(words, Found("block", 4, some_hash, some_hash, "4"))
    assert [href for href, _ in both] == ["/chain/vote/4", "/chain/block/4"]
    assert links_to(words, Found("voter", voter_id="a b")) == [("/chain/voter/a%20b", "Voter <bdi>a b</bdi>")]


def test_the_vote_of_a_voter_is_found_by_the_query_too() -> None:
    vote = club_evening_read(True)[1][1].votes[2]
    status, html = html_of(f"/chain/vote?voter={vote.voter_id}", FINAL)
    assert (status, vote.id.hex() in html) == (200, True)
    assert html_of("/chain/vote", FINAL)[0] == 400


def test_searches() -> None:
    status, _ = html_of("/chain?q=0003", FINAL)
    assert status == 200  # a block and a voter have this number
    status, _ = html_of(f"/chain?q={club_evening_read(True)[1][1].votes[0].id.hex()}", FINAL)
    assert status == 303
    text = text_of(html_of("/chain?q=%3Cb%3Enobody", FINAL)[1])
    assert "Nothing was found for <b>nobody" in text
    assert html_of("/chain?q=0036", FINAL)[0] == 303  # the page of a voter
