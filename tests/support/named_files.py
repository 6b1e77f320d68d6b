"""Archives and receipts of an election with five named nodes, good ones and tampered ones.

Built from docs/audit.md alone, member by member, so that a forger's file is as easy to write as a good one.
`tampered_archives` and `tampered_receipts` map a name to (the code of both verifiers, the bytes).
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from support.elections import CREATED, TRIVIAL_BITS, key_of, mine_header
from votenet.core.encoding import canonical
from votenet.core.keys import SigningKey
from votenet.core.ledger.block import Header
from votenet.core.log.merkle import leaf_hash, merkle_path, merkle_root

CLOSES: Final = CREATED + 1000
BLOCK_VOTES: Final = 4
LIARS: Final = 1
Json = dict[str, Any]
Corpus = dict[str, tuple[str, bytes]]


class NodeKeys(NamedTuple):
    """The four keys of a named node."""

    node: SigningKey
    statement: SigningKey
    cosign: SigningKey
    log: SigningKey

    def public(self, name: str) -> Json:
        return {
            "cosign_key": self.cosign.public_hex,
            "log_key": self.log.public_hex,
            "name": name,
            "node_key": self.node.public_hex,
            "statement_key": self.statement.public_hex,
        }


def derived(seed: bytes, info: str) -> SigningKey:
    """HKDF-SHA-256 (RFC 5869) without a salt, 32 bytes."""
    extracted = hmac.digest(bytes(32), seed, "sha256")
    return SigningKey(hmac.digest(extracted, info.encode() + b"\x01", "sha256"))


@cache
def keys_of(node: int) -> NodeKeys:
    seed = hashlib.sha256(b"named node %d" % node).digest()
    infos = ("votenet/statement/1", "votenet/cosign/1", "votenet/log/1")
    return NodeKeys(SigningKey(seed), *(derived(seed, info) for info in infos))


def named_definition(count: int = 5, *, contest: Json | None = None, **fields: Any) -> Json:
    """A definition, member by member; `fields` replace its members, `contest` those of its contest."""
    names = ("Alice", "Bob", "Çelik")
    one = {
        "blank": False,
        "candidates": [{"name": name, "statement": ""} for name in names],
        "description": "",
        "id": "1",
        "max": 1,
        "method": "plurality",
        "min": 1,
        "quorum": None,
        "seats": 1,
        "threshold": None,
        "title": "Named election",
    }
    return {
        "authority_key": None,
        "belenios": "",
        "chain": {
            "bits": TRIVIAL_BITS,
            "block_seconds": 1,
            "grace_seconds": 30,
            "max_block_votes": BLOCK_VOTES,
        },
        "closes": CLOSES,
        "contests": [one | (contest or {})],
        "created": CREATED,
        "language": "en",
        "nodes": [keys_of(node).public(f"node {node}") for node in range(count)],
        "opens": CREATED + 1,
        "organiser": "",
        "registration": "open",
        "results": "live",
        "roll_root": None,
        "roll_size": None,
        "secrecy": "public",
        "time_zone": "UTC",
        "title": "Named election",
        "trustees": None,
        "uuid": "Hq5cCAzXZnbL1p",
        "version": 2,
        "weighted": False,
        "witnesses": [],
    } | fields


class Batch(NamedTuple):
    """What a block holds beside its header."""

    votes: Sequence[Json] = ()
    records: Sequence[Json] = ()
    closing: Json | None = None


def record_id(record: Json) -> bytes:
    return leaf_hash(canonical(record))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:4]


def note_line(name: str, raw: bytes) -> str:
    return f"\u2014 {name} {b64encode(raw).decode()}\n"


class NamedFile:
    """An archive that grows by blocks. Every step signs and mines what it is told, right or wrong."""

    def __init__(self, definition: Json | None = None) -> None:
        self.definition = definition or named_definition()
        self.network = hashlib.sha256(b"votenet/genesis/2\n" + canonical(self.definition)).digest()
        self.network_hex = self.network.hex()
        self.origin = "votenet/" + self.network_hex
        self.bits = self.definition["chain"]["bits"]
        self.tip = Header(2, bytes(32), self.network, self.definition["created"], self.bits, 0)
        self.closes = self.definition["closes"]
        """In force behind the last block."""
        self.lines: list[Json] = []
        self.log = [leaf_hash(self.tip.pack())]
        self.votes = 0

    # -- records ------------------------------------------------------------------------------------

    def vote(self, voter: str, choice: str = "Alice", **fields: Any) -> Json:
        """A signed vote, the same in every contest; `fields` replace members before it is signed."""
        key = key_of(voter)
        unsigned = {
            "choices": [[choice]] * len(self.definition["contests"]),
            "network_id": self.network_hex,
            "time": CREATED + 2,
            "voter_id": voter,
            "voter_key": key.public_hex,
        } | fields
        return {**unsigned, "signature": key.sign(b"votenet/vote/2\n" + canonical(unsigned)).hex()}

    def statement(self, kind: str, node: int, members: Json, signer: int | None = None) -> Json:
        """The statement of a named node with its signature; `signer`: another node that signs it."""
        said = {"network_id": self.network_hex, "node": node} | members
        key = keys_of(node if signer is None else signer).statement
        return {**said, "signature": key.sign(f"votenet/{kind}/2\n".encode() + canonical(said)).hex()}

    def closing_list(
        self, node: int, ids: Iterable[bytes], *, signer: int | None = None, **members: Any
    ) -> Json:
        """Node `node`'s list of the votes with these ids; `members` replace those of the statement."""
        own = sorted(ids)
        said = {
            "closes": self.closes,
            "count": len(own),
            "height": len(self.lines),
            "root": merkle_root(own).hex(),
        }
        return {"kind": "closing-list", **self.statement("closing-list", node, said | members, signer)}

    def acceptance(
        self, node: int, ids: Sequence[bytes], index: int, *, signer: int | None = None, **members: Any
    ) -> Json:
        """One vote's acceptance, out of a group commit of votes with these ids."""
        said = {"count": len(ids), "root": merkle_root(ids).hex(), "time": CREATED + 5} | members
        signed = self.statement("acceptance", node, said, signer)
        path = [step.hex() for step in merkle_path(ids, index)]
        return {name: signed[name] for name in ("count", "node", "signature", "time")} | {
            "index": index,
            "path": path,
        }

    # -- blocks -------------------------------------------------------------------------------------

    def block(
        self,
        batch: Batch,
        *,
        ordered: bool = True,
        node: int = 0,
        signer: int | None = None,
        height: int | None = None,
        miner: Callable[[Json], Json | None] = lambda miner: miner,
        **header: Any,
    ) -> None:
        """Mine a block. `header` replaces fields of its header, `height` the one that its miner signs."""
        votes, records = list(batch.votes), list(batch.records)
        if ordered:
            votes.sort(key=record_id)
            records.sort(key=lambda record: (record["kind"], record_id(record)))
        ids = [record_id(record) for record in (*votes, *records)]
        fields = {"time": self.tip.time + 1, "bits": self.bits, "version": 2} | header
        self.tip = mine_header(
            Header(
                version=fields["version"],
                previous=self.tip.hash,
                merkle_root=fields.get("merkle_root", merkle_root(ids)),
                time=fields["time"],
                bits=fields["bits"],
                nonce=0,
            )
        )
        said = {"block": self.tip.hash.hex(), "height": len(self.lines) + 1 if height is None else height}
        signed = self.statement("block", node, said, signer)
        line = {
            "closing": batch.closing,
            "header": self.tip.pack().hex(),
            "miner": miner({"node": node, "signature": signed["signature"]}),
            "records": records,
            "votes": votes,
        }
        self.lines.append(line)
        self.log += [*ids, leaf_hash(self.tip.pack())]
        self.votes += len(votes)

    # -- the end ------------------------------------------------------------------------------------

    def checkpoint(self, **other: Any) -> str:
        """The text that the nodes cosign; `other`: origin, size or root."""
        size, root = other.get("size", len(self.log)), other.get("root", merkle_root(self.log))
        return f"{other.get('origin', self.origin)}\n{size}\n{b64encode(root).decode()}\n"

    def cosignature(
        self, node: int, body: str, *, time: int = CREATED + 9, signer: int | None = None, shift: int = 0
    ) -> str:
        """A line of a named node below a checkpoint; `shift` moves the time after signing."""
        name = f"{body.splitlines()[0]}/{node}"
        key = keys_of(node if signer is None else signer).cosign
        signature = key.sign(f"cosignature/v1\ntime {time}\n{body}".encode())
        said = (time + shift).to_bytes(8, "big")
        return note_line(name, key_id(name, 4, keys_of(node).cosign.public) + said + signature)

    def log_line(self, node: int, body: str) -> str:
        key = keys_of(node).log
        return note_line(self.origin, key_id(self.origin, 1, key.public) + key.sign(body.encode()))

    def certificate(self, signers: Iterable[int] = (0, 1, 2, 3), **other: Any) -> str:
        body = self.checkpoint(**other)
        return body + "\n" + "".join(self.cosignature(node, body) for node in signers)

    def pack(self, certificate: str | None = None, **totals: Any) -> bytes:
        """The archive. Without `certificate` a good one, in an election with named nodes."""
        if certificate is None:
            certificate = self.certificate() if self.definition["nodes"] else ""
        head = {"format": "votenet-archive", "network_id": self.network_hex, "version": 2}
        last = {
            "certificate": certificate,
            "height": len(self.lines),
            "tip": self.tip.hash.hex(),
            "votes": self.votes,
        } | totals
        lines = [head, {"definition": self.definition}, *self.lines, last]
        return b"".join(canonical(line) + b"\n" for line in lines)

    def log_proof(self, index: int, certificate: str | None = None) -> str:
        """The text of a proof that leaf `index` is in the log."""
        hashes = "".join(b64encode(step).decode() + "\n" for step in merkle_path(self.log, index))
        note = self.certificate() if certificate is None else certificate
        return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{note}"

    def receipt(self, vote: Json, /, **members: Any) -> bytes:
        """A receipt; without `members` it proves nothing."""
        record = {
            "acceptances": [],
            "amendments": [],
            "chain": None,
            "definition": self.definition,
            "format": "votenet-receipt",
            "proof": "",
            "version": 2,
            "vote": vote,
        } | members
        return canonical(record) + b"\n"


