"""The options of `votenet up` about the page: what they make of it, and what is said of it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from votenet.cli.options import placed
from votenet.config import DEFAULT_WEB_PORT
from votenet.errors import Command, ConfigError, NextStep
from votenet.processes import ports
from votenet.processes.spec import NetworkSpec, WebSpec
from votenet.storage.genesis_file import read_genesis

F = TypeVar("F", bound=Callable[..., Any])
KEPT: Final = {
    "web_host": "host", "kiosk": "kiosk", "tls_cert": "tls_cert", "tls_key": "tls_key",
    "public_url": "public_url", "enrolment": "enrolment",
}  # fmt: skip
"""Options to fields of `WebSpec`, which stay as last time."""
OPTIONS: Final = ("web", "web_port", *KEPT)
WITHOUT_TLS: Final = (
    "The page leaves this machine without TLS: anybody on the same network can change it on its way."
)
_FILE: Final = click.Path(dir_okay=False)


def _public_url(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """As it stands on cards, without a slash at its end; '' for none again."""
    from votenet.cli.election.cards import public_url

    return public_url(ctx, param, value) if value else value


def page_options(command: F) -> F:
    """The options of `up` about the page."""
    made = (
        click.option(
            "--web/--no-web", default=True, show_default=True, help="Whether there is a page to vote on."
        ),
        click.option(
            "--web-port",
            type=click.IntRange(1, 65535),
            help=f"Port of the page [{DEFAULT_WEB_PORT}; another one where that is taken].",
        ),
        click.option(
            "--web-host",
            default="127.0.0.1",
            show_default=True,
            metavar="ADDRESS",
            help="Address of the page; 0.0.0.0 for all of this machine, so that phones find it.",
        ),
        click.option(
            "--kiosk/--no-kiosk", default=False, help="For a shared screen: forgets each voter after casting."
        ),
        click.option(
            "--tls-cert", type=_FILE, metavar="FILE", help="Certificate of the page; '' for plain HTTP again."
        ),
        click.option("--tls-key", type=_FILE, metavar="FILE", help="Key of that certificate."),
        click.option(
            "--public-url",
            metavar="URL",
            callback=_public_url,
            help="Where voters find the page, for links and QR.",
        ),
        click.option(
            "--enrolment",
            type=click.Path(file_okay=False),
            metavar="FOLDER",
            help="Folder in which members enrol on the page; '' for none again.",
        ),
    )
    for option in reversed(made):
        command = option(command)
    return command


def page_of_last_time(last: NetworkSpec) -> dict[str, Any]:
    """The options with which the page ran last."""
    found: dict[str, Any] = {} if last.web is None else {"web": last.web.on}
    if last.page is not None:
        found |= {option: getattr(last.page, field) or None for option, field in KEPT.items()}
        found["kiosk"] = last.page.kiosk
    return found


def make_page(
    options: Mapping[str, Any], network_id: str, roll: str, last: WebSpec | None, ours: Collection[int]
) -> tuple[WebSpec | None, list[Any], str]:
    """The page of a network that starts, the lock of its port, and why that is not the usual one.

    Raises:
        ConfigError: its options do not go together; its port is taken.
    """
    if not options["web"]:
        return replace(last or WebSpec(port=DEFAULT_WEB_PORT), on=False), [], ""
    fields = {field: _value(option, options[option]) for option, field in KEPT.items()}
    page = _checked(WebSpec(port=DEFAULT_WEB_PORT, network_id=network_id, roll=roll, **fields))
    port, locks, moved = ports.choose_web(
        page.host, port=options["web_port"], preferred=last.port if last else None, ours=ours
    )
    return replace(page, port=port), locks, moved


def change_page(
    status: Mapping[str, Any], options: Mapping[str, Any], given: Collection[str], roll: str
) -> dict[str, Any] | None:
    """The page that a running network shall have, or None if it has that already.

    Raises:
        ConfigError: the options do not go together; no port is free.
    """
    if not any(option in given for option in OPTIONS):
        return None
    told = status["settings"].get("web")
    before = msgspec.convert(told, WebSpec) if told else None
    on = options["web"] if "web" in given else before is None or before.on
    if not on:
        page = replace(before or WebSpec(port=DEFAULT_WEB_PORT), on=False)
    else:
        fields = {field: _value(option, options[option]) for option, field in KEPT.items() if option in given}
        if before is None or not before.on:
            network_id = read_genesis(Path(status["genesis"])).network_hex
            before = WebSpec(port=before.port if before else 0, on=False, network_id=network_id, roll=roll)
        page = _checked(replace(before, on=True, **fields))
        page = replace(page, port=_port(before, page, options["web_port"] if "web_port" in given else None))
    return None if page == (before if told else None) else msgspec.to_builtins(page)


def _port(before: WebSpec, page: WebSpec, wanted: int | None) -> int:
    """The port of a page that is changed or started; the supervisor locks it."""
    if before.on:
        return wanted or before.port
    port, locks, _ = ports.choose_web(page.host, port=wanted, preferred=before.port or None)
    ports.release(locks)
    return port


def _value(option: str, value: Any) -> Any:
    """As the field of `WebSpec` has it: programs work in another folder."""
    if option in ("tls_cert", "tls_key", "enrolment"):
        return os.path.abspath(value) if value else ""
    return "" if value is None else value


def _checked(page: WebSpec) -> WebSpec:
    """The page. Raises ConfigError: what `votenet web` would refuse, before anything is stopped."""
    if bool(page.tls_cert) != bool(page.tls_key):
        raise ConfigError(
            "a certificate and its key belong together",
            code="bad-tls",
            next_step="Give both --tls-cert and --tls-key.",
        )
    for file in filter(None, (page.tls_cert, page.tls_key)):
        if not os.access(file, os.R_OK):
            raise ConfigError(
                f"cannot read {file}", code="bad-tls", next_step="Check its name, owner and mode."
            )
    return page


# -- what is said ----------------------------------------------------------------------------------


def page_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Where the page is; or that it is not there, though votes are taken."""
    if not status.get("page"):
        return
    program = next(program for program in status["programs"] if program["role"] == "web")
    if program["state"] != "ready":
        step = NextStep(
            "Page:    it is {}; votes are taken all the same. Why: {}; try again: {}",
            program["state"],
            Command("logs", "web"),
            Command("restart", "web"),
        )
        yield placed(step, status["instance"])
        return
    page = msgspec.convert(status["settings"]["web"], WebSpec)
    yield f"Page:    {page_url(status)}"
    sent_to = _port_of(page.public_url)
    if sent_to is not None and sent_to != page.port:
        why = f"         It listens on port {page.port}, and voters are sent to port {sent_to}."
        if sent_to < 1024 and not ports.may_listen(sent_to):
            yield f"{why} A proxy must pass them on."
        else:
            step = NextStep(
                f"{why} If nothing passes them on: {{}}", Command("up", "-d", "--web-port", str(sent_to))
            )
            yield placed(step, status["instance"])
    if not is_loopback(page.host) and not page.tls_cert and not page.public_url.startswith("https:"):
        yield f"         {WITHOUT_TLS}"
        yield "         Give it a certificate: --tls-cert, --tls-key; or put Caddy or nginx in front of it."


def _port_of(public_url: str) -> int | None:
    """The port of an address without TLS; None with TLS, which a proxy has on a port of its own."""
    parts = urlsplit(public_url)
    return (parts.port or 80) if parts.scheme == "http" else None


def page_url(status: Mapping[str, Any]) -> str | None:
    """The address of the page as voters should have it; None where there is no page."""
    if not status.get("page"):
        return None
    page = msgspec.convert(status["settings"]["web"], WebSpec)
    return page.public_url or _url_for_others(page) or page.url


def reaches_others(status: Mapping[str, Any]) -> bool:
    """Whether other machines reach the page."""
    return bool(status.get("page")) and not is_loopback(status["settings"]["web"]["host"])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url_for_others(page: WebSpec) -> str:
    """With this machine's own address where the page listens on all of them; '' where no other may come."""
    if page.host not in ("0.0.0.0", "::"):
        return ""
    import socket

    family, outside = (
        (socket.AF_INET, "192.0.2.1") if page.host == "0.0.0.0" else (socket.AF_INET6, "2001:db8::1")
    )
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((outside, 9))  # sends nothing: asks the kernel for the address it would send from
            return page.url_at(probe.getsockname()[0])
    except OSError:  # no network
        return ""
