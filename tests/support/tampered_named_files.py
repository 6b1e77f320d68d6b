"""The corpus of tampered archives of an election with named nodes: name to (code of both verifiers, bytes).

Where a fault would hide behind another one the forger has signed and mined everything after it again.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

from support.elections import CREATED, key_of
from support.named_files import (
    CLOSES,
    Ballots,
    Batch,
    Corpus,
    Json,
    NamedFile,
    Story,
    closing_of,
    named_definition,
    record_id,
    whole_story,
)
from support.tampered_definitions import tampered_definitions
from votenet.core.encoding import canonical

# -- blocks ------------------------------------------------------------------------------------------


def one_block(*, votes: Any = None, **block: Any) -> bytes:
    """An archive with one block of one vote, or of what `votes` makes of the file, mined as told."""
    file = NamedFile()
    file.block(Batch([file.vote("voter 1")] if votes is None else votes(file)), **block)
    return file.pack()


def edited(change: Callable[[list[Json]], object]) -> bytes:
    """The whole archive with a change to its blocks; nothing is signed or mined again."""
    head, definition, *blocks, last = [json.loads(line) for line in whole_story().file.pack().splitlines()]
    change(blocks)
    return b"".join(canonical(line) + b"\n" for line in (head, definition, *blocks, last))


def swapped_miners(blocks: list[Json]) -> None:
    blocks[0]["miner"], blocks[1]["miner"] = blocks[1]["miner"], blocks[0]["miner"]


def unnamed(change: Callable[[NamedFile], object]) -> bytes:
    """An archive of an election without named nodes, with one step of the caller."""
    file = NamedFile(named_definition(0, closes=None))
    change(file)
    return file.pack()


def _miner_faults() -> Corpus:
    return {
        "miner-missing": ("bad-miner", one_block(miner=lambda _: None)),
        "miner-not-named": ("bad-miner", one_block(miner=lambda m: m | {"node": 5})),
        "miner-is-another-node": ("bad-miner", one_block(miner=lambda m: m | {"node": 1})),
        "miner-signed-by-another-node": ("bad-miner", one_block(signer=2)),
        "miner-signed-another-height": ("bad-miner", one_block(height=2)),
        "miners-of-two-blocks-swapped": ("bad-miner", edited(swapped_miners)),
        "miner-where-no-node-is-named": (
            "bad-miner",
            unnamed(lambda file: file.block(Batch([file.vote("voter 1")]))),
        ),
        "miner-with-a-negative-node": ("bad-record", one_block(miner=lambda m: m | {"node": -1})),
        "miner-with-a-cut-signature": (
            "bad-record",
            one_block(miner=lambda m: m | {"signature": m["signature"][2:]}),
        ),
        "miner-signature-in-capitals": (
            "bad-record",
            one_block(miner=lambda m: m | {"signature": m["signature"].upper()}),
        ),
        "miner-left-out": ("bad-record", edited(lambda blocks: blocks[0].pop("miner"))),
    }


def _time_going_back() -> bytes:
    file = NamedFile()
    file.block(Batch([file.vote("voter 1")]), time=CREATED + 60)
    file.block(Batch([file.vote("voter 2")]), time=CREATED + 59)
    return file.pack()


def _header_faults() -> Corpus:
    return {
        "header-of-version-1": ("bad-version", one_block(version=1)),
        "header-before-the-block-before": ("bad-time", _time_going_back()),
        "header-harder-than-the-definition": ("bad-bits", one_block(bits=0x207FFFF0 - 1)),
        "header-before-the-opening": ("not-open", one_block(time=CREATED)),
    }


def _vote_shapes() -> Corpus:
    def with_choices(choices: object) -> bytes:
        return one_block(votes=lambda file: [file.vote("voter 1", choices=choices)])

    old = {"choices": ["Alice"]}
    return {
        "vote-of-version-1": ("bad-record", one_block(votes=lambda file: [file.vote("v", **old)])),
        "vote-for-no-contest": ("bad-choices", with_choices([])),
        "vote-for-two-contests": ("bad-choices", with_choices([["Alice"], ["Alice"]])),
        "vote-without-a-choice": ("bad-choices", with_choices([[]])),
        "vote-with-65-choices": ("bad-record", with_choices([["Alice"] * 65])),
        "vote-with-a-ballot": ("bad-vote", one_block(votes=lambda file: [file.vote("v", ballot="x")])),
        "vote-with-an-empty-ballot": (
            "not-canonical",
            one_block(votes=lambda file: [file.vote("v", ballot="")]),
        ),
        "vote-signed-for-version-1": (
            "bad-signature",
            one_block(votes=lambda file: [_signed_for_version_1(file)]),
        ),
    }


def _signed_for_version_1(file: NamedFile) -> Json:
    vote = file.vote("voter 1")
    unsigned = {name: value for name, value in vote.items() if name != "signature"}
    return {**vote, "signature": key_of("voter 1").sign(b"votenet/vote/1\n" + canonical(unsigned)).hex()}


# -- the closing -------------------------------------------------------------------------------------


def closed_with(lists: Callable[[Story], list[Json]], **closing: Any) -> bytes:
    """The archive up to a closing block with these lists."""
    story = Story().vote()
    return story.close(lists(story), **closing).file.pack()


def first_list(**members: Any) -> bytes:
    """A closing block whose first list is another one."""
    return closed_with(lambda story: story.lists(**members))


def closing_with(change: Callable[[bytearray, list[bytes]], object]) -> bytes:
    """A closing block after a change to its bits (a byte an id here) and ids."""
    story = Story().vote()
    right = closing_of(story.ballots.held())
    raw, bits = b64decode(right["ids"]), bytearray(b64decode(right["bits"]))
    ids = [raw[start : start + 32] for start in range(0, len(raw), 32)]
    change(bits, ids)
    written = {"bits": b64encode(bits).decode(), "ids": b64encode(b"".join(ids)).decode()}
    return story.close(**written).file.pack()


def closing_block(batch: Callable[[Story], Batch]) -> bytes:
    """The archive up to a block that is what the caller makes of the story."""
    story = Story().vote()
    story.file.block(batch(story), time=CLOSES + 40)
    return story.file.pack()


def _unused_bits(text: str) -> str:
    """The same bytes in base64 with a bit set that no byte has."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stem = text.rstrip("=")
    return stem[:-1] + alphabet[alphabet.index(stem[-1]) + 1] + "=" * (len(text) - len(stem))


