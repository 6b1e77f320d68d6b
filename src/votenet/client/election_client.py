"""The asynchronous client of an election: cast votes, ask for results and proofs, watch."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar

from votenet.client.answers import fetch_amendments, fetch_election, fetch_vote_status
from votenet.client.connection import NODE_ANSWER_SECONDS, NodeConnection
from votenet.client.failover import NODE_DIAL_SECONDS, Failover, Work
from votenet.client.log_view import LogView, ShownLog, fetch_final_results
from votenet.client.nodes import (
    MAX_LISTED_NODES,
    AddressLike,
    nodes_at_bootstrap,
    parse_addresses,
    readable_addresses,
)
from votenet.client.voting import (
    CastResult,
    Choices,
    VoterKey,
    Waiting,
    cast_vote,
    fetch_best_receipt,
    stored_key,
)
from votenet.config import known_dir
from votenet.core.election.definition import Election
from votenet.core.keys import SigningKey
from votenet.errors import ConfigError, Rejected, StorageError, Unreachable
from votenet.protocol.wire.address import Address
from votenet.protocol.wire.client_messages import GetStatus, NodeStatus, Proof, Results, VoteStatus
from votenet.protocol.wire.peer_messages import GetPeers, Peers
from votenet.storage.known_elections import KnownElections

if TYPE_CHECKING:
    from votenet.client.amendments import AmendmentResult, Change
    from votenet.client.secret_votes import ArchivedShares
    from votenet.client.watch import ElectionEvent
    from votenet.core.records.evidence import Evidence
    from votenet.core.records.receipt import Receipt

CAST_SECONDS: Final = 30.0
"""How long `cast` waits until a vote is final (without named nodes: in a block), unless told otherwise."""

T = TypeVar("T")


class AsyncElectionClient:
    """One election, asked at whichever of its nodes answers; an async context manager.

    A connection is kept to one node. When that fails, or refuses for now, the next node is asked. Each node
    must show the same election as the first. What a method returns is the word of one node, `node`, except
    what is final: its proof is checked here, and so are results and receipts against the definition.

    The network at an address is remembered on first use: a node that shows another one later is refused. So
    is the largest certificate of the election's log that was seen: every later one must continue it.

    Raises (on entry, and by every method):
        Unreachable: no node answers.
        Rejected: a node refused; network-mismatch for a node of another election.
        NotProven: wrong-answer; a node's answer cannot be true. split-view; named nodes have signed two logs
            that contradict each other.
    """

    def __init__(
        self,
        addresses: AddressLike | Sequence[AddressLike] = (),
        *,
        bootstrap: AddressLike | None = None,
        network_id: str | None = None,
        discover: bool = False,
        keys: Path | None = None,
        known: Path | None = None,
        remember: bool = True,
        dial_timeout: float = NODE_DIAL_SECONDS,
        answer_timeout: float = NODE_ANSWER_SECONDS,
    ) -> None:
        """Nothing is dialled before entry.

        Args:
            addresses: nodes as `host:port`, in the order in which they are tried.
            bootstrap: a bootstrap server as `host:port`, which is asked for more nodes.
            network_id: the network (64 hexadecimal digits) that every node must belong to; without it, the
                one remembered for an address here, else that of the first node that answers.
            discover: ask the first node for others, too, and go on with those when it fails.
            keys: folder of the voters' keys. By default that of this user, which `votenet vote` uses.
            known: folder of what is remembered of elections. By default that of this user.
            remember: without it nothing is read there or written, and no evidence of lies is saved.
            dial_timeout: seconds for a connection to a node.
            answer_timeout: seconds for each answer of a node.

        Raises:
            Rejected: bad-address.
        """
        self._bootstrap = None if bootstrap is None else parse_addresses(bootstrap)[0]
        self._network_id, self._discover, self._keys = network_id, discover, keys
        named = parse_addresses(addresses)
        self._nodes = Failover(named, self._admit, dial_timeout=dial_timeout, answer_timeout=answer_timeout)
        self._pins = [str(address) for address in ([self._bootstrap] if self._bootstrap else named)]
        """Addresses at which a network is remembered."""
        self._known_folder, self._remember = known, remember
        self._known: KnownElections | None = None
        self._anchor = "given" if network_id is not None else "first use"
        self._view: LogView | None = None

    async def __aenter__(self) -> AsyncElectionClient:
        if self._remember:
            self._known = KnownElections(self._known_folder or known_dir())
            self._recall_network(self._known)
        try:
            if self._bootstrap is not None:
                await self._ask_bootstrap(self._bootstrap)
            self._nodes.add(await self._nodes.run(self._peers))
        except BaseException:
            await self._nodes.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._nodes.close()

    # -- what is known without asking --------------------------------------------------------------

    @property
    def election(self) -> Election:
        """What is voted on, by which rules; `election.definition` has candidates, method and hours.

        Amendments are not in it: see `amended`.
        """
        return self.log.election

    @property
    def log(self) -> LogView:
        """The largest certificate of the election's log that was seen, with which nodes are compared."""
        assert self._view is not None, "used before it was entered"
        return self._view

    @property
    def anchor(self) -> str:
        """Why this network is believed to be the right one: `given`, `remembered`, or `first use` only."""
        return self._anchor

    @property
    def network_id(self) -> str:
        """The id of the election's network, 64 hexadecimal digits."""
        return self.election.network_hex

    @property
    def candidates(self) -> tuple[str, ...]:
        """The candidates of the first contest, in the order of the definition."""
        return self.election.names

    @property
    def node(self) -> Address:
        """The node that answered last, and that is asked next."""
        return self._nodes.address

    def add_nodes(self, addresses: AddressLike | Sequence[AddressLike]) -> None:
        """More nodes, to be tried after those that are known. Raises Rejected: bad-address."""
        self._nodes.add(parse_addresses(addresses))

    # -- voting ------------------------------------------------------------------------------------

    async def cast(
        self,
        voter_id: str,
        choices: Choices,
        *,
        key: SigningKey | VoterKey | None = None,
        wait: float = CAST_SECONDS,
        confirmations: int = 1,
        on_received: Callable[[CastResult], object] = lambda cast: None,
        credential: str | None = None,
    ) -> CastResult:
        """Sign a vote, hand it to the first node that takes it, and wait until it is final.

        Without named nodes no vote is ever final: it waits for the block. A node that fails meanwhile is
        passed over. The same signed vote goes to the next one, so it cannot be counted twice; where too few
        named nodes have signed that they hold it, it goes to all nodes that are known here.

        Args:
            choices: one candidate, or several in order of preference where the election allows it; with
                several contests, choices by contest id (contests that are left out stay blank).
            key: the voter's key. By default the one in the folder of keys; it is made on first use, but
                never where the election has a roll.
            wait: seconds to wait; 0 returns once the vote is on a node's disk.
            confirmations: without named nodes, blocks to wait for, that of the vote included.
            on_received: called once the vote was received, before the wait.
            credential: the voter's secret credential, which follows from the code on the card
                (`credential_of_code`); only where ballots are secret.

        Raises:
            Rejected: unknown-candidate, bad-choices, already-voted, not-open, closed, not-on-roll, …
            WaitTimedOut: not-final-yet, not-in-block-yet, not-confirmed-yet; the vote was received and stays
                valid.
            VotenetError: no-key; the election has a roll, and there is no key for the voter. no-credential;
                ballots are secret, and none was given.
        """

        return await cast_vote(
            self._nodes,
            self.log,
            voter_id,
            choices,
            lambda: key or stored_key(self.election, voter_id, self._key_folder()),
            Waiting(wait, confirmations),
            on_received,
            credential,
        )

    async def vote_status(self, voter_id: str) -> VoteStatus:
        """Where the vote of a voter stands: unknown, accepted (received), in_block or final, says the node.

        `receipt` proves that it is final.
        """
        return await self._nodes.run(lambda node: fetch_vote_status(node, voter_id))

    # -- results and proofs ------------------------------------------------------------------------

    async def results(self) -> Results:
        """The count of the votes on the chain, and the outcome by the election's method.

        With named nodes: up to the block at `final_height` it is final, as `signed_by` have signed, whose
        certificate is checked here. That the count is that of their log is the word of the node: an audit of
        `archive` shows it.
        """
        return await self._nodes.run(lambda node: fetch_final_results(node, self.log))

    async def receipt(self, voter_id: str, *, key: str | None = None, received: bool = False) -> Receipt:
        """The proof that the vote of a voter is final, checked; `encode_receipt` makes it a file.

        Without named nodes it proves that the vote is on the chain.

        Args:
            key: the voter's public key, 64 hexadecimal digits: no other may have signed the vote. By default
                that in the folder of keys, if there is one.
            received: of a vote that still waits for its block, take the proof that named nodes received it.

        Raises:
            Rejected: not-found; no vote of the voter is known, or without named nodes in a block.
            NotProven: the receipt does not hold; not-final; other-key; wrong-answer; split-view.
        """
        from votenet.client.receipts import fetch_receipt

        known = key or self._public_key(voter_id)
        if received:
            return await fetch_best_receipt(self._nodes, self.log, voter_id, known)
        return await self._nodes.run(lambda node: fetch_receipt(node, self.log, voter_id, known))

    async def proof(self, voter_id: str, *, key: str | None = None) -> Proof:
        """The vote of a voter with its path to a block's Merkle root, checked: shorter than a receipt.

        That the block is on the chain is the word of the node. With named nodes it has the proof of the log
        instead, and is final. Arguments and errors as for `receipt`.
        """
        from votenet.client.receipts import fetch_proof

        known = key or self._public_key(voter_id)
        return await self._nodes.run(lambda node: fetch_proof(node, self.log, voter_id, known))

    async def confirmations(self, receipt: Receipt) -> int:
        """Check a receipt, and count the blocks from its block on, that one included.

        Raises:
            NotProven: it does not hold; abandoned, when its block is not on the chain of the node;
                split-view, when its log is another one than that of the node.
        """
        from votenet.client.receipts import fetch_confirmations

        return await self._nodes.run(lambda node: fetch_confirmations(node, self.log, receipt))

    # -- amendments --------------------------------------------------------------------------------

    async def amend(
        self,
        authority: SigningKey,
        change: Change,
        *,
        wait: float = CAST_SECONDS,
        on_taken: Callable[[AmendmentResult], object] = lambda result: None,
    ) -> AmendmentResult:
        """Sign a change of the election with the authority's key, and wait until its block is final.

        Args:
            wait: seconds to wait; 0 returns once a node has saved it.
            on_taken: called once a node has saved it, before the wait.

        Raises:
            Rejected: bad-amendment; the key is another, the voter has voted, the hour has passed, …
            WaitTimedOut: not-final-yet; it was saved, and holds once it is final.
        """
        from votenet.client.amendments import submit_change

        return await submit_change(self._nodes, self.log, authority, change, wait, on_taken)

    async def amended(self) -> Election:
        """The election in force: with all amendments that a node shows, whose signatures are checked here.

        `election` is as it was before any amendment.
        """
        return (await self._nodes.run(lambda node: fetch_amendments(node, self.election))).election

    # -- nodes -------------------------------------------------------------------------------------

    async def status(self) -> NodeStatus:
        """What a node says about itself: height, tip, votes, peers, warnings."""
        return await self._nodes.run(lambda node: node.ask(GetStatus(), NodeStatus))

    async def evidence(self) -> list[Evidence]:
        """Proofs that named nodes lied, as one node has them, each checked.

        Raises:
            NotProven: bad-evidence; the node accuses another of what is not proven.
        """
        from votenet.client.evidence import fetch_evidence

        return await self._nodes.run(lambda node: fetch_evidence(node, self.election))

    async def at_one_node(self, work: Work[T]) -> T:
        """What `work` returns, given an open connection to one node; repeated at the next if that fails."""
        return await self._nodes.run(work)

    # -- streams -----------------------------------------------------------------------------------

    def watch(
        self, *voter_ids: str, interval: float = 0.5, patience: float = 60.0
    ) -> AsyncGenerator[ElectionEvent, None]:
        """What happens from now on: BlockAdded, BlockRemoved, and VoteMoved for these voters.

        First comes the newest block of the chain as it is, and where each vote stands. The stream does not
        end by itself. It goes on at another node when one fails.

        Args:
            interval: seconds between two questions to a node.
            patience: seconds without any answer before Unreachable is raised.
        """
        from votenet.client.watch import watch

        return watch(self._nodes, self.election, voter_ids, interval=interval, patience=patience)

    async def archive(self, report: Callable[[int, int], None] | None = None) -> AsyncGenerator[bytes, None]:
        """The chain that `node` has now, as lines of an archive file: `check_archive` checks and counts it.

        Everything is checked on the way except signatures. With named nodes it ends with the newest
        certificate, and the block that this is of. Of secret ballots it holds the trustees' shares that are
        of these votes; where votes have weights, which only the roll tells, those that the node gave.

        Args:
            report: called after each block with how many are fetched, and how many there are.
        """
        from votenet.client.observer import Observer
        from votenet.client.secret_votes import ArchivedShares
        from votenet.core.ledger.extras import encode_extras
        from votenet.core.records.archive import archive_lines

        arrived: list[tuple[bytes, bytes, bytes]] = []

        def blocks() -> Iterator[tuple[bytes, bytes, bytes]]:
            while arrived:  # one: a line is written before the next block is fetched
                yield arrived.pop()

        shares = ArchivedShares(self.election)
        shown = await self._nodes.run(partial(self._look, shares)) if self.election.named else None
        note = "" if shown is None else str(shown.certificate.note)
        lines = archive_lines(self.election, blocks(), note, shares.texts)
        yield next(lines)
        yield next(lines)
        async with Observer(self.node, self.election, dial_timeout=NODE_DIAL_SECONDS) as observer:
            headers, done = await observer.headers(), 0
            if shown is not None:
                _check_whole(len(headers), shown.height, self.node)
                del headers[shown.height :]
            async for block in observer.blocks(headers):
                records = b",".join(vote.record for vote in block.votes)
                arrived.append((block.header.pack(), records, encode_extras(block.extras)))
                await asyncio.to_thread(shares.count, block.votes)
                yield next(lines)
                done += 1
                if report is not None:
                    report(done, len(headers))
        await asyncio.to_thread(shares.drop_others)
        yield next(lines)

    async def _look(self, shares: ArchivedShares, node: NodeConnection) -> ShownLog | None:
        """The certificate of a node, and before it the shares there: such a certificate is of the final
        result, where a later share would stand beside one that is not."""
        await shares.fetch(node)
        return await self.log.look(node)

    # -- inside ------------------------------------------------------------------------------------

    def _recall_network(self, remembered: KnownElections) -> None:
        """Without a network id that was given, the one at an address here is that of last time."""
        found = [remembered.network_at(address) for address in self._pins if self._network_id is None]
        if known := [network_id for network_id in found if network_id is not None]:
            self._network_id, self._anchor = known[0], "remembered"

    async def _admit(self, node: NodeConnection) -> None:
        try:
            election = await fetch_election(node, self._network_id)
        except Rejected as error:
            raise self._explained(error, node) from None
        if self._view is not None:
            return
        self._view, self._network_id = LogView(election, self._known), election.network_hex
        if self._known is None:
            return
        with contextlib.suppress(ConfigError, StorageError):  # a home that cannot be written
            for address in self._pins:
                if self._bootstrap is not None or address == str(node.address):
                    self._known.remember_network(address, election.network_hex)

    def _explained(self, error: Rejected, node: NodeConnection) -> Rejected:
        """Says of another network that it differs from the remembered one."""
        if error.code != "network-mismatch" or self._anchor != "remembered":
            return error
        return Rejected(
            error.code,
            f"{node.address} is a node of another network than the one remembered here,"
            f" {str(self._network_id)[:16]}…",
        ).advising(
            "Ask a node of that network. If the organisers have begun another election, give the network id"
            " that they published: --network ID"
        )

    async def _ask_bootstrap(self, bootstrap: Address) -> None:
        """Add the nodes that a bootstrap server knows; it may be away where nodes are named."""
        try:
            self._nodes.add(await nodes_at_bootstrap(bootstrap, self._network_id))
        except Unreachable:
            if not self._nodes.addresses:
                raise

    async def _peers(self, node: NodeConnection) -> list[Address]:
        """Other nodes that this one knows, if they are wanted."""
        if not self._discover:
            return []
        return readable_addresses((await node.ask(GetPeers(), Peers)).addresses)[:MAX_LISTED_NODES]

    def _key_folder(self) -> Path:
        from votenet.config import instance_dirs

        return self._keys or instance_dirs().keys

    def _public_key(self, voter_id: str) -> str | None:
        from votenet.storage.key_store import KeyStore

        stored = KeyStore(self._key_folder()).find(voter_id)
        return None if stored is None else stored.key.public_hex


def _check_whole(found: int, final: int, address: Address) -> None:
    """Check that a node gave all blocks up to that of its certificate. Raises Unreachable."""
    if found < final:
        raise Unreachable(
            f"{address} gave {found:,} of the {final:,} blocks that named nodes have signed: it is catching"
            " up, or hides the rest",
            next_step="Ask another node with --node HOST:PORT, or this one again in a moment.",
        )
