"""Good archives and receipts, and a corpus of tampered ones, each with one named fault.

`TAMPERED` maps a name to (the code both verifiers must answer, the bytes). Where a fault would hide
behind another, such as a wrong vote behind the Merkle root, the forger has done the work again: the
archive is built from wrong blocks, and everything else in it is right.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import msgspec

from support.elections import (
    CREATED,
    TRIVIAL_BITS,
    as_stored,
    key_of,
    make_election,
    make_vote,
    make_votes,
    mine_block,
    mine_header,
)
from votenet.core.election.definition import ChainParameters, Election
from votenet.core.election.roll import Roll
from votenet.core.encoding import DOMAIN_GENESIS, canonical, domain_hash
from votenet.core.ledger.block import Block, order_votes
from votenet.core.ledger.chain import Chain
from votenet.core.ledger.vote import HashedVote, hash_vote
from votenet.core.limits import MAX_ARCHIVE_LINE, MAX_RISE, RETARGET_SPAN
from votenet.core.log.merkle import merkle_path
from votenet.core.records.archive import archive_lines
from votenet.core.records.receipt import encode_receipt, make_receipt
from votenet.errors import Rejected
from votenet.pow import target_to_bits

NOW: Final = CREATED + 100_000
"""The clock of the checker."""
OPENS, CLOSES = CREATED + 1, CREATED + 1000
BURST: Final = 220
"""Blocks after which, where all are of one second, the difficulty has risen as far as it may."""


class Lines(NamedTuple):
    """An archive in its parts: head, definition, blocks, totals; each a parsed line."""

    head: Any
    definition: Any
    blocks: list[Any]
    totals: Any

    def pack(self) -> bytes:
        return b"".join(
            canonical(line) + b"\n" for line in (self.head, self.definition, *self.blocks, self.totals)
        )


@cache
def election() -> Election:
    return make_election(
        candidates=("Alice", "Bob", "Çelik \U0001f5f3", 'D"\\'),
        method="instant-runoff",
        max_choices=2,
        opens=OPENS,
        closes=CLOSES,
    )


def vote(voter: str, *choices: str) -> HashedVote:
    return make_vote(election(), voter, *(choices or ("Alice",)))


@cache
def good_votes() -> tuple[tuple[HashedVote, ...], ...]:
    """Votes of 14 blocks: none, one, several; voter ids that need care in JSON."""
    names = election().names
    bodies = [
        [vote(f"voter {height}.{n}", names[(height + n) % 4]) for n in range(height % 5)]
        for height in range(1, 15)
    ]
    bodies[1].append(vote('q"uote\\ \U0001f600 é', "Bob", "Alice"))
    return tuple(order_votes(body) for body in bodies)


def chain(bodies: Sequence[Sequence[HashedVote]], **changes: dict[int, Any]) -> list[Block]:
    """Blocks mined upon each other, two in each second, so that the last ones must be harder.

    `changes`: field of mine_block to {height: value}. After a block that breaks a rule of headers
    nothing matters any more.
    """
    headers = Chain(election())
    blocks: list[Block] = []
    for height, body in enumerate(bodies, start=1):
        parent = blocks[-1].header if blocks else headers.genesis.header
        fields = {"bits": headers.next_bits(headers.tip), "time": parent.time + height % 2}
        fields |= {name: by[height] for name, by in changes.items() if height in by}
        blocks.append(mine_block(election(), parent, body, **fields))
        with contextlib.suppress(Rejected):
            headers.add_body(headers.add_header(blocks[-1].header, blocks[-1].header.time), lambda _: ())
    return blocks


def archive(blocks: Sequence[Block]) -> bytes:
    return b"".join(archive_lines(election(), map(as_stored, blocks)))


@cache
def good_blocks() -> tuple[Block, ...]:
    return tuple(chain(good_votes()))


def roll_block(*votes: tuple[str, str]) -> tuple[Roll, Election, Block]:
    """A roll of ann and bob, an election with it, and a block: (voter, whose key signs)."""
    roll = Roll((name, key_of(name).public_hex) for name in ("bob", "ann"))
    held = make_election(roll=roll)
    hashed = [make_vote(held, voter, key=key_of(signer)) for voter, signer in votes]
    return roll, held, mine_block(held, None, hashed)


def roll_archive(*votes: tuple[str, str]) -> tuple[Roll, bytes]:
    """The roll of `roll_block`, and an archive of its block."""
    roll, held, block = roll_block(*votes)
    return roll, _of_one_block(held, block)


def archive_of(held: Election, votes: Sequence[HashedVote]) -> bytes:
    """An archive of one block with these votes."""
    return _of_one_block(held, mine_block(held, None, votes))


def _of_one_block(held: Election, block: Block) -> bytes:
    return b"".join(archive_lines(held, [as_stored(block)]))


def full_block(votes: int, allowed: int) -> bytes:
    """An archive of one block with some votes, in an election that allows a number of them in a block."""
    small = make_election(max_block_votes=allowed)
    return archive_of(small, make_votes(small, votes))


def good_archive() -> bytes:
    return archive(good_blocks())


def parts() -> Lines:
    head, definition, *blocks, totals = [json.loads(line) for line in good_archive().splitlines()]
    return Lines(head, definition, blocks, totals)


def with_body(height: int, body: Sequence[HashedVote], *, ordered: bool = True) -> bytes:
    """The archive with other votes in one block, and all the work done again."""
    bodies = list(good_votes())
    bodies[height - 1] = tuple(body)
    return archive(chain(bodies, ordered={height: ordered}))


def with_vote(bad: HashedVote) -> bytes:
    return with_body(3, [*good_votes()[2], bad])


def altered(hashed: HashedVote, **fields: Any) -> HashedVote:
    """A vote with other fields under the old signature."""
    return hash_vote(msgspec.structs.replace(hashed.vote, **fields))


def edit(change: Callable[[Lines], Any]) -> bytes:
    """The good archive with one change to its parsed lines, nothing mined again."""
    lines = parts()
    result = change(lines)
    return result.pack() if isinstance(result, Lines) else lines.pack()


@cache
def burst(**changes: int) -> tuple[Block, ...]:
    """So many empty blocks in one second that the last ones are as hard as any may be.

    `changes`: fields of the last block.
    """
    times = dict.fromkeys(range(1, BURST + 1), CREATED + 1)
    fields = {name: {BURST: value} for name, value in changes.items()}
    return tuple(chain([()] * BURST, time=times, **fields))


def header_edit(**fields: Any) -> bytes:
    """One field of the header of block 4, nothing mined again."""
    blocks = list(good_blocks())
    blocks[3] = blocks[3]._replace(header=blocks[3].header._replace(**fields))
    return archive(blocks)


def beyond_the_hardest() -> int:
    """What `burst` would end with if the difficulty could rise further."""
    return target_to_bits(election().target // MAX_RISE * (RETARGET_SPAN - 1) // RETARGET_SPAN)


def set_in(target: Any, key: Any, value: Any) -> None:
    target[key] = value


def nonce_without_work() -> int:
    header = good_blocks()[3].header
    while True:
        header = header._replace(nonce=header.nonce + 1)
        if int.from_bytes(header.hash, "little") > election().target:
            return header.nonce


def swapped(lines: Lines, a: int, b: int) -> None:
    lines.blocks[a], lines.blocks[b] = lines.blocks[b], lines.blocks[a]


def canonical_fields(record: Any) -> dict[str, Any]:
    """The members of a record, as they are read."""
    members: dict[str, Any] = json.loads(canonical(record))
    return members


def contest_fields(**fields: Any) -> dict[str, Any]:
    """The members of the contest of `make_election`, some of them others."""
    return canonical_fields(make_election().definition.contests[0]) | fields


def other_definition(**fields: Any) -> bytes:
    """Another definition under an id that fits it."""
    other = make_election(bits=TRIVIAL_BITS)
    lines = parts()
    definition = canonical_fields(other.definition) | fields
    head = {**lines.head}
    head["network_id"] = domain_hash(DOMAIN_GENESIS, canonical(definition)).hex()
    return Lines(head, {"definition": definition}, [], lines.totals).pack()


Corpus = dict[str, tuple[str, bytes]]


def _vote_faults() -> Corpus:
    votes = good_votes()
    third, fourth = votes[2], votes[3]
    mallory = vote("mallory", "Bob")
    foreign = make_vote(make_election(title="Another"), "mallory", "Alice")
    flipped = altered(third[0], choices=(("Bob",) if third[0].vote.choices[0] != ("Bob",) else ("Alice",),))
    in_capitals = altered(mallory, signature=mallory.vote.signature.upper())
    return {
        "choice-flipped": (
            "bad-merkle-root",
            edit(lambda a: set_in(a.blocks[2]["votes"][0], "choices", [["Bob", "Alice"]])),
        ),
        "choice-flipped-and-mined-again": ("bad-signature", with_body(3, [flipped, *third[1:]])),
        "signature-of-another-vote": (
            "bad-signature",
            with_vote(altered(mallory, signature=third[0].vote.signature)),
        ),
        "signature-by-another-key": (
            "bad-signature",
            with_vote(altered(mallory, voter_key=key_of("eve").public_hex)),
        ),
        "signature-not-hexadecimal": ("bad-signature", with_vote(altered(mallory, signature="zz" * 64))),
        "signature-in-capitals": ("bad-vote", with_vote(in_capitals)),
        "time-of-vote-changed": ("bad-signature", with_vote(altered(mallory, time=5))),
        "vote-of-another-election": ("network-mismatch", with_vote(foreign)),
        "vote-twice-in-a-block": ("bad-order", with_body(3, [*third, third[0]])),
        "vote-twice-on-the-chain": ("voter-twice", with_body(4, [*fourth, third[0]])),
        "voter-twice-in-a-block": (
            "voter-twice",
            with_body(3, [*third, vote(third[0].voter_id, "Bob", "Alice")]),
        ),
        "voter-twice-across-blocks": (
            "voter-twice",
            with_body(4, [*fourth, vote(third[0].voter_id, "Bob", "Alice")]),
        ),
        "votes-reordered": ("bad-merkle-root", edit(lambda a: a.blocks[2]["votes"].reverse())),
        "votes-reordered-and-mined-again": ("bad-order", with_body(3, third[::-1], ordered=False)),
        "vote-dropped": ("bad-merkle-root", edit(lambda a: a.blocks[2]["votes"].pop())),
        "vote-added": (
            "bad-merkle-root",
            edit(lambda a: a.blocks[2]["votes"].append(json.loads(mallory.record))),
        ),
        "unknown-candidate": ("unknown-candidate", with_vote(vote("mallory", "Nobody"))),
        "too-many-choices": (
            "bad-choices",
            with_vote(vote("mallory", "Alice", "Bob", election().names[2])),
        ),
        "no-choice": ("bad-choices", with_vote(altered(mallory, choices=((),)))),
        "choices-for-no-contest": ("bad-choices", with_vote(altered(mallory, choices=()))),
        "choices-for-two-contests": ("bad-choices", with_vote(altered(mallory, choices=(("Bob",),) * 2))),
        "ballot-of-a-secret-election": ("bad-vote", with_vote(altered(mallory, ballot="x"))),
        "a-choice-twice": ("bad-choices", with_vote(vote("mallory", "Alice", "Alice"))),
        "voter-id-with-a-newline": ("bad-vote", with_vote(vote("mal\nlory"))),
        "voter-id-with-a-space-at-its-edge": ("bad-vote", with_vote(vote("mallory "))),
        "vote-too-large": (
            "vote-too-large",
            with_vote(vote("mallory", *(f"{n:03}" + "\u20ac" * 197 for n in range(40)))),
        ),
        "too-many-votes-in-a-block": (
            "block-too-large",
            full_block(votes=7, allowed=6),
        ),
    }


def _header_faults() -> Corpus:
    late = dict.fromkeys(range(5, 14), CREATED + 200)
    votes, mallory = good_votes(), vote("mallory", "Bob")
    return {
        "version-changed": ("bad-version", header_edit(version=1)),
        "version-changed-and-mined-again": ("bad-version", archive(chain(votes, version={4: 1}))),
        "previous-hash-changed": ("broken-chain", header_edit(previous=bytes(32))),
        "merkle-root-changed": ("bad-work", header_edit(merkle_root=bytes(32))),
        "time-changed": ("bad-work", header_edit(time=CREATED + 9)),
        "bits-changed": ("bad-bits", header_edit(bits=TRIVIAL_BITS)),
        "bits-eased-and-mined-again": ("bad-bits", archive(chain(votes, bits={4: TRIVIAL_BITS}))),
        "nonce-changed": ("bad-work", header_edit(nonce=nonce_without_work())),
        "bits-kept-though-blocks-came-fast": ("bad-bits", archive(chain(votes, bits={14: election().bits}))),
        "bits-raised-by-too-much": ("bad-bits", archive(chain(votes, bits={13: election().bits - 0x2000}))),
        "bits-raised-above-the-most": ("bad-bits", archive(burst(bits=beyond_the_hardest()))),
        "bits-eased-below-the-most-after-a-burst": (
            "bad-bits",
            archive(burst(bits=target_to_bits(election().target // (MAX_RISE - 1)))),
        ),
        "time-before-the-median": ("bad-time", archive(chain(votes, time={**late, 14: CREATED + 100}))),
        "time-in-the-future": ("bad-time", archive(chain([(), ()], time={2: 0xFFFFFFFF}))),
        "before-the-opening": ("not-open", archive(chain([[mallory]], time={1: OPENS - 1}))),
        "after-the-closing": ("closed", archive(chain([[mallory]], time={1: CLOSES}))),
        "header-too-short": ("bad-header", edit(lambda a: set_in(a.blocks[2], "header", "00" * 79))),
        "header-in-capitals": (
            "bad-header",
            edit(lambda a: set_in(a.blocks[2], "header", a.blocks[2]["header"].upper())),
        ),
    }


def _block_faults() -> Corpus:
    return {
        "block-missing": ("broken-chain", edit(lambda a: a.blocks.pop(6))),
        "first-block-missing": ("broken-chain", edit(lambda a: a.blocks.pop(0))),
        "last-block-missing": ("wrong-totals", edit(lambda a: a.blocks.pop())),
        "blocks-swapped": ("broken-chain", edit(lambda a: swapped(a, 4, 5))),
        "block-twice": ("broken-chain", edit(lambda a: a.blocks.insert(5, a.blocks[4]))),
        "votes-of-two-blocks-swapped": (
            "bad-merkle-root",
            edit(lambda a: (a.blocks[2].update(votes=parts().blocks[3]["votes"]), None)[1]),
        ),
    }


def _totals_faults() -> Corpus:
    return {
        "totals-votes": ("wrong-totals", edit(lambda a: set_in(a.totals, "votes", a.totals["votes"] + 1))),
        "totals-height": ("wrong-totals", edit(lambda a: set_in(a.totals, "height", 99))),
        "totals-tip": ("wrong-totals", edit(lambda a: set_in(a.totals, "tip", "00" * 32))),
    }


def _election_faults() -> Corpus:
    return {
        "network-id-changed": ("network-mismatch", edit(lambda a: set_in(a.head, "network_id", "ab" * 32))),
        "definition-changed": (
            "network-mismatch",
            edit(lambda a: set_in(a.definition["definition"], "title", "Mine")),
        ),
        "definition-of-another-election": (
            "broken-chain",
            edit(
                lambda a: Lines(
                    {**a.head, "network_id": make_election().network_hex},
                    {"definition": json.loads(canonical(make_election().definition))},
                    a.blocks,
                    a.totals,
                )
            ),
        ),
        "definition-contradicts-itself": (
            "bad-genesis",
            other_definition(contests=[contest_fields(candidates=[{"name": "A", "statement": ""}] * 2)]),
        ),
        "definition-without-difficulty": (
            "bad-genesis",
            other_definition(chain=canonical_fields(ChainParameters(bits=1))),
        ),
        "definition-with-unknown-member": ("bad-record", other_definition(extra=1)),
        **{
            f"definition-without-{name}": (
                "bad-record",
                edit(lambda a, name=name: a.definition["definition"].pop(name)),
            )
            for name in json.loads(canonical(election().definition))
        },
        "definition-without-block-seconds": (
            "bad-record",
            edit(lambda a: a.definition["definition"]["chain"].pop("block_seconds")),
        ),
    }


def _file_faults() -> Corpus:
    good = good_archive()
    lines = good.splitlines(keepends=True)
    return {
        "format-unknown": ("wrong-format", edit(lambda a: set_in(a.head, "format", "votenet-receipt"))),
        "version-of-the-format": ("wrong-version", edit(lambda a: set_in(a.head, "version", 1))),
        "empty": ("truncated", b""),
        "cut-in-a-line": ("truncated", good[:-40]),
        "cut-between-lines": ("truncated", b"".join(lines[:-1])),
        "last-newline-missing": ("truncated", good[:-1]),
        "something-after-the-totals": ("trailing-data", good + lines[-1]),
    }


def _record_faults() -> Corpus:
    good = good_archive()
    lines = good.splitlines(keepends=True)
    block3 = lines[4]
    return {
        "member-twice": (
            "duplicate-key",
            good.replace(block3, block3.replace(b',"header":', b',"header":"00","header":', 1)),
        ),
        "member-of-a-vote-twice": (
            "duplicate-key",
            good.replace(block3, block3.replace(b'{"choices":', b'{"choices":[["Bob"]],"choices":', 1)),
        ),
        "unknown-member-of-a-block": ("bad-record", edit(lambda a: set_in(a.blocks[2], "note", "x"))),
        "unknown-member-of-a-vote": (
            "bad-record",
            edit(lambda a: set_in(a.blocks[2]["votes"][0], "weight", 2)),
        ),
        "member-missing": ("bad-record", edit(lambda a: a.blocks[2].pop("votes"))),
        "choices-without-a-contest": (
            "bad-record",
            edit(lambda a: set_in(a.blocks[2]["votes"][0], "choices", ["Bob"])),
        ),
        "number-for-text": ("bad-record", edit(lambda a: set_in(a.blocks[2]["votes"][0], "voter_id", 7))),
        "true-for-a-number": ("bad-record", edit(lambda a: set_in(a.blocks[2]["votes"][0], "time", True))),
        "fraction": ("bad-record", edit(lambda a: set_in(a.blocks[2]["votes"][0], "time", 1.5))),
        "integer-as-fraction": (
            "bad-record",
            good.replace(block3, block3.replace(b',"voter_id"', b'.0,"voter_id"', 1)),
        ),
        "white-space": ("not-canonical", good.replace(block3, block3.replace(b'":[', b'": [', 1))),
        "escapes": ("not-canonical", good.replace(block3, block3.replace(b'"voter 3', b'"\\u0076oter 3', 1))),
        "carriage-returns": ("not-canonical", good.replace(b"\n", b"\r\n")),
        "not-json": ("not-json", good.replace(block3, b"votes\n")),
        "empty-line": ("not-json", good.replace(block3, b"\n" + block3)),
        "not-utf-8": ("not-json", good.replace(block3, block3.replace(b"voter 3", b"vot\xffr 3", 1))),
        "half-a-surrogate-pair": (
            "not-json",
            good.replace(block3, block3.replace(b'"voter 3', b'"\\ud83d', 1)),
        ),
        "not-a-number": (
            "not-json",
            good.replace(lines[-1], lines[-1].replace(b'"height":14', b'"height":NaN')),
        ),
        "nested-too-deeply": ("not-json", good.replace(block3, b'{"header":' + b"[" * 200_000 + b"\n")),
        "byte-order-mark": ("not-json", b"\xef\xbb\xbf" + good),
        "line-too-long": ("line-too-long", lines[0] + b" " * (MAX_ARCHIVE_LINE + 1)),
        "list-for-a-record": ("bad-record", good.replace(block3, b"[" + block3[:-1] + b"]\n")),
    }


@cache
def tampered() -> Corpus:
    """Name of the fault to (code, archive)."""
    parts = [
        _vote_faults(),
        _header_faults(),
        _block_faults(),
        _totals_faults(),
        _election_faults(),
        _file_faults(),
        _record_faults(),
    ]
    return {name: case for part in parts for name, case in part.items()}


# -- receipts --------------------------------------------------------------------------------------


def receipt_fields(height: int = 14, index: int = 1) -> dict[str, Any]:
    """A good receipt, parsed."""
    blocks = good_blocks()[:height]
    votes = blocks[-1].votes
    path = [sibling.hex() for sibling in merkle_path([hashed.id for hashed in votes], index)]
    made = make_receipt(
        election(),
        votes[index].vote,
        [block.header.pack().hex() for block in blocks],
        path=path,
        position=index,
        size=len(votes),
    )
    parsed: dict[str, Any] = json.loads(encode_receipt(made))
    return parsed


def good_receipt(height: int = 14, index: int = 1) -> bytes:
    return canonical(receipt_fields(height, index)) + b"\n"


def receipt_with(**fields: Any) -> bytes:
    """The good receipt with other members: its own, or those of its chain."""
    made = receipt_fields()
    made["chain"] |= {name: fields.pop(name) for name in list(fields) if name in made["chain"]}
    return canonical(made | fields) + b"\n"


@cache
def tampered_receipts() -> dict[str, tuple[str, bytes]]:
    """Name of the fault to (code, receipt)."""
    good = receipt_fields()
    headers, path, hashed = good["chain"]["headers"], good["chain"]["path"], good["vote"]
    small = receipt_fields(height=1, index=0)
    definition = good["definition"]
    easy = mine_header(good_blocks()[-1].header._replace(bits=TRIVIAL_BITS))
    alone = good_blocks()[-1].header._replace(merkle_root=bytes(32), nonce=0)
    return {
        "choice-flipped": ("bad-signature", receipt_with(vote={**hashed, "choices": [["Bob", "Alice"]]})),
        "vote-of-somebody-else": ("bad-merkle-path", receipt_with(vote=json.loads(vote("mallory").record))),
        "vote-for-nobody": ("unknown-candidate", receipt_with(vote=json.loads(vote("m", "Nobody").record))),
        "vote-of-another-election": (
            "network-mismatch",
            receipt_with(vote=json.loads(make_vote(make_election(), "m").record)),
        ),
        "another-position": ("bad-merkle-path", receipt_with(position=0)),
        "position-outside": ("bad-merkle-path", receipt_with(position=99)),
        "position-just-outside": (
            "bad-merkle-path",
            canonical(small | {"chain": small["chain"] | {"position": 1}}) + b"\n",
        ),
        "another-size": ("bad-merkle-path", receipt_with(size=1)),
        "path-cut": ("bad-merkle-path", receipt_with(path=path[:-1])),
        "path-longer": ("bad-merkle-path", receipt_with(path=[*path, path[0]])),
        "sibling-changed": ("bad-merkle-path", receipt_with(path=["00" * 32, *path[1:]])),
        "sibling-in-capitals": ("bad-record", receipt_with(path=[path[0].upper(), *path[1:]])),
        "no-headers": ("broken-chain", receipt_with(headers=[])),
        "last-header-missing": ("bad-merkle-path", receipt_with(headers=headers[:-1])),
        "first-header-missing": ("broken-chain", receipt_with(headers=headers[1:])),
        "headers-swapped": ("broken-chain", receipt_with(headers=[headers[1], headers[0], *headers[2:]])),
        "header-without-work": ("bad-work", receipt_with(headers=[*headers[:-1], alone.pack().hex()])),
        "header-eased": ("bad-bits", receipt_with(headers=[*headers[:-1], easy.pack().hex()])),
        "header-short": ("bad-header", receipt_with(headers=["00", *headers[1:]])),
        "definition-changed": ("network-mismatch", receipt_with(definition={**definition, "title": "Mine"})),
        "definition-without-opens": (
            "bad-record",
            receipt_with(definition={name: definition[name] for name in definition if name != "opens"}),
        ),
        "definition-contradicts": (
            "bad-genesis",
            receipt_with(definition={**definition, "contests": [contest_fields(candidates=[])]}),
        ),
        "format": ("wrong-format", receipt_with(format="votenet-archive")),
        "version": ("wrong-version", receipt_with(version=1)),
        "unknown-member": ("bad-record", receipt_with(note="x")),
        "cut": ("truncated", good_receipt()[:-9]),
        "not-json": ("not-json", b"receipt\n"),
        "member-twice": (
            "duplicate-key",
            good_receipt().replace(b'"position":', b'"position":0,"position":'),
        ),
        "indented": ("not-canonical", json.dumps(good, indent=1, ensure_ascii=False).encode() + b"\n"),
    }


ROLL_CASES = [
    ((("ann", "ann"), ("bob", "bob")), ""),
    ((("ann", "bob"),), "wrong-key"),
    ((("eve", "eve"),), "not-on-roll"),
]
