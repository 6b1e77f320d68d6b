"""Two test processes never name the same port: each would ask the node of the other one, and believe it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.ports import END, FIRST, SUPERVISED, first_of_block, free_port

CALLS = 300
"""More than the ports of a share."""
NEIGHBOUR = f"""
from support.ports import first_of_block, free_port
print(*{{free_port() for _ in range({CALLS})}}, sep=",")
print(*{{first_of_block(9) + n for _ in range({CALLS}) for n in range(9)}}, sep=",")
input()
"""


def test_processes_that_run_side_by_side_name_different_ports() -> None:
    single = [{free_port() for _ in range(CALLS)}]
    blocks = [{first_of_block(9) + n for _ in range(CALLS) for n in range(9)}]
    with neighbour() as one, neighbour() as another:
        for process in (one, another):
            assert process.stdout is not None
            single.append(set(map(int, process.stdout.readline().split(","))))
            blocks.append(set(map(int, process.stdout.readline().split(","))))
        for process in (one, another):
            process.communicate("\n")
    everything = [port for ports in (*single, *blocks) for port in ports]
    assert len(everything) == len(set(everything)), "a port with two names"
    assert all(FIRST < port < SUPERVISED for ports in single for port in ports)
    assert all(SUPERVISED < port < END for ports in blocks for port in ports)


def neighbour() -> subprocess.Popen[str]:
    """A process that names its ports, and has them until it is told to end."""
    return subprocess.Popen(
        [sys.executable, "-c", NEIGHBOUR],
        cwd=Path(__file__).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
