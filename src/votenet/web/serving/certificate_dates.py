"""Whether browsers take the page's certificate today: an owner learns it from the log, not from members."""

from __future__ import annotations

import contextlib
import ssl
import time
from pathlib import Path
from typing import Final

WARN_DAYS: Final = 14
"""Certificates are renewed some weeks before their end: fewer days left mean that nobody did it."""
_NOT_YET_VALID, _EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_TURNS: Final = 8
"""More than a handshake has."""


def dates_warning(server: ssl.SSLContext, certificate: Path) -> str:
    """What is wrong with the dates of a certificate; empty where nothing is.

    Args:
        server: speaks TLS with it.
        certificate: its file, PEM.
    """
    try:
        end = _end_of(server, certificate)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code == _EXPIRED:
            return f"{certificate} has expired: browsers refuse this page; renew it and start the page again"
        if error.verify_code == _NOT_YET_VALID:
            return f"{certificate} is not valid yet: browsers refuse this page; look at the clock here"
        return ""
    except (ssl.SSLError, ValueError):
        return ""
    days = (end - time.time()) / 86400
    if days > WARN_DAYS:
        return ""
    return f"{certificate} expires in {max(0, int(days))} days: renew it and start the page again"


def _end_of(server: ssl.SSLContext, certificate: Path) -> float:
    """Unix time of the end, by a handshake in memory with a client that trusts this certificate alone.

    Raises:
        ssl.SSLCertVerificationError: today is not among its days.
        ssl.SSLError, ValueError: there is no such handshake.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    for _ in range(_TURNS):
        for one in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
    found = ends[0].getpeercert() or {}
    return ssl.cert_time_to_seconds(str(found.get("notAfter", "")))
