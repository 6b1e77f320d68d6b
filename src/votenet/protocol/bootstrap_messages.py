"""The bootstrap port's lines: requests decoded and encoded, answers encoded and decoded.

What lives here: bytes to typed requests and back, the chapter's answer lines. What must not: the rules
(`bootstrap.py`), sockets.

Lines are those of the chapter's Go code, byte for byte, and beside them votenet's own, which have an
object as payload: see docs/protocol.md, "Bootstrap port".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec

from votenet.core.encoding import Hex32
from votenet.errors import REFUSALS, Rejected, RemoteProtocolError, VotenetError
from votenet.protocol.messages import as_line, is_address, is_code
from votenet.protocol.peer_record import SignedRecord, SignedRemoval

REGISTERED: Final = b"Peer registered successfully"
ALREADY_REGISTERED: Final = b"Peer already registered"
REMOVED: Final = b"Peer removed successfully"
NOT_FOUND: Final = b"Peer not found"

MAX_ANSWER_LINE: Final = 1024 * 1024
"""Longest answer of this server; the chapter's clients read a line of any length into memory."""
MIN_LISTED_PEER: Final = len(b'{"address":"a:1"},')
"""Shortest place of a peer in a list: more than MAX_ANSWER_LINE / this can never fit."""
MAX_PAGE: Final = 2000
"""Peers in one page: with the longest addresses and keys they come to 900 KB, below MAX_ANSWER_LINE."""
MAX_SAMPLE: Final = 1000
"""Peers in one sample: about 5 ms of look-ups."""


@dataclass(frozen=True, slots=True)
class Register:
    address: str


@dataclass(frozen=True, slots=True)
class RegisterSigned:
    signed: SignedRecord


@dataclass(frozen=True, slots=True)
class Remove:
    address: str


@dataclass(frozen=True, slots=True)
class RemoveSigned:
    signed: SignedRemoval


@dataclass(frozen=True, slots=True)
class GetPeers:
    """The chapter's list."""


@dataclass(frozen=True, slots=True)
class GetPage:
    limit: int
    after: int


@dataclass(frozen=True, slots=True)
class GetSample:
    count: int


@dataclass(frozen=True, slots=True)
class GetStats:
    """The server's own numbers."""


Body = Register | RegisterSigned | Remove | RemoveSigned | GetPeers | GetPage | GetSample | GetStats


@dataclass(frozen=True, slots=True)
class Request:
    """One decoded line. `keep_open`: the client will send more on this connection."""

    body: Body
    keep_open: bool = False

    @property
    def address(self) -> str:
        """The address it names, as it is written; empty for none."""
        match self.body:
            case Register(address) | Remove(address):
                return address
            case RegisterSigned(signed):
                return signed.record.address
            case RemoveSigned(signed_removal):
                return signed_removal.removal.address
        return ""

    @property
    def writes(self) -> bool:
        return not isinstance(self.body, GetPeers | GetPage | GetSample | GetStats)


class KnownPeer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A peer as the registry tells of it; keyed ones with their node key and network."""

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
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


# -- requests ----------------------------------------------------------------------------------


def decode_request(line: bytes) -> Request:
    """One request line. Unknown members are ignored, as the chapter's server does.

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
    found = _register.decode(payload)
    return Register(found) if isinstance(found, str) else RegisterSigned(found)


def _decode_remove(payload: msgspec.Raw) -> Body:
    found = _remove.decode(payload)
    return Remove(found) if isinstance(found, str) else RemoveSigned(found)


def _decode_get_peers(payload: msgspec.Raw) -> Body:
    found = _query.decode(payload)
    if not isinstance(found, _Query):  # the chapter's server ignores the text, so `get_peers x` lists all
        return GetPeers()
    if found.sample is not None:
        return GetSample(min(found.sample, MAX_SAMPLE))
    return GetPage(min(found.limit or MAX_PAGE, MAX_PAGE), found.after or 0)


_BODIES: Final[dict[str, Callable[[msgspec.Raw], Body]]] = {
    "REGISTER": _decode_register,
    "REMOVE": _decode_remove,
    "GET_PEERS": _decode_get_peers,
    "GET_STATS": lambda payload: GetStats(),
}


def encode_request(kind: str, payload: object = "", *, keep_open: bool = False) -> bytes:
    """A request line, members in the order of the chapter's client."""
    fields: dict[str, object] = {"type": kind, "payload": payload}
    if keep_open:
        fields["keep_open"] = True
    return _encoder.encode(fields)


# -- answers -----------------------------------------------------------------------------------


def encode_plain(addresses: Sequence[str]) -> bytes:
    """The chapter's list: `[{"address":"host:port"}]`."""
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
        VotenetError: what the server's error line says; RemoteProtocolError for any other line.
    """
    raise_refusal(line)
    try:
        found = _stats.decode(line)["stats"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError) as error:
        raise RemoteProtocolError("bad-message", f"not the numbers of a server: {line[:80]!r}") from error
    if not all(text == as_line(text) for text in _texts(found)):
        raise RemoteProtocolError("bad-message", "the numbers of a server hold what cannot be printed")
    return found


def _texts(value: object) -> Iterator[str]:
    """All texts in what a JSON decoder made."""
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


def decode_peers(line: bytes) -> PeerPage:
    """A list or a page, from this server or the chapter's.

    Raises:
        VotenetError: what the server's error line says; RemoteProtocolError when it is neither.

    What has not the form of an address is left out: any stranger may have registered it with the reference
    server, and must not keep the rest of the list from us.
    """
    raise_refusal(line)
    try:
        found = _answer.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("bad-message", f"not a list of peers: {line[:80]!r}") from error
    page = found if isinstance(found, PeerPage) else PeerPage(found)
    return msgspec.structs.replace(page, peers=[peer for peer in page.peers if is_address(peer.address)])


def decode_text(line: bytes) -> str:
    """An answer line to REGISTER or REMOVE.

    Raises:
        VotenetError: what the server's error line says; RemoteProtocolError for any other line.
    """
    raise_refusal(line)
    if line not in (REGISTERED, ALREADY_REGISTERED, REMOVED, NOT_FOUND):
        raise RemoteProtocolError("bad-message", f"not an answer of a bootstrap server: {line[:80]!r}")
    return line.decode()


def raise_refusal(line: bytes) -> None:
    """Raise what an error line says: Rejected for the codes this version knows, else VotenetError."""
    if not line.startswith(b'{"error"'):
        return
    try:
        fields: Any = _anything.decode(line)["error"]
        code, message = str(fields["code"]), as_line(str(fields["message"]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError) as error:
        raise RemoteProtocolError("bad-message", f"an error line without code: {line[:80]!r}") from error
    if code in REFUSALS:
        known = {"self", "code", "kind", "message", "next_step"}
        details = {name: value for name, value in fields.items() if name not in known and is_code(name)}
        raise Rejected(code, message, **details)
    if not is_code(code):
        raise RemoteProtocolError("bad-message", "an error line whose code is none")
    raise VotenetError(message, code=code, next_step=as_line(str(fields.get("next_step", ""))))
