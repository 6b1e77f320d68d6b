"""The bootstrap port's lines: requests decoded and encoded, answers encoded and decoded.

Lines are those of the reference client and server, byte for byte, and votenet's own, which have an object
as payload: see docs/protocol-bootstrap.md.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from votenet.core.encoding import Hex32
from votenet.errors import RemoteProtocolError
from votenet.protocol.bootstrap.peer_record import SignedRecord, SignedRemoval
from votenet.protocol.wire.error_lines import error_in
from votenet.protocol.wire.fields import as_line, is_address

REGISTERED: Final = b"Peer registered successfully"
ALREADY_REGISTERED: Final = b"Peer already registered"
REMOVED: Final = b"Peer removed successfully"
NOT_FOUND: Final = b"Peer not found"

MAX_ANSWER_LINE: Final = 1024 * 1024
"""Longest answer of this server; reference clients read a line of any length into memory."""
MIN_LISTED_PEER: Final = len(b'{"address":"a:1"},')
"""Shortest place of a peer in a list: more than MAX_ANSWER_LINE / this can never fit."""
MAX_PAGE: Final = 2000
"""Peers in one page: with the longest addresses and keys they come to 900 KB, below MAX_ANSWER_LINE."""
MAX_SAMPLE: Final = 1000
"""Peers in one sample: about 5 ms of look-ups."""


class RegisterAddress(msgspec.Struct, frozen=True, tag="Register"):
    address: str


class RegisterSigned(msgspec.Struct, frozen=True, tag=True):
    signed: SignedRecord


class RemoveAddress(msgspec.Struct, frozen=True, tag="Remove"):
    address: str


class RemoveSigned(msgspec.Struct, frozen=True, tag=True):
    signed: SignedRemoval


class ListPeers(msgspec.Struct, frozen=True, tag="GetPeers"):
    """The list as the reference client asks for it."""


class GetPage(msgspec.Struct, frozen=True, tag=True):
    limit: int
    after: int


class GetSample(msgspec.Struct, frozen=True, tag=True):
    count: int


class GetStats(msgspec.Struct, frozen=True, tag=True):
    """The server's own numbers."""


Question = ListPeers | GetPage | GetSample | GetStats
Body = RegisterAddress | RegisterSigned | RemoveAddress | RemoveSigned | Question


class Request(NamedTuple):
    """One decoded line. `keep_open`: the client will send more on this connection."""

    body: Body
    keep_open: bool = False

    @property
    def address(self) -> str:
        """The address it names, as it is written; empty for none."""
        match self.body:
            case RegisterAddress(address) | RemoveAddress(address):
                return address
            case RegisterSigned(signed):
                return signed.record.address
            case RemoveSigned(signed_removal):
                return signed_removal.removal.address
        return ""

    @property
    def label(self) -> str:
        """Its name in metrics."""
        return str(self.body.__struct_config__.tag)

    @property
    def writes(self) -> bool:
        return not isinstance(self.body, Question)