def _list_faults() -> Corpus:
    foreign = NamedFile(named_definition(title="Another")).network_hex
    return {
        "lists-too-few": ("bad-closing", closed_with(lambda story: story.lists()[:3])),
        "lists-of-one-node-twice": ("bad-closing", closed_with(lambda story: story.lists((0, 1, 2, 2)))),
        "list-of-no-named-node": ("bad-closing", closed_with(lambda story: story.lists((0, 1, 2, 5)))),
        "list-signed-by-another-node": ("bad-closing", first_list(signer=3)),
        "list-of-another-closing-time": ("bad-closing", first_list(closes=CLOSES + 1)),
        "list-of-another-network": ("bad-closing", first_list(network_id=foreign)),
        "list-from-a-later-block": ("bad-closing", first_list(height=5)),
        "list-with-another-count": ("bad-closing", first_list(count=99)),
        "list-with-another-root": ("bad-closing", first_list(root="ab" * 32)),
        "list-root-in-capitals": ("bad-record", first_list(root="AB" * 32)),
        "list-with-an-unknown-member": (
            "bad-record",
            closed_with(lambda story: [{**story.lists()[0], "note": 1}, *story.lists()[1:]]),
        ),
        "list-of-an-unknown-kind": (
            "bad-record",
            closed_with(lambda story: [{**story.lists()[0], "kind": "wish"}, *story.lists()[1:]]),
        ),
        "lists-out-of-order": ("bad-order", _lists_out_of_order()),
        "list-twice": ("bad-order", closed_with(lambda story: [*story.lists(), story.lists()[0]])),
        "list-left-out-of-the-root": (
            "bad-merkle-root",
            edited(lambda blocks: blocks[3]["records"].pop()),
        ),
    }


def _lists_out_of_order() -> bytes:
    story = Story().vote()
    lists = sorted(story.lists(), key=record_id, reverse=True)
    batch = Batch((), lists, closing_of(story.ballots.held()))
    story.file.block(batch, time=CLOSES + 40, ordered=False)
    return story.file.pack()


