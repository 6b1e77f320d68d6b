"""The numbers that programs show: well formed, and all that rules and dashboard ask for."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator

import pytest

from support.alert_rules import expressions
from support.deploy_tools import run, tool
from support.ports import free_port
from support.processes import free_addresses, programs
from votenet.protocol.wire.address import Address

pytestmark = pytest.mark.e2e

OURS = re.compile(r"\bvotenet_[a-z_]+\b")


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The answer of /metrics of a real node, a real bootstrap server and a real page."""
    boot, node = free_addresses(2)
    shown = {name: Address("127.0.0.1", free_port()) for name in ("bootstrap", "node", "web")}

    def options(name: str) -> tuple[str, str]:
        return "--metrics", str(shown[name])

    with programs(tmp_path_factory.mktemp("metrics")) as net:
        folder = ("--data-dir", str(net.folder / "boot"))
        net.start("boot", "bootstrap", "--port", str(boot.port), *folder, *options("bootstrap"))
        net.node("node-1", node, "--bootstrap", str(boot), *options("node"))
        net.start("web", "web", "--port", "0", "--node", str(node), *options("web"))
        found: dict[str, str] = {}

        def all_answer() -> bool:
            found.update({name: scraped(address) for name, address in shown.items()})
            return all(found.values()) and "votenet_web_nodes_up 1.0" in found["web"]

        net.wait_for(all_answer)
        yield found


def scraped(address: Address) -> str:
    """What a program shows to Prometheus; empty while it does not answer."""
    link = http.client.HTTPConnection(address.host, address.port, timeout=60)
    try:
        link.request("GET", "/metrics")
        return link.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        link.close()


def test_promtool_finds_nothing_wrong_with_the_numbers(numbers: dict[str, str]) -> None:
    promtool = tool("promtool", "the Debian package prometheus")
    for text in numbers.values():
        assert run(promtool, "check", "metrics", stdin=text) == ""


def test_every_number_that_is_asked_for_is_shown_by_a_program(numbers: dict[str, str]) -> None:
    shown = set(re.findall(r"^# TYPE (\w+) ", "\n".join(numbers.values()), re.MULTILINE))
    asked = {name for expression in expressions() for name in OURS.findall(expression)}
    assert len(asked) > 20
    assert asked <= shown, asked - shown
