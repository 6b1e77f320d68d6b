"""Reads QR codes out of pictures with zbarimg, as the camera of a phone does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest


def read_qr_codes(folder: Path, pictures: Iterable[bytes]) -> str:
    """The texts of all codes in these PNG pictures, each with a newline. Skips without zbarimg."""
    program = shutil.which("zbarimg")
    if program is None:
        pytest.skip("no zbarimg on this machine: install the Debian package zbar-tools")
    files = []
    for number, picture in enumerate(pictures):
        files.append(folder / f"picture-{number}.png")
        files[-1].write_bytes(picture)
    done = subprocess.run(
        [program, "--quiet", "--raw", *files], capture_output=True, timeout=120, encoding="utf-8", check=False
    )
    return done.stdout
