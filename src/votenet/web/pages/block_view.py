"""What the explorer shows of a block and of a vote, in words; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from votenet.core.election.amendment import Amendment
from votenet.core.election.definition import Election
from votenet.core.election.quorum import faults_of
from votenet.core.ledger.extras import BlockRecord, ClosingList
from votenet.core.ledger.secret_vote import ballot_fingerprint
from votenet.core.ledger.vote import Vote
from votenet.core.log.merkle import root_from_path
from votenet.web.api.chain import BlockPage, BlockPath, BlockSummary, VotePage
from votenet.web.api.lookups import WhereVoteIs
from votenet.web.pages.links import voter_link
from votenet.web.pages.standing import change_text
from votenet.web.pages.tree_picture import path_steps, tree_picture
from votenet.web.words import NOTHING_TO_SAY, Words


@dataclass(frozen=True, slots=True)
class BlockItem:
    """A block in the list."""

    height: int
    content: Markup
    time: Markup
    final: bool


@dataclass(frozen=True, slots=True)
class HeaderField:
    """A field of a header, and in a sentence what it is for."""

    label: Markup
    value: Markup
    why: Markup


@dataclass(frozen=True, slots=True)
class VoteLine:
    id: str
    voter: Markup


@dataclass(frozen=True, slots=True)
class BlockView:
    """A block. `last`: none follows yet; `more`: place of the next votes of this one."""

    height: int
    last: bool
    content: Markup
    final: bool
    closes: bool
    votes: tuple[VoteLine, ...]
    more: int | None
    others: tuple[Markup, ...]
    fields: tuple[HeaderField, ...]


@dataclass(frozen=True, slots=True)
class VoteView:
    """A vote: its state, its choices by contest, its record, its path."""

    voter: Markup
    kind: str
    state: Markup
    why: Markup
    choices: tuple[tuple[Markup, tuple[Markup, ...]], ...]
    facts: tuple[tuple[Markup, Markup], ...]
    receipt: str
    picture: Markup = NOTHING_TO_SAY
    path_holds: bool = False
    steps: tuple[Markup, ...] = ()
    path_data: str = ""


def block_item(words: Words, block: BlockSummary) -> BlockItem:
    return BlockItem(
        height=block.height,
        content=_content(words, block.votes, block.records),
        time=words.date(block.time),
        final=block.final,
    )


def _content(words: Words, votes: int, records: int) -> Markup:
    text = words.t("block.votes", count=votes)
    return text + Markup(", ") + words.t("block.records", count=records) if records else text


def block_view(words: Words, election: Election, page: BlockPage) -> BlockView:
    more = page.first_vote + len(page.rows)
    return BlockView(
        height=page.height,
        last=page.next is None,
        content=_content(words, page.votes, len(page.records)),
        final=page.final,
        closes=any(isinstance(record, ClosingList) for record in page.records),
        votes=tuple(VoteLine(row.vote_id, words.name(row.voter_id)) for row in page.rows),
        more=more if more < page.votes else None,
        others=tuple(_record(words, election, record) for record in page.records),
        fields=tuple(_fields(words, page)),
    )


def _record(words: Words, election: Election, record: BlockRecord) -> Markup:
    if isinstance(record, Amendment):
        return words.t("block.amendment", change=change_text(words, record))
    if isinstance(record, ClosingList):
        (node,) = election.node_names([record.node])
        return words.t("block.closing-list", node=words.name(node), number=record.count)
    return words.t("block.not-counted", voter=words.name(record.vote.voter_id))


def _fields(words: Words, page: BlockPage) -> Iterator[HeaderField]:
    header = page.header
    previous = _code(header.previous)
    if page.height:
        previous = Markup('<a href="/chain/block/{}">{}</a>').format(page.height - 1, previous)
    values = {
        "hash": _code(page.hash),
        "previous": previous,
        "merkle_root": _code(header.merkle_root),
        "time": words.date(header.time),
        "bits": _code(f"{header.bits:08x}"),
        "nonce": Markup(words.number(header.nonce)),
        "version": Markup(words.number(header.version)),
    }
    for key, value in values.items():
        yield HeaderField(words.t(f"header.{key}"), value, words.t(f"header.{key}.why"))
    if page.miner_name is not None:
        yield HeaderField(words.t("header.miner"), words.name(page.miner_name), words.t("header.miner.why"))


def _code(text: str) -> Markup:
    return Markup("<code>{}</code>").format(text)


# -- votes -----------------------------------------------------------------------------------------


def vote_view(words: Words, election: Election, page: VotePage, *, choices_shown: bool) -> VoteView | None:
    """None: there is no vote.

    Args:
        choices_shown: false while the election shows no counts that open votes would give away.
    """
    place = page.standing
    if place.vote is None or place.vote_id is None:
        return None
    vote = msgspec.json.decode(place.vote, type=Vote)
    key = "in-block.unnamed" if place.state == "in-block" and not election.named else place.state
    # With one to three named nodes none of them may lie.
    few = ".few" if place.state == "final" and faults_of(election.named) == 0 else ""
    signed = len(place.signed_by)
    query = urlencode({"voter": vote.voter_id})
    proven = place.state == "final" or (place.state == "in-block" and not election.named)
    view = VoteView(
        voter=words.name(vote.voter_id),
        kind={"final": "final", "received": "closed"}.get(place.state, "open"),
        state=words.t(f"chain.vote.state.{key}", height=place.height, signed=signed, named=election.named),
        why=words.t(f"chain.vote.state.{key}.why{few}", height=place.height),
        choices=tuple(_choices(words, election, vote)) if choices_shown else (),
        facts=tuple(_facts(words, vote, place.vote_id, place.height)),
        receipt=f"/api/v1/receipt?{query}" if proven else "",
    )
    if page.in_block is None:
        return view
    view = _with_path(words, view, page.standing, page.in_block)
    return view if choices_shown else replace(view, path_data="")  # the record has the choices


def _choices(words: Words, election: Election, vote: Vote) -> Iterator[tuple[Markup, tuple[Markup, ...]]]:
    for contest, chosen in zip(election.contests, vote.choices, strict=False):
        yield words.name(contest.definition.title), tuple(words.name(one) for one in chosen)


def _facts(words: Words, vote: Vote, vote_id: str, height: int | None) -> Iterator[tuple[Markup, Markup]]:
    voter = Markup('<a href="{}">{}</a>').format(voter_link(vote.voter_id), words.name(vote.voter_id))
    yield words.t("chain.vote.voter"), voter
    yield words.t("chain.vote.id"), _code(vote_id)
    if vote.ballot:
        yield words.t("chain.vote.fingerprint"), _code(ballot_fingerprint(vote))
    yield words.t("chain.vote.key"), _code(vote.voter_key)
    yield words.t("chain.vote.time"), words.date(vote.time)
    if height is not None:
        link = Markup('<a href="/chain/block/{}">{}</a>').format(height, words.number(height))
        yield words.t("chain.vote.block"), link


def _with_path(words: Words, view: VoteView, place: WhereVoteIs, found: BlockPath) -> VoteView:
    leaf = bytes.fromhex(place.vote_id or "")
    path = [bytes.fromhex(one) for one in found.path]
    root = bytes.fromhex(found.merkle_root)
    steps = path_steps(leaf, found.position, found.size, path)
    return replace(
        view,
        picture=tree_picture(words, leaf, steps),
        path_holds=root_from_path(leaf, found.position, found.size, path) == root,
        steps=tuple(
            words.t("tree.left" if step.sibling_is_left else "tree.right", hash=step.sibling.hex())
            for step in steps
        ),
        path_data=_for_the_browser(place, found),
    )


def _for_the_browser(place: WhereVoteIs, found: BlockPath) -> str:
    """What `check.js` checks again on the reader's device."""
    data = {
        "record": bytes(place.vote or b"").decode(),
        "vote_id": place.vote_id,
        "position": found.position,
        "size": found.size,
        "path": found.path,
        "merkle_root": found.merkle_root,
        "header": found.header,
        "block": place.block,
    }
    return msgspec.json.encode(data).decode()
