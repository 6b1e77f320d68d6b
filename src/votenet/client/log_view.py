"""The log of an election as this user has seen it: what nodes show must continue it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from votenet.client.answers import fetch_results, wrong_answer
from votenet.client.connection import NodeConnection
from votenet.core.election.definition import Election
from votenet.core.log.certificate import Certificate, read_certificate
from votenet.core.log.merkle import roots_from_consistency
from votenet.core.records.evidence import encode_evidence, evidence_of_split, kind_of
from votenet.errors import Command, ConfigError, NextStep, NotProven, StorageError, Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import CheckpointMessage, GetCheckpoint, Results
from votenet.storage.known_elections import KnownElections


class ShownLog(NamedTuple):
    """The newest certificate of a node, and the height of its last block."""

    certificate: Certificate
    height: int


class LogView:
    """The largest certificate of one election that was seen; nodes are compared with it.

    Args:
        known: where it is kept between programs, and evidence of lies is saved; without it nothing is.
    """

    def __init__(self, election: Election, known: KnownElections | None = None) -> None:
        self.election, self._known = election, known
        self.newest: Certificate | None = None
        self.behind: set[Address] = set()
        """Nodes whose log is shorter than `newest`: it was not compared with that."""
        if known is not None and (note := known.checkpoint_of(election.network_hex)):
            with contextlib.suppress(NotProven):  # a file that others wrote; the next certificate replaces it
                self.newest = read_certificate(note, election.named_keys)

    async def look(self, node: NodeConnection) -> ShownLog | None:
        """The newest certificate of a node, checked, and that it continues what was seen; None: it has none.

        Several looks at a time may be under way: each certificate must continue what others found meanwhile.

        Raises:
            NotProven: wrong-answer; split-view, when named nodes have signed two logs that contradict each
                other. Evidence is saved then.
        """
        while True:
            seen = self.newest
            answer = await node.ask(GetCheckpoint(size=0 if seen is None else seen.size), CheckpointMessage)
            shown = self.read(answer.note, node.address) if answer.note else None
            # Each block, and genesis, has a record in the log.
            if shown is not None and answer.height >= shown.size:
                raise wrong_answer(node.address, f"a log of {shown.size} records for {answer.height} blocks")
            newest = self.newest
            if shown is None or newest is None or newest is seen or shown.size <= newest.size:
                break  # else the proof does not lead from the log that another look has just found
        source = str(node.address)
        if shown is not None and seen is not None and shown.size >= seen.size:
            self.compare(seen, shown, answer.proof, source)
        if newest is not None and (shown is None or shown.size < newest.size):
            self.behind.add(node.address)
        elif shown is not None:
            self.behind.discard(node.address)
            if newest is not None and newest is not seen:
                self.compare(newest, shown, (), source)  # they are of the same size
            self._remember(shown)
        return None if shown is None else ShownLog(shown, answer.height)

    async def check(self, node: NodeConnection, certificate: Certificate) -> None:
        """Check that a certificate, such as that of a receipt, belongs to the log that the node shows.

        Raises:
            NotProven: as `look`.
            Unreachable: the node's own log is shorter, so it cannot say.
        """
        shown = await self.look(node)
        if shown is None or shown.certificate.size < certificate.size:
            raise Unreachable(
                f"the log of {node.address} is shorter than one that named nodes have signed: it is catching"
                " up, or hides the rest",
                next_step="Ask another node with --node HOST:PORT, or this one again in a moment.",
            )
        answer = await node.ask(GetCheckpoint(size=certificate.size), CheckpointMessage)
        self.compare(certificate, self.read(answer.note, node.address), answer.proof, str(node.address))

    def read(self, note: str, address: Address) -> Certificate:
        """A certificate that a node sent. Raises NotProven: wrong-answer."""
        try:
            return read_certificate(note, self.election.named_keys)
        except NotProven as error:
            raise wrong_answer(
                address, f"a certificate that does not hold: {error.message} ({error.code})"
            ) from error

    def _remember(self, certificate: Certificate) -> None:
        if self.newest is not None and self.newest.size >= certificate.size:
            return
        self.newest = certificate
        if self._known is not None:
            with contextlib.suppress(ConfigError, StorageError):  # a home that cannot be written
                self._known.remember_checkpoint(self.election.network_hex, str(certificate.note))

    def compare(self, old: Certificate, new: Certificate, proof: Sequence[str], source: str) -> None:
        """Check that `new`, which `source` shows, continues `old`; `proof` as in `checkpoint`.

        Raises:
            NotProven: wrong-answer, split-view.
        """
        if new.size < old.size:
            raise wrong_answer(source, "a log that is shorter than the one it has just shown")
        if new.size == old.size:
            if new.root != old.root:
                raise self._split_view(old, new, (), source)
            return
        nodes = [bytes.fromhex(node) for node in proof]
        roots = roots_from_consistency(old.size, new.size, nodes)
        if roots is None or roots[1] != new.root:
            raise wrong_answer(source, "hashes that do not lead to its own certificate")
        if roots[0] != old.root:
            raise self._split_view(old, new, nodes, source)

    def _split_view(
        self, old: Certificate, new: Certificate, nodes: Sequence[bytes], source: str
    ) -> NotProven:
        """The error, with evidence saved against each named node that signed both."""
        proofs = evidence_of_split(self.election, old, new, nodes)
        names = ", ".join(self.election.node_names([proof.node for proof in proofs]))
        paths = [
            self._known.keep_evidence(
                f"{self.election.network_hex[:16]}-{kind_of(proof)}-{proof.node}.json", encode_evidence(proof)
            )
            for proof in proofs
            if self._known is not None
        ]
        step = NextStep("Believe no result of this election before it is explained. Tell the organisers.")
        if paths:
            show = Command.calling("evidence verify", str(paths[0]))
            step = NextStep("Believe no result of this election before it is explained. The proof: {}", show)
        return NotProven(
            f"{source} shows another log than the one that was signed before: that of {new.size:,} records"
            f" does not continue that of {old.size:,}. These nodes signed both: {names}",
            code="split-view",
            next_step=step,
        )


async def fetch_final_results(node: NodeConnection, view: LogView) -> Results:
    """The count of a node; that a quorum signed a log, and who, is checked by its certificate.

    The certificate also proves how many votes and blocks there are together. How the votes fall on the
    candidates is the word of the node: no signature covers it.

    Raises:
        NotProven: wrong-answer; split-view.
    """
    results = await fetch_results(node, view.election)
    if results.final_height is None:
        return results
    shown = await view.look(node)
    if shown is None or shown.height < results.final_height:
        raise wrong_answer(node.address, "a certificate that it does not show")
    _check_total(results, shown, view.election, node.address)
    signers = view.election.node_names(shown.certificate.signers)
    return msgspec.structs.replace(results, signed_by=signers)


def _check_total(results: Results, shown: ShownLog, election: Election, address: Address) -> None:
    """Compare votes, amendments and blocks with the size of the log that named nodes have signed.

    Beside them the log holds the header of genesis and, once the poll is closed, the records of the closing;
    a log that is signed up to a later block holds more.

    Raises:
        NotProven: wrong-answer.
    """
    if shown.height < results.height:
        return  # the last blocks are not signed yet
    others = shown.certificate.size - 1 - results.height - results.votes - results.amendments
    may_be_closed = results.closes is not None and others >= election.quorum
    if others < 0 or (others and shown.height == results.height and not may_be_closed):
        raise wrong_answer(
            address,
            f"{results.votes:,} votes and {results.amendments:,} amendments in {results.height:,} blocks,"
            f" where named nodes have signed a log of {shown.certificate.size:,} records",
        )
