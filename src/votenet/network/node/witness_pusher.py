"""A named node shows its certificates to the witnesses of its election."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, NamedTuple

from votenet.core.election.definition import Election
from votenet.core.log.certificate import Certificate
from votenet.core.log.signed_note import SignedNote, VerifierKey, parse_key
from votenet.core.log.tiles import ReadTile, consistency_proof
from votenet.core.log.witness import WitnessSize
from votenet.errors import ConfigError, NotProven, StorageError, Unreachable

PUSH_SECONDS: Final = 2.0
"""A witness sees the newest certificate at most this often."""
MAX_PUSH_SECONDS: Final = 300.0
"""The longest pause after failures, which double it."""

log = logging.getLogger("votenet.witness")


class WitnessTarget(NamedTuple):
    """A witness to push to; `url` is its submission prefix."""

    key: VerifierKey
    url: str


def witnesses_of(election: Election, more: Iterable[tuple[str, str]] = ()) -> list[WitnessTarget]:
    """Those of the definition whose keys can be read, and `more` by key and URL.

    Raises:
        ConfigError: bad-witness, for a key in `more`.
    """
    targets = [WitnessTarget(key, url) for key, url in election.witnesses]
    for left_out in {each.key for each in election.definition.witnesses} - {str(one.key) for one in targets}:
        log.warning("a witness of the definition is left out: %s is no key", left_out)
    for key, url in more:
        try:
            targets.append(WitnessTarget(parse_key(key), url))
        except NotProven as error:
            raise ConfigError(
                f"the key of a witness cannot be read: {error.message}",
                code="bad-witness",
                next_step="Take its key as it prints it: name+id+key.",
            ) from None
    return list(dict.fromkeys(targets))


class WitnessPusher:
    """Pushes to each witness on its own, slower while it fails.

    Args:
        newest: the newest certificate of this node.
        cosigned: told what a witness answered, its lines below the checkpoint.
        read_tile: of the stored log; called in a thread of `reader`.
    """

    def __init__(
        self,
        targets: Sequence[WitnessTarget],
        newest: Callable[[], Certificate | None],
        read_tile: ReadTile,
        reader: Executor,
        cosigned: Callable[[SignedNote], None],
    ) -> None:
        self._targets, self._newest, self._cosigned = targets, newest, cosigned
        self._read_tile, self._reader = read_tile, reader

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for target in self._targets:
                tasks.create_task(self._serve(target))

    async def _serve(self, target: WitnessTarget) -> None:
        held, pause, said = 0, PUSH_SECONDS, ""
        while True:
            await asyncio.sleep(pause)
            newest = self._newest()
            if newest is None or newest.size <= held:
                continue
            try:
                held = await self._push(target, newest, held)
                pause, said = PUSH_SECONDS, ""
            except (NotProven, StorageError, Unreachable) as error:
                pause = min(2 * pause, MAX_PUSH_SECONDS)
                if error.message != said:
                    log.warning("witness %s has not cosigned: %s", target.key.name, error.message)
                said = error.message

    async def _push(self, target: WitnessTarget, newest: Certificate, held: int) -> int:
        """The size that the witness holds now. Raises NotProven, StorageError, Unreachable."""
        from votenet.network.witness_client import push_checkpoint  # only where there is a witness

        async def prove(old: int) -> Sequence[bytes]:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._reader, consistency_proof, old, newest.size, self._read_tile
            )

        answer = await push_checkpoint(target.url, target.key, newest.note, prove, held)
        if isinstance(answer, WitnessSize):
            return answer.size
        self._cosigned(answer)
        log.info("witness %s cosigned the log at size %d", target.key.name, newest.size)
        return newest.size
