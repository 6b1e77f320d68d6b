"""Print the count again with every new block.

    python examples/watch_results.py BLOCKS HOST:PORT [HOST:PORT...]

With several nodes it goes on when one of them fails.
"""

import sys

import votenet
from votenet.client import BlockAdded


def main(blocks: int, *nodes: str) -> None:
    with votenet.connect(nodes) as election:
        for event in election.watch():
            if not isinstance(event, BlockAdded):
                continue  # a block was replaced: its successors follow
            results = election.results()
            counts = ", ".join(f"{name} {votes}" for name, votes in results.contests[0].counts)
            print(f"block {event.height}: {counts}", flush=True)
            blocks -= 1
            if blocks == 0:
                return


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
