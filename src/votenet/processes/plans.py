"""Planned work on a running network: another size, other settings, restarts one after the other.

What lives here: `Plans`. What must not: decisions about one program (`machine.py`), request fields
(`requests.py`).

One plan at a time, as a task of the supervisor: it goes on when the caller hangs up, and ends when
the network is stopped. A change is saved before it is carried out, so that a supervisor that is killed
in between leaves a network that the next one completes.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from votenet.errors import Locked, SomeFailed, Stopping, VotenetError, WaitTimedOut
from votenet.processes import instance, links, ports
from votenet.processes.control_server import internal_error
from votenet.processes.identity import last_incarnations
from votenet.processes.machine import Program, RestartRequested, StartRequested, State, StopRequested
from votenet.processes.slot import OUT, Slot
from votenet.processes.spec import NetworkSpec, ProgramSpec, Role, expand

if TYPE_CHECKING:
    from votenet.processes.supervisor import Supervisor

READY_SECONDS: Final = 60.0
"""For one program to be ready and caught up after a planned start."""


class Plans:
    """What is planned for one supervisor. `name` is the plan under way, '' if none."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self.name = ""

    def begin(self, name: str, work: Coroutine[Any, Any, dict[str, Any]]) -> asyncio.Future[dict[str, Any]]:
        """Start a plan; the future gets its answer, or its VotenetError.

        Raises:
            Locked: another plan is under way.
        """
        if self.name:
            work.close()
            raise Locked(
                f"{self.name} is under way",
                code="busy",
                next_step="Wait for it to end. Look with: votenet ps",
            )
        self.name = name
        outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._supervisor.in_background(self._run(work, outcome), name)
        return outcome

    async def _run(
        self, work: Coroutine[Any, Any, dict[str, Any]], outcome: asyncio.Future[dict[str, Any]]
    ) -> None:
        try:
            outcome.set_result(await work)
        except Exception as error:
            if not isinstance(error, VotenetError):  # a mistake of ours ends the plan, not the supervisor
                traceback.print_exc()
                error = internal_error(error)
            self._supervisor.tell(f"{self.name}: {error.message}")
            outcome.set_exception(error)
            outcome.exception()  # looked at: nobody may be waiting for it any more
        finally:
            outcome.cancel()  # does nothing to one that is done
            self.name = ""
            self._supervisor.wake()

    # -- another network -----------------------------------------------------------------------

    async def change(self, wanted: Mapping[str, Any], nodes: int | None, grace: float) -> dict[str, Any]:
        """Make the network as wanted: programs start, stop, and restart one by one where they changed.

        Args:
            wanted: fields of `NetworkSpec` that shall be different.
            nodes: how many nodes; None leaves them as they are.

        Raises:
            ConfigError: no ports are free.
            StorageError: the change cannot be saved; nothing was changed.
            SomeFailed, WaitTimedOut: a program did not come up; what was not begun stays as it was.
        """
        supervisor = self._supervisor
        old = supervisor.network
        new, locks = self._planned(replace(old, **wanted), nodes)
        if new == old:
            return {"changed": []}
        try:
            instance.save_network(supervisor.dirs, new)
        except BaseException:
            for lock in locks:
                lock.release(remove=True)
            raise
        supervisor.claim.ports.extend(locks)
        supervisor.network = new
        specs = {spec.name: spec for spec in expand(new, supervisor.dirs)}
        gone = [name for name in supervisor.slots if name not in specs]
        fresh = [spec for name, spec in specs.items() if name not in supervisor.slots]
        kept = [slot for name, slot in supervisor.slots.items() if name in specs]
        changed = [slot.spec.name for slot in kept if slot.spec != specs[slot.spec.name]]
        for name in changed:
            supervisor.slots[name].spec = specs[name]
        await self._take_out(gone, grace)
        await self._bring_in(fresh)
        await self.roll([name for name in changed if self._runs(name)], grace)
        return {"changed": [*gone, *(spec.name for spec in fresh), *changed], "nodes": len(new.node_ports)}

    def _planned(self, network: NetworkSpec, nodes: int | None) -> tuple[NetworkSpec, list[Any]]:
        """The network with that many nodes, and the locks of the ports that it takes more."""
        used = network.node_ports
        if nodes is None or nodes == len(used):
            return network, []
        if nodes < len(used):
            return replace(network, node_ports=used[:nodes]), []
        more, locks = ports.take_more(nodes - len(used), network.host, used)
        return replace(network, node_ports=(*used, *more)), locks

    async def _take_out(self, names: Sequence[str], grace: float) -> None:
        """Stop programs for good: they leave the registry, their ports and locks are free, data stays."""
        supervisor = self._supervisor
        slots = [supervisor.slots[name] for name in names]
        for slot in slots:
            supervisor.dispatch(slot, StopRequested(grace))
        await self._until(lambda: all(slot.program.at_rest for slot in slots))
        for slot in slots:
            supervisor.tell(f"{slot.spec.name}: taken out of the network; its data stays")
            supervisor.claim.drop(slot.spec.address.port)
            del supervisor.slots[slot.spec.name]
        supervisor.wake()

    async def _bring_in(self, specs: Sequence[ProgramSpec]) -> None:
        supervisor = self._supervisor
        links.forget(spec.data_dir for spec in specs)  # of a partition that was there when they left
        numbers = last_incarnations(supervisor.dirs)
        slots = [Slot(spec, Program(incarnation=numbers.get(spec.name, 0))) for spec in specs]
        for slot in slots:
            supervisor.slots[slot.spec.name] = slot
            supervisor.dispatch(slot, StartRequested())
        await self._all_ready(slots)

    async def _all_ready(self, slots: Sequence[Slot]) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._until(lambda: all(slot.settled or not slot.program.wanted for slot in slots))
        except TimeoutError:
            late = ", ".join(slot.spec.name for slot in slots if not slot.settled)
            raise WaitTimedOut(
                f"{late}: not ready after {READY_SECONDS:g} s",
                next_step="It may still come: votenet wait --for ready; why not, is in: votenet logs",
            ) from None
        if out := [slot for slot in slots if slot.program.state in OUT]:
            why = "; ".join(f"{s.spec.name} is {s.program.state.value}: {s.program.cause}" for s in out)
            raise SomeFailed(why, next_step="Look with: votenet ps, votenet logs")

    # -- one after the other -------------------------------------------------------------------

    async def roll(self, names: Sequence[str], grace: float) -> dict[str, Any]:
        """Restart programs one at a time; the next only when the last is ready and has caught up.

        Raises:
            SomeFailed, WaitTimedOut: one did not come back; those after it were left alone.
        """
        supervisor = self._supervisor
        for index, name in enumerate(names):
            slot = supervisor.slots.get(name)
            if slot is None:
                continue
            others = [other for other in supervisor.slots.values() if other is not slot]
            await self._all_ready([other for other in others if self._counts(other)])
            floor = self._height(slot)
            supervisor.tell(f"{name}: restarting it, {index + 1} of {len(names)}")
            supervisor.dispatch(slot, RestartRequested(grace))
            try:
                await self._back(slot, floor)
            except VotenetError as error:
                left = ", ".join(names[index + 1 :])
                error.message += f"; not restarted: {left}" if left else ""
                raise
        return {"restarted": list(names)}

    def rollable(self) -> list[str]:
        """What `restart --rolling` means without names: all that run, the bootstrap server last."""
        bootstrap, *nodes = self._supervisor.slots
        return [name for name in (*nodes, bootstrap) if self._runs(name)]

    def _runs(self, name: str) -> bool:
        program = self._supervisor.slots[name].program
        return program.wanted and program.state not in OUT

    def _counts(self, slot: Slot) -> bool:
        """Whether its being away would make a restart of another one a risk."""
        return self._runs(slot.spec.name) and slot.program.state is not State.PAUSED

    def _height(self, slot: Slot) -> int:
        """How far a restarted node must come: where the others are now."""
        if slot.spec.role is not Role.NODE:
            return 0
        ready = [one for one in self._supervisor.slots.values() if one.program.state is State.READY]
        return max((one.vitals.height or 0 for one in ready), default=0)

    async def _back(self, slot: Slot, floor: int) -> None:
        name, epoch = slot.spec.name, slot.program.epoch

        def decided() -> bool:
            caught_up = slot.program.state is State.READY and (slot.vitals.height or 0) >= floor
            return caught_up or slot.program.state in OUT or slot.program.epoch != epoch

        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._until(decided)
        except TimeoutError:
            raise WaitTimedOut(
                f"{name} is {slot.program.state.value} after {READY_SECONDS:g} s",
                next_step=f"Look with: votenet logs {name}",
            ) from None
        if slot.program.state in OUT:
            raise SomeFailed(
                f"{name} is {slot.program.state.value}: {slot.program.cause}",
                next_step=f"Look with: votenet logs {name}",
            )
        if slot.program.epoch != epoch:
            raise SomeFailed(
                f"another command about {name} came in between",
                code="overtaken",
                next_step="See what holds now: votenet ps; then give this command again.",
            )

    async def _until(self, condition: Any) -> None:
        """Wait for a condition, unless the network is stopped first. Raises VotenetError."""
        await self._supervisor.until(lambda: condition() or self._supervisor.stopping)
        if self._supervisor.stopping:
            raise Stopping("the network is stopping")