def closing_of(held: Sequence[Sequence[bytes]]) -> Json:
    """The member `closing` for lists of these ids, in the order of their nodes."""
    ids = sorted(set(itertools.chain(*held)))
    width = (len(held) + 7) // 8
    masks = (sum(1 << place for place, own in enumerate(held) if one in own) for one in ids)
    bits = b"".join(mask.to_bytes(width, "little") for mask in masks)
    return {"bits": b64encode(bits).decode(), "ids": b64encode(b"".join(ids)).decode()}


# -- one election from its first vote to its end -----------------------------------------------------

LISTS_OF: Final = (0, 1, 2, 4)
"""The nodes with a closing list."""


class Ballots:
    """The votes of the story. `late` stand in two lists or more and in no block, by ascending id."""

    def __init__(self, file: NamedFile) -> None:
        self.first = [file.vote(f"voter {n}", "Bob") for n in range(3)]
        self.second = [file.vote("voter 3"), file.vote("voter 4", "Çelik")]
        self.lone = file.vote("in one list")
        """Stands in one list only: it does not count."""
        again = file.vote("voter 1", "Alice")
        """A second vote of a voter whose first is in a block."""
        fresh = [file.vote(f"late {n}") for n in range(4)]
        twice = [file.vote("late 9", name) for name in ("Alice", "Bob")]
        self.late = sorted([again, *fresh, *twice], key=record_id)
        self.second_votes = [again, max(twice, key=record_id)]

    def batches(self, late: Sequence[Json] | None = None, size: int = BLOCK_VOTES) -> list[Batch]:
        """The blocks after the closing, each with as many as fit."""
        wanted = self.late if late is None else late
        return [self.batch(wanted[start : start + size]) for start in range(0, len(wanted), size)]

    def batch(self, votes: Sequence[Json]) -> Batch:
        return Batch(
            [vote for vote in votes if vote not in self.second_votes],
            [{"kind": "not-counted", "vote": vote} for vote in votes if vote in self.second_votes],
        )

    def held(self) -> list[list[bytes]]:
        """The ids in each of the four lists. The last one is of a node that had not seen block 3 yet."""
        late = [record_id(vote) for vote in self.late]
        return [
            [*late, record_id(self.lone)],
            late[:4],
            late[3:],
            [*late[::2], *(record_id(vote) for vote in self.second)],
        ]


