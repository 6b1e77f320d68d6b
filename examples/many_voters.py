"""Cast the votes of several voters at once, at nodes that a bootstrap server knows.

python examples/many_voters.py BOOTSTRAP_HOST:PORT NETWORK_ID
"""

import asyncio
import sys

import votenet
from votenet.client import CastResult


async def main(bootstrap: str, network_id: str) -> None:
    async with votenet.connect_async(bootstrap=bootstrap, network_id=network_id) as election:

        async def cast(number: int) -> CastResult:
            candidate = election.candidates[number % len(election.candidates)]
            return await election.cast(f"member-{number}", candidate)

        async with asyncio.TaskGroup() as tasks:
            votes = [tasks.create_task(cast(number)) for number in range(12)]
        for vote in votes:
            done = vote.result()
            print(f"{done.voter_id}: {done.choices[0][0]}, block {done.height}")
        print(f"{(await election.results()).votes} votes in all")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