def _closing_faults() -> Corpus:
    def bad(change: Callable[[bytearray, list[bytes]], object]) -> tuple[str, bytes]:
        return "bad-closing", closing_with(change)

    right = closing_of(whole_story().ballots.held())
    return {
        "closing-with-a-vote": (
            "bad-closing",
            closing_block(lambda s: Batch([s.file.vote("x")], s.lists(), closing_of(s.ballots.held()))),
        ),
        "closing-with-a-not-counted-vote": (
            "bad-closing",
            closing_block(
                lambda s: Batch(
                    (),
                    [*s.lists(), {"kind": "not-counted", "vote": s.ballots.late[0]}],
                    closing_of(s.ballots.held()),
                )
            ),
        ),
        "closing-without-ids": ("bad-closing", closing_block(lambda s: Batch((), s.lists()))),
        "closing-without-lists": (
            "bad-closing",
            closing_block(lambda s: Batch((), (), closing_of(s.ballots.held()))),
        ),
        "closing-twice": ("bad-closing", Story().vote().close().close().file.pack()),
        "closing-where-it-never-closes": (
            "bad-closing",
            Story(named_definition(closes=None)).vote().close(_never_closing()).file.pack(),
        ),
        "closing-where-no-node-is-named": (
            "bad-closing",
            unnamed(lambda file: file.block(Batch((), (), right), miner=lambda _: None)),
        ),
        "bit-moved-to-another-list": bad(lambda bits, ids: bits.__setitem__(0, bits[0] ^ 0b0110)),
        "bit-without-a-list": bad(lambda bits, ids: bits.__setitem__(0, bits[0] | 0b10000)),
        "id-without-a-bit": bad(lambda bits, ids: (bits.append(0), ids.append(b"\xff" * 32))),
        "id-added": bad(lambda bits, ids: (bits.append(3), ids.append(b"\xff" * 32))),
        "id-left-out": bad(lambda bits, ids: (bits.pop(), ids.pop())),
        "ids-not-ascending": bad(lambda bits, ids: (bits.reverse(), ids.reverse())),
        "id-twice": bad(lambda bits, ids: (bits.insert(0, bits[0]), ids.insert(0, ids[0]))),
        "id-cut": bad(lambda bits, ids: ids.append(ids.pop()[:-1])),
        "bits-of-an-id-missing": bad(lambda bits, ids: bits.pop()),
        "ids-not-in-base64": (
            "bad-closing",
            closed_with(Story.lists, ids="*" + right["ids"][1:]),
        ),
        "bits-in-other-base64": ("bad-closing", closed_with(Story.lists, bits=_unused_bits(right["bits"]))),
        "ids-with-a-newline": ("bad-closing", closed_with(Story.lists, ids=right["ids"] + "\n")),
        "closing-with-an-unknown-member": (
            "bad-record",
            edited(lambda blocks: blocks[3]["closing"].update(note="")),
        ),
        "closing-beside-a-block-of-votes": (
            "bad-closing",
            edited(lambda blocks: blocks[0].update(closing=right)),
        ),
        "closing-left-out": ("bad-closing", edited(lambda blocks: blocks[3].update(closing=None))),
    }


def _never_closing() -> list[Json]:
    """Lists as of an election that closes, for one that does not."""
    story = Story(named_definition(closes=None)).vote()
    held = story.ballots.held()
    return [
        story.file.closing_list(node, own, closes=CLOSES)
        for node, own in zip((0, 1, 2, 4), held, strict=True)
    ]


# -- after the closing -------------------------------------------------------------------------------


def counted(batches: Callable[[Ballots], list[Batch]]) -> bytes:
    """The archive with these blocks after its closing."""
    story = Story().vote().close()
    return story.count(batches(story.ballots)).file.pack()


def ended_with(batch: Callable[[Story], Batch]) -> bytes:
    """The whole archive and one block more."""
    story = Story().vote().close().count()
    story.file.block(batch(story))
    return story.file.pack()


