"""The election's log at one node: it grows with the chain, named nodes cosign it, a quorum is a certificate.

Only an election with named nodes has one. A checkpoint is cosigned after its last block was decided, so
the certificate says no more than the commits do; but it is short, and strangers can check it offline.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from votenet.core.ledger.block import log_leaves, log_start
from votenet.core.ledger.chain import BlockIndexEntry
from votenet.core.ledger.vote import HashedVote
from votenet.core.log.certificate import (
    Certificate,
    checkpoint_text,
    cosign_checkpoint,
    cosigner_of,
    good_lines,
    make_certificate,
    read_certificate,
)
from votenet.core.log.cosignature import cosignature_time
from votenet.core.log.signed_note import NoteSignature, SignedNote, sign_note
from votenet.core.log.tiles import LogFrontier
from votenet.errors import NotProven, RemoteProtocolError
from votenet.protocol.node.events import SaveCertificate, SaveTiles
from votenet.protocol.node.split_views import Cosigned, SplitViews, cosignature_message
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.named_messages import CertificateMessage, CosignatureMessage

MAX_EARLY_CHECKPOINTS: Final = 8
"""Cosignatures of one link that are kept for blocks that are not here yet."""


class Certified(NamedTuple):
    """The newest certificate, and the height of the block that it ends with."""

    height: int
    certificate: Certificate


class Checkpoints:
    """Log, cosignatures and certificate of one node."""

    def __init__(
        self,
        state: NodeState,
        views: SplitViews,
        frontier: LogFrontier,
        certificate: tuple[int, str],
        sizes: Sequence[int] = (),
    ) -> None:
        """`certificate`: the newest that was saved, and the height of its block. `sizes`: as of StoredChain.

        Raises:
            NotProven: it is no certificate of this election.
        """
        self.state, self._views = state, views
        self._keys = state.election.named_keys
        self.frontier = frontier if frontier.size else log_start(state.election)
        """Behind the tip."""
        self.sizes = array("Q", sizes if frontier.size else [self.frontier.size])
        """Of the log behind each block of the chain, by height."""
        self._text = ""
        """Of the checkpoint behind the tip."""
        self._lines: dict[int, NoteSignature] = {}
        """Its cosignatures, by the index of the named node."""
        self._log_line: NoteSignature | None = None
        """The line of a log key, which tools of others ask for."""
        self._witness_lines: dict[str, NoteSignature] = {}
        """Cosignatures of outsiders, by the names of their keys."""
        self._before = ""
        """The text of the checkpoint that was behind the tip before."""
        self._early: dict[int, list[Cosigned]] = {}
        """Of blocks that are not here yet, by link."""
        self._early_notes: dict[int, CertificateMessage] = {}
        """The latest of each link, of a block that is not here yet."""
        self.certified: Certified | None = None
        self._earlier: Certified | None = None
        """The newest certificate of a lower block."""
        self._told: tuple[int, int, int] = 0, 0, 0
        """Height, signers and witnesses of the certificate that peers were told of."""
        height, note = certificate
        if note:
            self.certified = Certified(height, read_certificate(note, self._keys))
        self._begin_text()
        if self.certified is not None and height == self._height:
            self._take(note)
            state.ready.save.clear()  # it was read from there: a store that fails must not fail again here

    # -- it grows ----------------------------------------------------------------------------------

    def grow(self, entry: BlockIndexEntry, votes: Sequence[HashedVote]) -> None:
        """Append a block that was connected to the chain; its tiles are saved with it."""
        self.frontier, tiles = self.frontier.append(log_leaves(entry.header, votes, entry.extras.records))
        self.sizes.append(self.frontier.size)
        self.state.ready.save.append(SaveTiles(tuple(tiles)))

    def refresh(self, now: float) -> None:
        """At the end of a batch: cosign a new tip, unless more blocks are on their way."""
        if self._height != self.state.chain.tip.height:
            self._begin_text()
        me, keys = self.state.index, self.state.info.keys
        signs = me is not None and keys is not None and self._height > 0 and self.state.sync.target is None
        if signs and me not in self._lines:
            assert keys is not None
            assert me is not None
            line = cosign_checkpoint(keys.cosign, me, self._text, int(now))
            self._add(me, line)
            self.state.tell_named(cosignature_message(self._cosigned_by(me, line)))
        self._tell()
        provable = self.provable
        self._views.refresh(None if provable is None else provable.certificate)

    def _begin_text(self) -> None:
        tip = self.state.chain.tip
        self._height, self._before = tip.height, self._text
        self._text = checkpoint_text(self.state.election.network_id, self.frontier.size, self.frontier.root)
        self._lines = {}
        self._log_line = None
        self._witness_lines = {}
        for certificate in [one for one in self._early_notes.values() if one.height == tip.height]:
            self._take_early(partial(self._take, certificate.note))
        for link, kept in list(self._early.items()):
            self._early[link] = [cosigned for cosigned in kept if cosigned.size > self.frontier.size]
            for cosigned in [one for one in kept if one.size <= self.frontier.size]:
                self._take_early(partial(self._take_cosigned, link, cosigned))

    def _take_early(self, take: Callable[[], None]) -> None:
        try:
            take()
        except NotProven as error:
            self.state.ready.log.append(f"a cosignature of block {self._height} is refused: {error.message}")

    # -- cosignatures come -------------------------------------------------------------------------

    def on_cosignature(self, link: int, message: CosignatureMessage, now: float) -> None:
        """Of our tip, of a block that is on its way here, or of a log that may be another one."""
        if self._height != self.state.chain.tip.height:
            self._begin_text()  # a block was connected in this batch
        if message.node >= len(self._keys.cosign_keys):
            raise RemoteProtocolError("bad-statement", f"there is no named node {message.node}")
        root, cosignature = bytes.fromhex(message.root), bytes.fromhex(message.cosignature)
        cosigned = Cosigned(message.size, root, message.node, cosignature)
        if cosigned.size <= self.frontier.size:
            try:
                self._take_cosigned(link, cosigned)
            except NotProven as error:
                raise RemoteProtocolError("bad-statement", error.message) from None
            return
        kept = self._early.setdefault(link, [])
        if cosigned not in kept:
            kept.append(cosigned)
        if len(kept) > MAX_EARLY_CHECKPOINTS:
            kept.remove(min(kept))

    def on_certificate(self, link: int, message: CertificateMessage, now: float) -> None:
        """A certificate of our tip, or of a block on its way here: as good as the cosignatures alone."""
        if message.height > self._height:
            self._early_notes[link] = message
        elif message.height < self._height:
            self._look_back(link, message.note)
        else:
            try:
                self._take(message.note)
            except NotProven as error:
                self._look_back(link, message.note)
                raise RemoteProtocolError("bad-statement", error.message) from None

    def _look_back(self, link: int, note: str) -> None:
        provable = self.provable
        self._views.look_at(link, note, None if provable is None else provable.certificate)

    def peer_up(self, link: int) -> None:
        """Tell a new peer our certificate. While the tip has none, a named node is told our cosignature, too:
        it may have been away when we signed, and no other block may follow."""
        height = 0 if self.certified is None else self.certified.height
        if self.certified is not None:
            self.state.send(link, self._message(self.certified))
        me = self.state.index
        if me in self._lines and height < self._height == self.state.chain.tip.height:
            assert me is not None
            if self.state.is_named(link):
                self.state.send(link, cosignature_message(self._cosigned_by(me, self._lines[me])))

    def drop_peer(self, link: int) -> None:
        self._early.pop(link, None)
        self._early_notes.pop(link, None)

    @staticmethod
    def _message(certified: Certified) -> CertificateMessage:
        return CertificateMessage(height=certified.height, note=str(certified.certificate.note))

    def _take(self, note: str) -> None:
        """Raises NotProven."""
        certificate = read_certificate(note, self._keys)
        if certificate.note.text != self._text:
            raise NotProven("this is the certificate of another log", code="bad-checkpoint")
        new = False
        for node, key in enumerate(self._keys.cosign_keys):
            if node in certificate.signers and node not in self._lines:
                self._keep_line(node, good_lines(certificate.note, [key])[0])
                new = True
        self._log_line = self._log_line or next(iter(good_lines(certificate.note, self._keys.log_keys)), None)
        new |= self._add_witnesses(good_lines(certificate.note, self._keys.witness_keys))
        if new:
            self._certify()

    def witnessed(self, note: SignedNote) -> None:
        """A witness answered: its lines, which hold, stand below the checkpoint that it saw."""
        of_tip = self.certified is not None and self.certified.height == self._height
        if note.text == self._text and self._add_witnesses(note.signatures) and of_tip:
            self._certify()

    def _add_witnesses(self, lines: Iterable[NoteSignature]) -> bool:
        """Whether one of them is new. Only lines that hold."""
        new = {line.name: line for line in lines if line.name not in self._witness_lines}
        self._witness_lines |= new
        return bool(new)

    def _take_cosigned(self, link: int, cosigned: Cosigned) -> None:
        """Raises NotProven: this node did not make it."""
        note = cosigned.note(self.state.election)
        (line,) = note.signatures
        if note.text == self._text:
            self._add(cosigner_of(line, note.text, self._keys), line)
        elif note.text != self._before:  # else an honest node was slow
            self._views.cosigned_other(link, cosigned, self.frontier.size)

    def _add(self, node: int, line: NoteSignature) -> None:
        if node not in self._lines:
            self._keep_line(node, line)
            if len(self._lines) >= self.state.election.quorum:
                self._certify()

    def _keep_line(self, node: int, line: NoteSignature) -> None:
        self._lines[node] = line
        self._views.cosigned_ours(self._cosigned_by(node, line))

    def _cosigned_by(self, node: int, line: NoteSignature) -> Cosigned:
        return Cosigned(self.frontier.size, self.frontier.root, node, line.signature)

    def _certify(self) -> None:
        """The certificate of the tip, with all cosignatures that have come."""
        keys = self.state.info.keys
        if keys is not None and self.state.index is not None:
            self._log_line = sign_note(keys.log, self._keys.origin, self._text)
        lines = [*self._lines.values(), *self._witness_lines.values()]
        lines += [self._log_line] if self._log_line else []
        note = make_certificate(self._text, lines)
        signers = {node: cosignature_time(line.signature) for node, line in sorted(self._lines.items())}
        certificate = Certificate(self.frontier.size, self.frontier.root, signers, note)
        if self.certified is not None and self.certified.height < self._height:
            self._earlier = self.certified
        self.certified = Certified(self._height, certificate)
        self.state.ready.save.append(SaveCertificate(self._height, str(note)))

    def _tell(self) -> None:
        """Peers that are not named hear of each certificate once a quorum, all, or a witness have signed."""
        if self.certified is None:
            return
        signers = len(self.certified.certificate.signers)
        news = self.certified.height, signers, len(self._witness_lines)
        same = (news[0], news[2]) == (self._told[0], self._told[2])
        if news == self._told or (same and signers < self.state.election.named):
            return
        self._told = news
        message = self._message(self.certified)
        for link, peer in self.state.sync.peers.items():
            if self.state.election.node_index(peer.peer_info.node_key) is None:
                self.state.send(link, message)

    @property
    def provable(self) -> Certified | None:
        """The newest certificate of a log that is on the disk, so that proofs can be read there."""
        for found in (self.certified, self._earlier):
            if found is not None and self.state.chain.best[found.height].hash not in self.state.unsaved:
                return found
        return None

    @property
    def signers(self) -> Mapping[int, int]:
        """Who has cosigned the newest certificate, and when."""
        return {} if self.certified is None else self.certified.certificate.signers
