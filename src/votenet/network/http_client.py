"""A small HTTP client: one request, one answer of bounded size, over TLS where the address says https."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import h11

from votenet.errors import Unreachable
from votenet.network.resolver import Names

HTTP_SECONDS: Final = 10.0
"""Time that one request may take, the connection included."""
BAD_CERTIFICATE: Final = "bad-certificate"
"""Code of Unreachable for a server whose certificate does not hold."""
_NOT_YET, _EXPIRED, _OTHER_HOSTS = 9, 10, (62, 64)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, …_HAS_EXPIRED, and the mismatches of a host's name and address."""


class HttpAnswer(NamedTuple):
    """Names of headers are in small letters; of several with one name the last counts."""

    status: int
    body: bytes
    headers: Mapping[str, str] = MappingProxyType({})


async def http_get(url: str, *, max_size: int, seconds: float = HTTP_SECONDS) -> HttpAnswer:
    """What a server answers to GET; redirections are not followed.

    Args:
        max_size: bytes of the longest body that is read.

    Raises:
        Unreachable: no answer in time, or none in HTTP; bad-certificate.
    """
    return await _request("GET", url, None, max_size, seconds)


async def http_post(url: str, body: bytes, *, max_size: int, seconds: float = HTTP_SECONDS) -> HttpAnswer:
    """The same to POST with a text. Raises as `http_get`."""
    return await _request("POST", url, body, max_size, seconds)


async def _request(method: str, url: str, body: bytes | None, max_size: int, seconds: float) -> HttpAnswer:
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(method, url, body, max_size)
    except TimeoutError:
        raise Unreachable(f"{url} did not answer within {seconds:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise _bad_certificate(url, error) from error
    except h11.RemoteProtocolError as error:
        step = "Check the address." if url.startswith("https:") else "If that server speaks TLS: https://"
        raise Unreachable(f"what answers at {url} does not speak HTTP", next_step=step) from error
    except (OSError, ValueError, h11.LocalProtocolError) as error:
        raise Unreachable(f"{url} does not answer: {error}") from error


def _bad_certificate(url: str, error: ssl.SSLCertVerificationError) -> Unreachable:
    if error.verify_code == _EXPIRED:
        return Unreachable(
            f"the certificate of {url} has expired",
            code=BAD_CERTIFICATE,
            next_step="Tell those who run that server to renew it. Compare the date of this machine, too.",
        )
    if error.verify_code == _NOT_YET:
        return Unreachable(
            f"the certificate of {url} is not valid yet",
            code=BAD_CERTIFICATE,
            next_step="Compare the date of this machine: its clock may be behind. (timedatectl)",
        )
    if error.verify_code in _OTHER_HOSTS:
        return Unreachable(
            f"the certificate of {url} is that of another host: {error.verify_message}",
            code=BAD_CERTIFICATE,
            next_step="Give the name as those who run that server write it, letter by letter.",
        )
    return Unreachable(
        f"the certificate of {url} does not hold: {error.verify_message}",
        code=BAD_CERTIFICATE,
        next_step=_how_to_trust(),
    )


def _how_to_trust() -> str:
    """OpenSSL passes over a file that is not there, so that is said here."""
    given = os.environ.get("SSL_CERT_FILE")
    if given and not os.path.isfile(given):
        return f"SSL_CERT_FILE names {given}, and no such file is here: write the whole path of it."
    return (
        "Check the address. A certificate that its owner gave you is trusted with SSL_CERT_FILE=FILE in "
        "front of the command."
    )


async def _exchange(method: str, url: str, body: bytes | None, max_size: int) -> HttpAnswer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no address that begins with http:// or https://")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    reader, writer = await _connected(parts.hostname, port, secure)
    try:
        conn = h11.Connection(h11.CLIENT)
        headers = [("Host", parts.netloc.rpartition("@")[2]), ("Connection", "close")]
        if body is not None:
            headers += [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        writer.write(conn.send(h11.Request(method=method, target=target, headers=headers)) or b"")
        if body is not None:
            writer.write(conn.send(h11.Data(data=body)) or b"")
        writer.write(conn.send(h11.EndOfMessage()) or b"")
        with contextlib.suppress(ConnectionError):  # it may have answered before it read all
            await writer.drain()
        return await _read_answer(conn, reader, max_size)
    finally:
        writer.transport.abort()


async def _connected(host: str, port: int, secure: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the first address of a host that takes one. Raises OSError.

    The name is looked up beside the loop: a resolver that hangs does not hold up the end of the program.
    """
    failure = OSError(f"the name {host} is not known here")
    for address in await Names().look_up(host):
        try:
            name = host if secure else None
            return await asyncio.open_connection(address, port, ssl=secure or None, server_hostname=name)
        except ssl.SSLError:
            raise
        except OSError as error:
            failure = error
    raise failure


async def _read_answer(conn: h11.Connection, reader: asyncio.StreamReader, max_size: int) -> HttpAnswer:
    status, headers, body = 0, dict[str, str](), bytearray()
    while True:
        event = conn.next_event()
        if event is h11.NEED_DATA:
            conn.receive_data(await reader.read(64 * 1024))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > max_size:
                raise ValueError("its answer is too long")
        elif isinstance(event, h11.EndOfMessage):
            return HttpAnswer(status, bytes(body), headers)
        elif event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
            raise ValueError("it closed the connection without an answer")