class Story:
    """The election in its steps; a subclass, or a caller between two steps, does one of them wrong."""

    def __init__(self, definition: Json | None = None) -> None:
        self.file = NamedFile(definition)
        self.ballots = Ballots(self.file)

    def vote(self) -> Story:
        """Three blocks: three votes, none, two."""
        self.file.block(Batch(self.ballots.first), node=1)
        self.file.block(Batch(), node=2)
        self.file.block(Batch(self.ballots.second), node=4)
        return self

    def lists(self, nodes: Sequence[int] = LISTS_OF, **members: Any) -> list[Json]:
        """`members` are those of the first list."""
        held = self.ballots.held()
        found = [self.file.closing_list(node, own) for node, own in zip(nodes, held, strict=False)]
        if members:
            found[0] = self.file.closing_list(nodes[0], held[0], **members)
        return found

    def close(self, lists: Sequence[Json] | None = None, **closing: Any) -> Story:
        """The closing block; `closing` replaces a member of the ids and bits."""
        records = self.lists() if lists is None else lists
        self.file.block(Batch((), records, closing_of(self.ballots.held()) | closing), time=CLOSES + 40)
        return self

    def count(self, batches: Sequence[Batch] | None = None) -> Story:
        for batch in self.ballots.batches() if batches is None else batches:
            self.file.block(batch)
        return self


