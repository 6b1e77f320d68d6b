"""Certificates for the servers of a test, from an authority of the test's own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

_KIND: Final = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """`certificate` is the file that clients trust."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = folder / "ca.pem", folder / "ca.key"
        self._make(self.certificate, self._key, "-subj", "/CN=an authority of a test", "-days", "2")

    def certify(self, folder: Path, *names: str) -> None:
        """Write `fullchain.pem` and `privkey.pem` for these names, as certbot does."""
        folder.mkdir(exist_ok=True)
        alternatives = ",".join(f"DNS:{name}" for name in names)
        self._make(
            folder / "fullchain.pem", folder / "privkey.pem",
            "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={alternatives}",
            "-addext", "basicConstraints=critical,CA:false", "-days", "2",
            "-CA", str(self.certificate), "-CAkey", str(self._key),
        )  # fmt: skip

    def _make(self, certificate: Path, key: Path, *options: str) -> None:
        argv = ["openssl", "req", "-x509", *_KIND, "-keyout", str(key), "-out", str(certificate), *options]
        subprocess.run(argv, check=True, capture_output=True, timeout=150)
        key.chmod(0o600)