def _late_faults() -> Corpus:
    def bad(batches: Callable[[Ballots], list[Batch]]) -> tuple[str, bytes]:
        return "bad-late-votes", counted(batches)

    def with_second(ballots: Ballots, **fields: Any) -> list[Batch]:
        """The right blocks, where a member of a not counted vote was changed after it was signed."""
        spoilt = [vote | fields if vote in ballots.second_votes else vote for vote in ballots.late]
        return [
            Batch(
                [vote for vote in part if vote in ballots.late],
                [{"kind": "not-counted", "vote": vote} for vote in part if vote not in ballots.late],
            )
            for part in (spoilt[:4], spoilt[4:])
        ]

    def all_counted(ballots: Ballots) -> list[Batch]:
        return [Batch(ballots.late[:4]), Batch(ballots.late[4:])]

    def none_counted(ballots: Ballots) -> list[Batch]:
        records = [{"kind": "not-counted", "vote": vote} for vote in ballots.late]
        return [Batch((), records[:4]), Batch((), records[4:])]

    return {
        "late-vote-missing": bad(lambda b: b.batches(b.late[1:])),
        "late-vote-missing-in-the-middle": bad(lambda b: b.batches([*b.late[:2], *b.late[3:]])),
        "late-vote-of-one-list": bad(lambda b: b.batches(sorted([*b.late, b.lone], key=record_id))),
        "late-vote-of-no-list": bad(lambda b: b.batches([*b.late[:3], whole_story().file.vote("stranger")])),
        "late-vote-of-a-block-before": bad(
            lambda b: b.batches(sorted([*b.late, b.second[0]], key=record_id))
        ),
        "late-votes-in-another-order": bad(lambda b: [b.batch(b.late[3:]), b.batch(b.late[:3])]),
        "late-vote-twice": bad(lambda b: [b.batch(b.late[:4]), b.batch(b.late[3:7])]),
        "late-block-empty": bad(lambda b: [Batch(), *b.batches()]),
        "late-block-not-full": bad(lambda b: b.batches(size=3)),
        "late-votes-not-counted": bad(none_counted),
        "late-votes-of-a-voter-twice": bad(all_counted),
        "late-block-too-large": bad(lambda b: [b.batch(b.late[:6])]),
        "not-counted-before-the-closing": (
            "bad-late-votes",
            closing_block(lambda s: Batch((), [{"kind": "not-counted", "vote": s.ballots.late[0]}])),
        ),
        "not-counted-vote-changed": bad(lambda b: with_second(b, time=5)),
        "not-counted-vote-not-signed": ("bad-signature", _not_counted_without_signature()),
        "not-counted-vote-too-large": (
            "bad-record",
            counted(lambda b: [Batch((), [{"kind": "not-counted", "vote": _huge_vote()}])]),
        ),
        "vote-after-the-end": ("closed", ended_with(lambda story: Batch([story.file.vote("stranger")]))),
        "lone-vote-after-the-end": ("closed", ended_with(lambda story: Batch([story.ballots.lone]))),
        "empty-block-after-the-end": ("closed", ended_with(lambda _: Batch())),
    }


def _not_counted_without_signature() -> bytes:
    """Two nodes listed a second vote that its voter did not sign."""
    story = Story()
    story.ballots.second_votes[0]["signature"] = "00" * 64
    story.ballots.late.sort(key=record_id)
    return story.vote().close().count().file.pack()


def _huge_vote() -> Json:
    return whole_story().file.vote("huge", choices=[["x" * 200] * 64] * 8)


# -- certificates ------------------------------------------------------------------------------------


def certified(certificate: Callable[[NamedFile], str]) -> bytes:
    """The whole archive with another certificate."""
    file = whole_story().file
    return file.pack(certificate(file))


def signed_by(file: NamedFile, *lines: str) -> str:
    return f"{file.checkpoint()}\n{''.join(lines)}"


def _cosigned(file: NamedFile, *nodes: int, **last: Any) -> str:
    """A certificate by these nodes; `last` is how the last of them signs."""
    body = file.checkpoint()
    lines = [file.cosignature(node, body) for node in nodes[:-1]]
    return signed_by(file, *lines, file.cosignature(nodes[-1], body, **last))


def _another_text(file: NamedFile, old: str, new: str) -> str:
    """A good certificate whose text was changed after signing."""
    right = file.certificate()
    assert old in right
    return right.replace(old, new, 1)


def _own_text(file: NamedFile, text: str) -> str:
    """A certificate of another text, signed as it stands."""
    return f"{text}\n{''.join(file.cosignature(node, text) for node in range(4))}"