@cache
def whole_story() -> Story:
    return Story().vote().close().count()


def good_archives() -> dict[str, bytes]:
    """Archives that hold, by what is special about them."""
    voted, closed, whole = Story().vote(), Story().vote().close(), whole_story()
    body = whole.file.checkpoint()
    lines = [whole.file.cosignature(node, body) for node in (4, 2, 1, 0)]
    one = _of_definition(1)
    witness = note_line("witness.example/w", b"abcd" + bytes(72))
    return {
        "empty": NamedFile().pack(),
        "while-voting": voted.file.pack(),
        "closed-not-counted": closed.file.pack(),
        "half-counted": Story().vote().close().count(whole.ballots.batches()[:1]).file.pack(),
        "whole": whole.file.pack(),
        "whole-without-certificate": whole.file.pack(""),
        "signed-by-all": whole.file.pack(whole.file.certificate(range(5))),
        "other-lines-in-the-certificate": whole.file.pack(
            f"{body}\n{whole.file.log_line(3, body)}{witness}{''.join(lines)}{lines[0]}"
        ),
        "header-time-after-closing": _late_vote_block().pack(),
        "header-time-in-the-future": _future_block().pack(),
        "never-closes": _of_definition(closes=None).pack(),
        "one-node": one.pack(one.certificate([0])),
    }


def _of_definition(count: int = 5, **fields: Any) -> NamedFile:
    """An archive of two votes in an election with another definition."""
    file = NamedFile(named_definition(count, **fields))
    file.block(Batch([file.vote("voter 1"), file.vote("voter 2", "Bob")]))
    return file


def _late_vote_block() -> NamedFile:
    """A block of votes decided after the hour: only lists say what was in time."""
    file = NamedFile()
    file.block(Batch([file.vote("voter 1")]), time=CLOSES + 5)
    return file


def _future_block() -> NamedFile:
    file = NamedFile()
    file.block(Batch([file.vote("voter 1")]), time=0xFFFF0000)
    return file
