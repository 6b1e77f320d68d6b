"""Schemathesis against a real page of four real nodes: no request may break what openapi.json says.

python -m support.api_fuzz [EXAMPLES]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

from support.elections import make_vote
from support.named_programs import NAMED, NamedPrograms
from support.ports import free_port

SEED: Final = "1301"
CHECKS: Final = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "negative_data_rejection"),
)
"""Not `unsupported_method`: a POST that is not JSON is answered with 415 wherever it goes."""
VOTERS: Final = ("voter-1", "voter-2", "1")
PAGE: Final = "page"


def fuzz(network: NamedPrograms, url: str, examples: str) -> int:
    """The exit code of schemathesis."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/api/v1/openapi.json"),
        *("--url", url, "--checks", ",".join(CHECKS), "--max-examples", examples, "--seed", SEED),
        # One thread: of two that parse Python at once, as Hypothesis does, one may get a SystemError (3.11).
        *("--workers", "1", "--request-timeout", "60", "--suppress-health-check", "all", "--no-color"),
    ]
    code = subprocess.run(command, cwd=network.folder, check=False).returncode
    logged = network.log(PAGE)
    if "Traceback" in logged or "event=defect" in logged:
        print(logged)
        return 1
    return code


def main() -> int:
    examples = sys.argv[1] if len(sys.argv) > 1 else "30"
    with tempfile.TemporaryDirectory() as folder:
        network = NamedPrograms(Path(folder))
        try:
            for index in range(NAMED):
                network.start_named(index)
            url = start_page(network)
            votes = [make_vote(network.election, voter, time=int(time.time())) for voter in VOTERS]
            network.wait_for(lambda: network.submit(0, votes))
            network.wait_for(lambda: network.all_count(len(votes)))
            return fuzz(network, url, examples)
        finally:
            network.end()


def start_page(network: NamedPrograms, *options: str) -> str:
    """A page of all nodes of the network, as the program "page"; returns its URL once it has their state."""
    port = free_port()
    nodes = [word for address in network.addresses for word in ("--node", str(address))]
    network.start(PAGE, "web", "--port", str(port), *nodes, *options)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/api/v1/state", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    network.wait_for(answers)
    return url


if __name__ == "__main__":
    sys.exit(main())
