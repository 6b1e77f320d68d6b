"""The dates of the page's certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from support.tls import certificate
from votenet.web.serving.certificate_dates import dates_warning


@pytest.mark.parametrize(
    ("days", "said"), [(-1, "a.pem has expired: "), (3, "a.pem expires in 2 days: "), (60, "")]
)
def test_the_owner_is_told_of_the_end_of_a_certificate(tmp_path: Path, days: int, said: str) -> None:
    cert, key = certificate(tmp_path, days=days)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    told = dates_warning(server, cert)
    assert said in told
    assert bool(said) == bool(told)


def test_a_file_without_a_certificate_has_no_dates(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    assert dates_warning(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tmp_path / "empty.pem") == ""
