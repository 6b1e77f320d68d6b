"""Answers that prove something: where a vote is in the chain or in the log, and how the log has grown."""

from __future__ import annotations

from collections.abc import Callable

from votenet.core.ledger.chain import BlockIndexEntry, unpack_location
from votenet.core.log.merkle import leaf_hash
from votenet.core.log.tiles import consistency_nodes, inclusion_proof
from votenet.core.log.tlog_proof import TlogProof, check_path
from votenet.errors import NotProven, StorageCorrupt
from votenet.protocol.node.checkpoints import Certified, Checkpoints
from votenet.protocol.node.events import Served
from votenet.protocol.node.proofs import Proofs
from votenet.protocol.node.state import NodeState
from votenet.protocol.wire.client_messages import CheckpointMessage, GetCheckpoint, GetProof, Proof
from votenet.protocol.wire.limits import LOG_PROOF_UNITS
from votenet.protocol.wire.lines import final_proof_line, proof_line
from votenet.protocol.wire.messages import encode_message
from votenet.protocol.wire.peer_messages import MAX_HEADERS


class ProofAnswers:
    """`get_proof` and `get_checkpoint` at one node. `checkpoints`: where the election names nodes."""

    def __init__(self, state: NodeState, checkpoints: Checkpoints | None) -> None:
        self.state, self._checkpoints = state, checkpoints
        self._proofs = Proofs(state.source)

    # -- a vote --------------------------------------------------------------------------------------

    def on_get_proof(self, link: int, message: GetProof, now: float) -> None:
        """The vote and its path are read when it is this link's turn, from the chain as it is then."""
        self.state.ask(link, lambda: self._begin_proof(message))

    def _begin_proof(self, question: GetProof) -> Callable[[], Served]:
        chain = self.state.chain
        if (waiting := self.state.pool.of_voter(question.voter_id)) is not None:
            line = final_proof_line(waiting.record, "", question.id, height=0, position=0)
            return lambda: Served(line)
        location = chain.voters.get(question.voter_id)
        height, position = unpack_location(location or 0)
        entry = chain.best[height]
        if location is None or entry.hash in self.state.unsaved:  # what is not on the disk proves nothing
            nothing = Served(encode_message(Proof(id=question.id)))
            return lambda: nothing
        if self._checkpoints is not None:
            return self._in_log(self._checkpoints, entry, position, question.id)
        return self._in_chain(entry, position, question.id)

    def _in_chain(
        self, entry: BlockIndexEntry, position: int, request_id: int | None
    ) -> Callable[[], Served]:
        headers = self.state.chain.packed_headers(1, min(entry.height, MAX_HEADERS))

        def prove() -> Served:
            record, size, path, units = self._proofs.prove(entry.hash, entry.header.merkle_root, position)
            line = proof_line(
                record, entry.header.pack(), headers, request_id,
                height=entry.height, position=position, size=size, path=path,
            )  # fmt: skip
            return Served(line, units)

        return prove

    def _in_log(
        self, checkpoints: Checkpoints, entry: BlockIndexEntry, position: int, request_id: int | None
    ) -> Callable[[], Served]:
        certified = checkpoints.provable
        index = checkpoints.sizes[entry.height - 1] + position

        def prove() -> Served:
            [record] = self.state.source.records_of(entry.hash, position, 1)
            covered = certified is not None and entry.height <= certified.height
            text = self._proof_text(certified, index, record) if certified is not None and covered else ""
            line = final_proof_line(record, text, request_id, height=entry.height, position=position)
            return Served(line, LOG_PROOF_UNITS if covered else 0.0)

        return prove

    def _proof_text(self, certified: Certified, index: int, record: bytes) -> str:
        """Raises StorageCorrupt: the tiles are not those of the log."""
        certificate = certified.certificate
        try:
            path = inclusion_proof(index, certificate.size, self.state.source.tile)
            proof = TlogProof(index, tuple(path), certificate.note)
            check_path(proof, leaf_hash(record))
        except NotProven as error:
            raise _damaged(error) from error
        return str(proof)

    # -- the log -------------------------------------------------------------------------------------

    def on_get_checkpoint(self, link: int, message: GetCheckpoint, now: float) -> None:
        """The tiles are read when it is this link's turn."""
        self.state.ask(link, lambda: self._begin_checkpoint(message))

    def _begin_checkpoint(self, question: GetCheckpoint) -> Callable[[], Served]:
        certified = None if self._checkpoints is None else self._checkpoints.provable
        if certified is None:
            nothing = Served(encode_message(CheckpointMessage(id=question.id)))
            return lambda: nothing
        size, note = certified.certificate.size, str(certified.certificate.note)

        def prove() -> Served:
            nodes: list[bytes] = []
            if question.size < size:
                try:
                    nodes = consistency_nodes(question.size, size, self.state.source.tile)
                except NotProven as error:
                    raise _damaged(error) from error
            message = CheckpointMessage(
                note=note,
                height=certified.height,
                proof=tuple(node.hex() for node in nodes),
                id=question.id,
            )
            return Served(encode_message(message), LOG_PROOF_UNITS if nodes else 0.0)

        return prove


def _damaged(error: NotProven) -> StorageCorrupt:
    return StorageCorrupt(
        f"the stored tiles are not those of the election's log: {error.message}",
        next_step="Move the node's chain.db* files away and start it again: it fetches the chain from its"
        " peers. Check the disk.",
    )