def _certificate_faults() -> Corpus:
    file = whole_story().file
    earlier = Story().vote().close().file.certificate()
    stranger = file.cosignature(0, file.checkpoint()).replace("/0 ", "/9 ")
    own, size, root = file.checkpoint().splitlines()
    cases: dict[str, tuple[str, Callable[[NamedFile], str]]] = {
        "cut": ("bad-note", lambda f: f.certificate()[:-9]),
        "without-its-last-newline": ("bad-note", lambda f: f.certificate()[:-1]),
        "without-signatures": ("bad-note", lambda f: f.checkpoint() + "\n"),
        "without-the-empty-line": ("bad-note", lambda f: f.certificate().replace("\n\n", "\n")),
        "with-carriage-returns": ("bad-note", lambda f: f.certificate().replace("\n", "\r\n")),
        "with-a-hyphen": ("bad-note", lambda f: f.certificate().replace("\u2014", "-")),
        "with-a-signature-in-other-base64": ("bad-note", lambda f: f.certificate() + _unused_line(f)),
        "of-strangers-alone": ("bad-note", lambda f: signed_by(f, stranger)),
        "of-a-log-key-alone": ("bad-note", lambda f: signed_by(f, f.log_line(0, f.checkpoint()))),
        "of-another-network": ("bad-checkpoint", lambda f: f.certificate(origin="votenet/" + "ab" * 32)),
        "of-another-size": ("bad-checkpoint", lambda f: f.certificate(size=len(f.log) - 1)),
        "of-another-root": ("bad-checkpoint", lambda f: f.certificate(root=b"r" * 32)),
        "of-an-earlier-block": ("bad-checkpoint", lambda f: earlier),
        "with-another-line": ("bad-checkpoint", lambda f: _own_text(f, f.checkpoint() + "more\n")),
        "with-a-leading-zero": ("bad-checkpoint", lambda f: _own_text(f, f"{own}\n0{size}\n{root}\n")),
        "with-a-root-in-other-base64": (
            "bad-checkpoint",
            lambda f: _own_text(f, f"{own}\n{size}\n{_unused_bits(root)}\n"),
        ),
        "with-a-short-root": ("bad-checkpoint", lambda f: f.certificate(root=b"r" * 31)),
        "with-another-size-after-signing": (
            "bad-cosignature",
            lambda f: _another_text(f, f"\n{size}\n", f"\n{int(size) + 1}\n"),
        ),
        "with-a-time-changed": ("bad-cosignature", lambda f: _cosigned(f, 0, 1, 2, 3, shift=1)),
        "with-a-signature-by-another-key": ("bad-cosignature", lambda f: _cosigned(f, 0, 1, 2, 3, signer=4)),
        "with-a-false-line-after-a-quorum": (
            "bad-cosignature",
            lambda f: _cosigned(f, 0, 1, 2, 3, 4, signer=0),
        ),
        "with-a-false-line-of-a-node-that-signed": (
            "bad-cosignature",
            lambda f: _cosigned(f, 0, 1, 2, 3, 3, shift=1),
        ),
        "with-a-cut-cosignature": ("bad-cosignature", _with_cut_cosignature),
        "of-three": ("bad-certificate", lambda f: f.certificate(range(3))),
        "of-one-key-four-times": ("bad-certificate", lambda f: _cosigned(f, 0, 0, 0, 0)),
        "of-one-key-at-four-times": (
            "bad-certificate",
            lambda f: signed_by(f, *(f.cosignature(0, f.checkpoint(), time=CREATED + n) for n in range(4))),
        ),
        "of-three-and-a-stranger": (
            "bad-certificate",
            lambda f: f.certificate(range(3)) + stranger,
        ),
        "of-three-and-a-log-key": (
            "bad-certificate",
            lambda f: f.certificate(range(3)) + f.log_line(3, f.checkpoint()),
        ),
    }
    made = {f"certificate-{name}": (code, certified(make)) for name, (code, make) in cases.items()}
    other = NamedFile(named_definition(0, closes=None))
    return made | {
        "certificate-where-no-node-is-named": ("bad-note", other.pack(file.certificate())),
        "certificate-left-out": ("bad-record", _without_certificate()),
        "certificate-of-other-totals": ("wrong-totals", file.pack(earlier, votes=0)),
    }


def _unused_line(file: NamedFile) -> str:
    """A good line whose base64 has a bit that no byte has."""
    head, raw = file.cosignature(4, file.checkpoint())[:-1].rsplit(" ", 1)
    return f"{head} {_unused_bits(raw)}\n"


def _with_cut_cosignature(file: NamedFile) -> str:
    *lines, last = file.certificate().splitlines()
    name, raw = last.rsplit(" ", 1)
    cut = b64encode(b64decode(raw)[:-1]).decode()
    return "\n".join([*lines, f"{name} {cut}"]) + "\n"


def _without_certificate() -> bytes:
    *lines, last = whole_story().file.pack().splitlines(keepends=True)
    record = json.loads(last)
    del record["certificate"]
    return b"".join([*lines, canonical(record) + b"\n"])


@cache
def tampered_archives() -> Corpus:
    """Name of the fault to (code, archive)."""
    return {
        **tampered_definitions(),
        **_miner_faults(),
        **_header_faults(),
        **_vote_shapes(),
        **_list_faults(),
        **_closing_faults(),
        **_late_faults(),
        **_certificate_faults(),
    }
