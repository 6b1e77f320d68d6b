"""Certificates for TLS servers on this machine, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_SUBJECT: Final = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
_KIND: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def certificate(folder: Path, name: str = "a", days: int = 2) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, with its key; -1 day: it has expired."""
    cert, key, request = (folder / f"{name}.{end}" for end in ("pem", "key", "csr"))
    _openssl("req", "-new", *_KIND, *_SUBJECT, "-keyout", str(key), "-out", str(request))
    signed = ("-signkey", str(key), "-copy_extensions", "copy", "-days", str(days))
    _openssl("x509", "-req", "-in", str(request), *signed, "-out", str(cert))
    return cert, key


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
