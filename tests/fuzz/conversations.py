"""Targets: conversations of peers, clients and bootstrap servers, without sockets.

Conversations are scripts, line by line, in the language of the golden ones (tests/scenarios), which are
the seeds. A line that this language does not know is passed over: to change a script must not break it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fuzz.engine import Target
from protocol.test_bootstrap_scenarios import Player as BootstrapPlayer
from protocol.test_node_scenarios import Player as NodePlayer
from support.elections import CREATED, TRIVIAL_BITS, Ledger, key_of, make_election, make_vote, make_votes
from support.message_samples import SAMPLES
from support.nodes import CLIENT, HandNode, block_message, compact_block, headers_of
from votenet.errors import REFUSALS, Rejected, RemoteProtocolError
from votenet.network.transport import error_line
from votenet.protocol.bootstrap.bootstrap_messages import (
    KnownPeer,
    decode_peers,
    decode_request,
    decode_text,
    encode_page,
    encode_plain,
    encode_request,
)
from votenet.protocol.bootstrap.peer_record import check_record, check_removal, sign_record, sign_removal
from votenet.protocol.node.events import Received, Tick
from votenet.protocol.wire.address import parse_address
from votenet.protocol.wire.client_messages import SubmitVotes
from votenet.protocol.wire.connection import Connection, LocalNode
from votenet.protocol.wire.error_lines import error_in
from votenet.protocol.wire.fields import decode_data
from votenet.protocol.wire.framing import LineReader
from votenet.protocol.wire.message import LinkRole, Message
from votenet.protocol.wire.messages import MESSAGES, decode_message, encode_message
from votenet.protocol.wire.peer_messages import GetBlocks, GetHeaders, Hello, HelloProof, Votes

SCENARIOS: Final = Path(__file__).parent.parent / "scenarios"
MAX_SCRIPT_LINES: Final = 60
TYPES: Final = tuple(b'{"type":"%s"}' % kind.encode() for kind in MESSAGES)
ELECTION: Final = make_election(bits=TRIVIAL_BITS)


def scenarios(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(SCENARIOS.glob(pattern))]


# -- framing ---------------------------------------------------------------------------------------


def framing(data: bytes) -> None:
    """Chunks of any size give the same lines and the same end. First byte: the size, second: the limit."""
    size, limit, data = 1 + data[0] if data else 1, data[1] if len(data) > 1 else 9, data[2:]
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert _lines(chunks, limit) == _lines([data], limit)


def _lines(chunks: list[bytes], limit: int) -> tuple[list[bytes], str]:
    reader, lines = LineReader(limit), []
    try:
        for chunk in chunks:
            reader.feed(chunk)
            assert reader.pending <= limit + len(chunk)
            while (line := reader.next_line()) is not None:
                assert len(line) <= limit
                lines.append(line)
        reader.finish()
    except RemoteProtocolError as error:
        return lines, error.code
    return lines, ""


# -- messages --------------------------------------------------------------------------------------


def messages(data: bytes) -> None:
    """A line is refused, or is a message that survives being written and read again."""
    message = decode_message(data)
    assert decode_message(encode_message(message)) == message
    if "data" in message.__struct_fields__:
        decode_data(message.data)  # type: ignore[union-attr]


def answers_of_servers(data: bytes) -> None:
    """What a bootstrap server or a node may answer to a client. First byte: which reader."""
    kind, line = data[:1], data[1:]
    if kind == b"p":
        decode_peers(line)
    elif kind == b"t":
        decode_text(line)
    elif (error := error_in(line)) is not None:
        error_line(error)


def _server_answers() -> list[bytes]:
    refusal = error_line(Rejected("not-owner", "no", expires=5))
    page = encode_page([KnownPeer("a:1", "ab" * 32, "cd" * 32), KnownPeer("b:2")], 7)
    lists = [encode_plain(["a:1", "[::1]:2"]), page, b"[]", b"Peer registered successfully"]
    return [kind + line for line in (refusal, *lists) for kind in (b"p", b"t", b"r", b"n")]


def addresses(data: bytes) -> None:
    """What is taken for an address is printed so that it is taken again."""
    found = parse_address(data.decode("utf-8", "replace"))
    assert parse_address(str(found)) == found


# -- the handshake ---------------------------------------------------------------------------------


def handshake(data: bytes) -> None:
    """Lines for both ends of a link. `~` stands for what an honest other side would say now."""
    network = ELECTION.network_hex
    for outbound in (False, True):
        ours = Connection(LocalNode(key_of("us"), network, "us:1"), outbound=outbound, challenge=bytes(32))
        honest = Connection(
            LocalNode(key_of("them"), network, "them:1"), outbound=not outbound, challenge=bytes([1] * 32)
        )
        waiting: list[Message] = [ours.hello(3, 4)] if outbound else []
        for line in data.splitlines()[:MAX_SCRIPT_LINES]:
            if line == b"~":
                line = _honest_line(honest, waiting)
            message, answers = ours.receive(line, 3, 4)
            waiting += answers
            assert message is None or ours.role in message.senders
            assert (ours.peer_info is not None) == (ours.role is LinkRole.PEER)


def _honest_line(honest: Connection, waiting: list[Message]) -> bytes:
    """The next line of the honest side, which has heard what waits for it."""
    if not waiting and honest.role is LinkRole.STRANGER and honest.outbound:
        return encode_message(honest.hello(1, 2))
    for message in waiting:
        try:
            _, answers = honest.receive(encode_message(message), 1, 2)
        except RemoteProtocolError:
            continue
        if answers:
            waiting.clear()
            return encode_message(answers[0])
    return b'{"type":"ping"}'


def _handshakes() -> list[bytes]:
    hello = Hello(
        challenge="ab" * 32, height=1, network_id=ELECTION.network_hex, node_key=key_of("x").public_hex,
        seed="00" * 8, version=1, work="ff", listen="x:1",
    )  # fmt: skip
    lines = [encode_message(sample) for sample in SAMPLES]
    return [
        *(b"~\n~\n" + line for line in lines),
        *(
            encode_message(hello) + b"\n" + line
            for line in (b"~", encode_message(HelloProof(proof="cd" * 64)))
        ),
        b"~\n~\n~\n" + b"\n".join(lines[:3]),
    ]


# -- a node ----------------------------------------------------------------------------------------


class TolerantNodePlayer(NodePlayer):
    """The player of the golden conversations, for scripts that make no sense."""

    def line_of(self, text: str) -> bytes:
        raw = text.encode("utf-8", "surrogateescape")
        votes = text.startswith("vote ") and len(text.split()) > 1 and raw.decode("utf-8", "replace") == text
        return super().line_of(text) if votes else raw

    def settings(self, words: list[str]) -> None:
        if words[:1] == ["client"] and len(words) == 2:
            self.name = words[1]
        elif words[:1] == ["time"] and len(words) == 2 and words[1].strip("+").isascii():
            digits = words[1].strip("+")
            self.net.run(min(float(digits), 200.0) if digits.isascii() and digits.isdigit() else 1.0)
        elif words == ["mine"]:
            self.net.run_until(lambda: not len(self.node.core.state.pool), 120.0)


def node_script(data: bytes) -> None:
    """Clients talk to a whole node in memory, in virtual time."""
    player = TolerantNodePlayer()
    for line in _script(data):
        if line.startswith("@"):
            player.settings(line[1:].split())
        elif line.startswith("> "):
            for answer in player.send(line[2:]):
                assert answer
    _check_counts(player.node.core.state.chain)


def _script(data: bytes) -> Iterator[str]:
    """Lines of a script that are commands."""
    for line in data.decode("utf-8", "surrogateescape").split("\n")[: 4 * MAX_SCRIPT_LINES]:
        if line.startswith(("@", ">")):
            yield line


def _check_counts(chain: object) -> None:
    """Whatever was said, the count is that of the voters on the chain."""
    tally, voters = chain.tally, chain.voters  # type: ignore[attr-defined]
    assert tally.votes == len(voters)


def node_core(data: bytes) -> None:
    """Peers 1 to 3 and a client (0) talk to a node's core; `d` jumps in time, `m` mines, `b` finds a block.

    The first byte of a line says who speaks. Peers have passed the handshake.
    """
    node = HandNode(ELECTION)
    for link in (1, 2, 3):
        node.meet(link, work=link, mines=link == 3)
    for number, line in enumerate(data.split(b"\n")[:MAX_SCRIPT_LINES]):
        who, text = line[:1], line[1:]
        if who == b"d":
            node.now += 1 + int.from_bytes(text[:2], "big")
            node.run(Tick())
        elif who == b"m":
            if node.template is not None:
                node.mine()
        elif who == b"v":
            voter, *names = text.decode("utf-8", "replace")[:300].split()[:4] or ["v"]
            vote = make_vote(ELECTION, voter[:128], *(name[:200] for name in names))
            node.receive(CLIENT if number % 2 else 1, *_submission(vote, number))
        else:
            _say(node, CLIENT if who == b"0" else (who or b"1")[0] % 3 + 1, text)
        assert len(node.state.pool) <= 100_000
    _check_counts(node.chain)


def _submission(vote, number: int) -> list[Message]:  # type: ignore[no-untyped-def]
    return [SubmitVotes(votes=(vote.vote,), id=1)] if number % 2 else [Votes(votes=(vote.vote,))]


def _say(node: HandNode, link: int, text: bytes) -> None:
    """One line, as Connection lets it through."""
    try:
        message = decode_message(text)
    except RemoteProtocolError:
        return
    role = LinkRole.STRANGER if link == CLIENT else LinkRole.PEER
    if role in message.senders and not isinstance(message, Hello | HelloProof):
        ready = node.run(Received(link, message))
        for to, answer in ready.send:
            encode_message(answer)
            assert to >= 0
        for _, error in ready.refuse:
            assert error.code in REFUSALS
            error_line(error)


def _core_scripts() -> list[bytes]:
    ledger, other = Ledger(ELECTION), Ledger(ELECTION)
    votes = make_votes(ELECTION, 9)
    chain = [ledger.grow(*votes[:3]), ledger.grow(*votes[3:5]), ledger.grow()]
    branch = [other.grow(*votes[5:7]), other.grow(votes[0]), other.grow(votes[1]), other.grow(*votes[7:])]
    line = [encode_message(block_message(block)) for block in chain]
    side = [encode_message(block_message(block)) for block in branch]
    tip = [GetHeaders(locator=(block.header.hash.hex(),)) for block in chain]
    some = [encode_message(sample) for sample in SAMPLES]
    return [
        b"\n".join(b"1" + text for text in (encode_message(headers_of(*chain)), *line)),
        b"\n".join(b"2" + text for text in (encode_message(headers_of(chain[0])), line[0], line[1])),
        b"\n".join(
            b"1" + text if text in first else b"2" + text
            for first in [[encode_message(headers_of(*chain)), *line]]
            for text in (*first, encode_message(headers_of(*branch)), *side)
        ),
        b"\n".join([b"vann Alice", b"vbob Bob", b"m", b"vann Bob", b"d\x00\x50", b"vcy", b"m", some[-1]]),
        b"\n".join([b"1" + encode_message(compact_block(chain[0])), b"1" + line[0], b"d\x01\x00"]),
        b"1" + encode_message(Votes(votes=tuple(v.vote for v in votes[:3])))
        + b"\n2" + encode_message(compact_block(chain[0])),
        b"\n".join(b"3" + encode_message(ask) for ask in tip),
        b"3" + encode_message(GetBlocks(hashes=tuple(block.header.hash.hex() for block in chain))),
        *(b"1" + text + b"\n0" + text for text in some),
    ]  # fmt: skip


# -- the bootstrap ---------------------------------------------------------------------------------


class TolerantBootstrapPlayer(BootstrapPlayer):
    def settings(self, words: list[str]) -> None:
        if words[:1] == ["time"]:
            digits = words[-1].strip("+")
            whole = digits.isascii() and digits.isdigit() and len(digits) < 12
            self.now += min(int(digits), 10**6) if whole else 1
        elif words == ["sweep"] or (len(words) == 2 and words[0] in ("client", "owner", "alive")):
            super().settings(words)

    def bytes_of(self, text: str) -> bytes:
        words = text.split()
        if words[:1] in (["signed"], ["removal"]):
            numbers = [word for at, word in enumerate(words[1:]) if at != 1]
            whole = len(words) == (5 if words[0] == "signed" else 4) and text.isprintable()
            if not whole or not all(word.isascii() and word.isdigit() and len(word) < 12 for word in numbers):
                return text.encode("utf-8", "surrogateescape")
            words[1] = str(int(words[1]) % 256)
            return super().bytes_of(" ".join(words))
        return text.encode("utf-8", "surrogateescape")


def bootstrap_script(data: bytes) -> None:
    """Reference clients and nodes at one registry."""
    player = TolerantBootstrapPlayer()
    for line in _script(data):
        if line.startswith("@"):
            player.settings(line[1:].split())
        elif line.startswith("> "):
            for answer in player.send(line[2:]):
                assert answer


def bootstrap_requests(data: bytes) -> None:
    """One request line, and the records in it."""
    request = decode_request(data)
    signed = getattr(request.body, "signed", None)
    if hasattr(signed, "record"):
        check_record(signed, CREATED)
    elif signed is not None:
        check_removal(signed)


def _requests() -> list[bytes]:
    record = sign_record(key_of("a"), "a.example:1", "ab" * 32, sequence=1, expires=CREATED + 60)
    removal = sign_removal(key_of("a"), "a.example:1", sequence=2)
    return [
        encode_request("REGISTER", "localhost:3000"), encode_request("REGISTER", record, keep_open=True),
        encode_request("REMOVE", "[::1]:5"), encode_request("REMOVE", removal), encode_request("GET_PEERS"),
        encode_request("GET_PEERS", {"limit": 3, "after": 1}), encode_request("GET_PEERS", {"sample": 5}),
    ]  # fmt: skip


TARGETS: Final = (
    Target(
        "framing",
        framing,
        lambda: [b"\x03\x20ab\ncd\r\n\n", b"\x01\x04abcdefgh\n", b"\xff\xff" + b"x\n" * 40],
        weight=0.5,
    ),
    Target("messages", messages, lambda: [encode_message(sample) for sample in SAMPLES], TYPES, weight=0.7),
    Target(
        "server-answers",
        answers_of_servers,
        _server_answers,
        tuple(code.encode() for code in REFUSALS),
        weight=0.5,
    ),
    Target(
        "addresses",
        addresses,
        lambda: [b"localhost:3000", b"[fe80::1%eth0]:65535", b"a-b.example.:1"],
        weight=0.3,
    ),
    Target("handshake", handshake, _handshakes, (b"\n~\n", *TYPES)),
    Target(
        "node-script",
        node_script,
        lambda: scenarios("node_*.txt"),
        (b"\n> ", b"\n@ mine\n", *TYPES),
        16384,
        weight=2.5,
    ),
    Target(
        "node-core", node_core, _core_scripts, (b"\nm\n", b"\nd\x01\x00\n", b"\nvann Bob\n", *TYPES), weight=4
    ),
    Target(
        "bootstrap-script",
        bootstrap_script,
        lambda: scenarios("bootstrap_*.txt"),
        (b"\n> ", b"\n@ sweep\n"),
        weight=1.5,
    ),
    Target("bootstrap-requests", bootstrap_requests, _requests),
)