class KnownPeer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A listed peer; keyed ones with their node key and network."""

    address: str
    node_key: Hex32 | None = None
    network_id: Hex32 | None = None


class PeerPage(msgspec.Struct, frozen=True):
    """Answer to a page or a sample; `next` is the cursor for the following page, null at the end."""

    peers: list[KnownPeer]
    next: int | None = None


class _Envelope(msgspec.Struct):
    type: str
    payload: msgspec.Raw = msgspec.Raw(b"null")
    keep_open: bool = False


class _Query(msgspec.Struct):
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    sample: Annotated[int, msgspec.Meta(ge=1)] | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_register = msgspec.json.Decoder(str | SignedRecord)
_remove = msgspec.json.Decoder(str | SignedRemoval)
_query = msgspec.json.Decoder(str | _Query | None)
_answer = msgspec.json.Decoder(list[KnownPeer] | PeerPage)
_stats = msgspec.json.Decoder(dict[str, dict[str, Any]])
_encoder = msgspec.json.Encoder()


# -- requests ----------------------------------------------------------------------------------


def decode_request(line: bytes) -> Request:
    """One request line. Unknown members are ignored, as the reference server does.

    Raises:
        RemoteProtocolError: bad-json, unknown-type, bad-message.
    """
    try:
        envelope = _envelope.decode(line)
        decode = _BODIES.get(envelope.type)
        if decode is None:
            raise RemoteProtocolError("unknown-type", "ask REGISTER, GET_PEERS, REMOVE or GET_STATS")
        return Request(decode(envelope.payload), envelope.keep_open)
    except msgspec.ValidationError as error:
        if not line.lstrip(b" \t\r").startswith(b"{"):
            raise RemoteProtocolError("bad-json", "this line is not a JSON object") from error
        raise RemoteProtocolError("bad-message", str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-json", "this line is not a JSON object") from error


def _decode_register(payload: msgspec.Raw) -> Body:
    decoded = _register.decode(payload)
    return RegisterAddress(decoded) if isinstance(decoded, str) else RegisterSigned(decoded)


def _decode_remove(payload: msgspec.Raw) -> Body:
    decoded = _remove.decode(payload)
    return RemoveAddress(decoded) if isinstance(decoded, str) else RemoveSigned(decoded)


def _decode_get_peers(payload: msgspec.Raw) -> Body:
    query = _query.decode(payload)
    if not isinstance(query, _Query):  # the reference server ignores the text
        return ListPeers()
    if query.sample is not None:
        return GetSample(min(query.sample, MAX_SAMPLE))
    return GetPage(min(query.limit or MAX_PAGE, MAX_PAGE), query.after or 0)


_BODIES: Final[dict[str, Callable[[msgspec.Raw], Body]]] = {
    "REGISTER": _decode_register,
    "REMOVE": _decode_remove,
    "GET_PEERS": _decode_get_peers,
    "GET_STATS": lambda payload: GetStats(),
}


def encode_request(kind: str, payload: object = "", *, keep_open: bool = False) -> bytes:
    """A request line, members in the order of the reference client."""
    fields: dict[str, object] = {"type": kind, "payload": payload}
    if keep_open:
        fields["keep_open"] = True
    return _encoder.encode(fields)


# -- answers -----------------------------------------------------------------------------------


def encode_plain(addresses: Sequence[str]) -> bytes:
    """The reference server's list: `[{"address":"host:port"}]`."""
    return _encoder.encode([{"address": address} for address in addresses])


def encode_page(peers: list[KnownPeer], cursor: int | None) -> bytes:
    """`{"peers":[…],"next":…}`."""
    return _encoder.encode(PeerPage(peers, cursor))


def encode_stats(numbers: Mapping[str, object]) -> bytes:
    """`{"stats":{…}}`."""
    return _encoder.encode({"stats": numbers})


def decode_stats(line: bytes) -> dict[str, Any]:
    """An answer to GET_STATS.

    Raises:
        VotenetError: the server's error line; RemoteProtocolError for any other line.
    """
    _raise_refusal(line)
    try:
        numbers = _stats.decode(line)["stats"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError) as error:
        raise RemoteProtocolError("bad-message", f"not the numbers of a server: {line[:80]!r}") from error
    if not all(text == as_line(text) for text in _texts(numbers)):
        raise RemoteProtocolError("bad-message", "the numbers of a server hold what cannot be printed")
    return numbers


def _texts(value: object) -> Iterator[str]:
    """All texts in a decoded JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *_texts(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def encode_notice(kind: str, address: str) -> bytes:
    """`{"type":…,"data":"<base64>"}` as Go writes a struct with a byte slice."""
    return _encoder.encode({"type": kind, "data": base64.b64encode(address.encode()).decode()})


def decode_peers(
    line: bytes, choose: Callable[[list[KnownPeer]], list[KnownPeer]] = lambda peers: peers
) -> PeerPage:
    """A list or a page, of this server or the reference server.

    `choose` is given all entries, malformed ones too, and returns those to look at: a list may be very long.

    Malformed addresses are left out: any stranger may register one with the reference server.

    Raises:
        VotenetError: the server's error line; RemoteProtocolError for any other line.
    """
    _raise_refusal(line)
    try:
        answer = _answer.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-message", f"not a list of peers: {line[:80]!r}") from error
    page = answer if isinstance(answer, PeerPage) else PeerPage(answer)
    return msgspec.structs.replace(
        page, peers=[peer for peer in choose(page.peers) if is_address(peer.address)]
    )


def decode_text(line: bytes) -> str:
    """An answer line to REGISTER or REMOVE.

    Raises:
        VotenetError: the server's error line; RemoteProtocolError for any other line.
    """
    _raise_refusal(line)
    if line not in (REGISTERED, ALREADY_REGISTERED, REMOVED, NOT_FOUND):
        raise RemoteProtocolError("bad-message", f"not an answer of a bootstrap server: {line[:80]!r}")
    return line.decode()


def _raise_refusal(line: bytes) -> None:
    error = error_in(line)
    if error is not None:
        raise error
