"""`make discovery`: how long each kind of discovery takes alone, in virtual time; a small table."""

from __future__ import annotations

from support.discovery import FindingNetwork, far_address
from votenet.protocol.peers.discovery import KINDS

NODES = 10
SEEDS = range(1, 6)
PATIENCE = 600.0


def seconds(kinds: tuple[str, ...], seed: int) -> float | None:
    """Virtual seconds from the start of the last node until all know all; None if they never do."""
    net = FindingNetwork(seed, kinds)
    for number in range(1, NODES + 1):
        net.run(2.0)
        net.find(far_address(number))
    began = net.now
    return net.now - began if net.run_until(net.all_know_all, PATIENCE) else None


def main() -> None:
    """Print the table."""
    print(f"{NODES} nodes, one kind of discovery on, virtual seconds until all know all")
    print(f"{'kind':<12}{'median':>8}{'worst':>8}")
    for kinds in (*((kind,) for kind in KINDS), KINDS, ()):
        found = sorted(taken for seed in SEEDS if (taken := seconds(kinds, seed)) is not None)
        name = " + ".join(kinds) if len(kinds) < 2 else "all four"
        if len(found) == len(SEEDS):
            print(f"{name:<12}{found[len(found) // 2]:>8.1f}{found[-1]:>8.1f}")
        else:
            print(f"{name or 'none':<12}{'never':>8}{'never':>8}")


if __name__ == "__main__":
    main()
