"""The proxies of deploy/ with TLS, for a page on this machine: nginx and Caddy at high ports, in a folder."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from support.deploy_tools import tool
from support.ports import free_port
from support.processes import PATIENCE, how_it_stands
from support.unit_files import DEPLOY
from votenet.protocol.wire.address import Address

KINDS: Final = ("nginx", "caddy")
_MAIN: Final = """daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/votenet.conf;
}}
"""


class Proxy(NamedTuple):
    """`url` is the page's behind it; `plain` the port of http."""

    url: str
    plain: int
    process: subprocess.Popen[bytes]


class _Places(NamedTuple):
    page: Address
    secure: int
    plain: int
    cert: Path
    key: Path


def commands(kind: str, folder: Path, places: _Places) -> tuple[list[str], list[str], dict[str, str]]:
    """The proxy's configuration is written; how it is checked, how it is run, and its environment."""
    if kind == "nginx":
        program = tool("nginx", "the Debian package nginx")
        (folder / "votenet.conf").write_text(of_nginx(places))
        (folder / "nginx.conf").write_text(_MAIN.format(folder=folder))
        words = [program, "-p", str(folder), "-e", "stderr", "-c", f"{folder}/nginx.conf"]
        return [*words, "-t"], words, {}
    program = tool("caddy", "the Debian package caddy")
    (folder / "Caddyfile").write_text(of_caddy(places))
    words = ["--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return [program, "validate", *words], [program, "run", *words], home


def of_nginx(places: _Places) -> str:
    """The file of deploy/ with the addresses and the certificate of a test."""
    text = (DEPLOY / "nginx/votenet.conf").read_text()
    for old, new in (
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{places.plain};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{places.secure} ssl"),
        ("https://vote.example.org$", f"https://127.0.0.1:{places.secure}$"),
        ("/etc/letsencrypt/live/vote.example.org/fullchain.pem", str(places.cert)),
        ("/etc/letsencrypt/live/vote.example.org/privkey.pem", str(places.key)),
        ("http://127.0.0.1:8080", f"http://{places.page}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


def of_caddy(places: _Places) -> str:
    """The same of Caddy, which here asks nobody for a certificate and touches no store of the machine."""
    text = (DEPLOY / "caddy/Caddyfile").read_text()
    alone = (
        "admin off", "skip_install_trust", "auto_https disable_redirects",
        f"http_port {places.plain}", f"https_port {places.secure}", "default_bind 127.0.0.1",
    )  # fmt: skip
    for old, new in (
        ("\tgrace_period 10s", "\t" + "\n\t".join((*alone, "grace_period 1s"))),
        ("vote.example.org {", f"https://127.0.0.1:{places.secure} {{\n\ttls {places.cert} {places.key}"),
        ("127.0.0.1:8080", str(places.page)),
    ):
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.contextmanager
def tls_proxy(
    kind: str, folder: Path, page: Address, certificate: tuple[Path, Path], secure: int | None = None
) -> Iterator[Proxy]:
    """A proxy that runs before the page at `page`, once it answers. `secure`: its port.

    Raises:
        AssertionError: it does not take its configuration, or ends.
    """
    places = _Places(page, secure or free_port(), free_port(), *certificate)
    _, words, env = commands(kind, folder, places)
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    with (folder / "proxy.log").open("ab") as log:
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"PATH": path} | env
        )
    try:
        _wait_for(places.secure, process, folder)
        yield Proxy(f"https://127.0.0.1:{places.secure}", places.plain, process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.05)
    raise AssertionError(f"{how_it_stands(process)}\n{(folder / 'proxy.log').read_text()}")


def trusting(certificate: Path) -> ssl.SSLContext:
    """A client's TLS that believes this certificate alone."""
    return ssl.create_default_context(cafile=str(certificate))
