"""Changes of a running network: another size, other settings, restarts one after the other.

One rollout at a time, as a task of the supervisor: it goes on when the caller hangs up, and ends when the
network is stopped. A change is saved before it is carried out, so that the supervisor after one that is
killed in between completes it.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from votenet.errors import Command, Locked, NextStep, SomeFailed, Stopping, VotenetError, WaitTimedOut
from votenet.processes import instance, links, ports
from votenet.processes.control_server import internal_error
from votenet.processes.instance import Claim
from votenet.processes.machine import RestartRequested, StartRequested, State, StopRequested
from votenet.processes.managed_program import OUT_STATES, ManagedProgram
from votenet.processes.program_table import ProgramTable
from votenet.processes.spec import NetworkSpec, ProgramSpec, expand
from votenet.storage.files import FileLock

READY_SECONDS: Final = 60.0
"""For one program to be ready and caught up after a planned start."""


class Rollouts:
    """Carries out changes of one network."""

    def __init__(self, table: ProgramTable, claim: Claim) -> None:
        self._table, self._claim = table, claim

    def begin(self, name: str, work: Coroutine[Any, Any, dict[str, Any]]) -> asyncio.Future[dict[str, Any]]:
        """Start a rollout; the future gets its answer, or its VotenetError.

        Raises:
            Locked: another rollout is under way.
        """
        if self._table.rollout:
            work.close()
            raise Locked(
                f"{self._table.rollout} is under way",
                code="busy",
                next_step=NextStep("Wait for it to end. Look with: {}", Command("ps")),
            )
        self._table.rollout = name
        outcome: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._table.in_background(self._run(work, outcome), name)
        return outcome

    async def _run(
        self, work: Coroutine[Any, Any, dict[str, Any]], outcome: asyncio.Future[dict[str, Any]]
    ) -> None:
        try:
            outcome.set_result(await work)
        except Exception as error:
            if not isinstance(error, VotenetError):  # unforeseen: it ends the rollout, not the supervisor
                traceback.print_exc()
                error = internal_error(error)
            self._table.tell(f"{self._table.rollout}: {error.message}")
            outcome.set_exception(error)
            outcome.exception()  # looked at: the caller may have hung up
        finally:
            outcome.cancel()  # does nothing to a future that is done
            self._table.rollout = ""
            self._table.wake()

    # -- another network -----------------------------------------------------------------------

    async def change(self, wanted: Mapping[str, Any], nodes: int | None, grace: float) -> dict[str, Any]:
        """Make the network as wanted: programs start, stop, and restart one by one where they changed.

        One that is as wanted may be so on paper alone: then the restarts are done that an earlier change
        left out when it was interrupted.

        Args:
            wanted: fields of `NetworkSpec` that shall be different.
            nodes: how many nodes; None leaves them as they are.

        Raises:
            ConfigError: no ports are free.
            StorageError: the change cannot be saved; nothing was changed.
            SomeFailed, WaitTimedOut: a program did not come up; what was not begun stays as it was.
        """
        table = self._table
        # 1. Take the ports of new nodes, and save the new network: from here on it is what shall be.
        before = table.network
        new, locks = _with_ports(before, replace(before, **wanted), nodes)
        if new == before:
            return await self._complete(grace)
        try:
            instance.save_network(table.dirs, new)
        except BaseException:
            ports.release(locks)
            raise
        self._claim.ports.extend(locks)
        table.network = new
        # 2. Compare the programs that the new network has with those that there are.
        specs = {spec.name: spec for spec in expand(new, table.dirs)}
        surplus = [program for name, program in table.programs.items() if name not in specs]
        missing = [spec for name, spec in specs.items() if name not in table.programs]
        kept = [program for name, program in table.programs.items() if name in specs]
        changed = [program.name for program in kept if program.spec != specs[program.name]]
        for name in changed:
            table.programs[name].spec = specs[name]
        # 3. Fewer, then more, then the changed ones one at a time.
        await self._remove(surplus, grace)
        await self._add(missing)
        if before.page and new.page and before.page.port != new.page.port:
            self._claim.drop(before.page.port)
        await self.roll([name for name in changed if self._runs(name)], grace)
        names = [*(program.name for program in surplus), *(spec.name for spec in missing), *changed]
        return {"changed": names, "nodes": len(new.node_ports)}

    async def _complete(self, grace: float) -> dict[str, Any]:
        """Restart what still runs with arguments from before a change that was interrupted.

        Raises:
            SomeFailed: a program is out, perhaps over the new ones; and all that `roll` raises.
        """
        programs = self._table.programs.values()
        names = [one.name for one in programs if one.outdated and self._runs(one.name)]
        if not names:
            return {"changed": []}
        if out := [one for one in programs if one.state in OUT_STATES and not one.is_page]:
            again = Command("restart", *(one.name for one in out))
            raise SomeFailed(
                f"{'; '.join(map(_why_out, out))}; not restarted: {', '.join(names)}",
                next_step=NextStep("Start it again with: {}; then give this command again.", again),
            )
        await self.roll(names, grace)
        return {"changed": names, "nodes": len(self._table.network.node_ports)}

    async def _remove(self, programs: Sequence[ManagedProgram], grace: float) -> None:
        """Stop programs for good: they leave the registry, their ports and locks are free, data stays."""
        table = self._table
        for program in programs:
            table.dispatch(program, StopRequested(grace))
        await self._until(lambda: all(program.machine.at_rest for program in programs))
        for program in programs:
            stays = "" if program.is_page else "; its data stays"
            table.tell(f"{program.name}: taken out of the network{stays}")
            self._claim.drop(program.spec.address.port)
            del table.programs[program.name]
        table.wake()

    async def _add(self, specs: Sequence[ProgramSpec]) -> None:
        links.forget(spec.data_dir for spec in specs)  # of a partition that there was when they left
        programs = self._table.add(specs)
        for program in programs:
            self._table.dispatch(program, StartRequested())
        await self._all_ready(programs)

    async def _all_ready(self, programs: Sequence[ManagedProgram]) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._until(lambda: all(one.settled or not one.machine.wanted for one in programs))
        except TimeoutError:
            late = ", ".join(program.name for program in programs if not program.settled)
            raise WaitTimedOut(
                f"{late}: not ready after {READY_SECONDS:g} s",
                next_step=NextStep(
                    "It may still come: {}; why not, is in: {}",
                    Command("wait", "--for", "ready"),
                    Command("logs"),
                ),
            ) from None
        if out := [program for program in programs if program.state in OUT_STATES]:
            look = NextStep("Look with: {}, {}", Command("ps"), Command("logs"))
            raise SomeFailed("; ".join(map(_why_out, out)), next_step=look)

    # -- one after the other -------------------------------------------------------------------

    async def roll(self, names: Sequence[str], grace: float) -> dict[str, Any]:
        """Restart programs one at a time; the next only when the last is ready and has caught up.

        Raises:
            SomeFailed, WaitTimedOut: one did not come back; those after it were left alone.
        """
        table = self._table
        for index, name in enumerate(names):
            program = table.programs.get(name)
            if program is None:
                continue
            # 1. All others are there, so the network can spare this one.
            others = [other for other in table.programs.values() if other is not program]
            if not program.is_page:
                await self._all_ready([other for other in others if self._is_needed(other)])
            # 2. Restart it, and wait until it is where the others were before.
            height = self._height(program)
            table.tell(f"{name}: restarting it, {index + 1} of {len(names)}")
            table.dispatch(program, RestartRequested(grace))
            try:
                await self._wait_back(program, height)
            except VotenetError as error:
                left = ", ".join(names[index + 1 :])
                error.message += f"; not restarted: {left}" if left else ""
                raise
        return {"restarted": list(names)}

    def rollable(self) -> list[str]:
        """What `restart --rolling` means without names: all that run, the bootstrap server last."""
        bootstrap, *nodes = self._table.programs
        return [name for name in (*nodes, bootstrap) if self._runs(name)]

    def _runs(self, name: str) -> bool:
        program = self._table.programs[name]
        return program.machine.wanted and program.state not in OUT_STATES

    def _is_needed(self, program: ManagedProgram) -> bool:
        """Whether a restart of another program would be a risk while this one is away."""
        return self._runs(program.name) and program.state is not State.PAUSED and not program.is_page

    def _height(self, program: ManagedProgram) -> int:
        """How far a restarted node must come: where the others are now."""
        if not program.is_node:
            return 0
        ready = [one for one in self._table.programs.values() if one.state is State.READY]
        return max((one.heartbeat.height or 0 for one in ready), default=0)

    async def _wait_back(self, program: ManagedProgram, height: int) -> None:
        name, epoch = program.name, program.machine.epoch
        look = NextStep("Look with: {}", Command("logs", name))

        def decided() -> bool:
            caught_up = program.state is State.READY and (program.heartbeat.height or 0) >= height
            return caught_up or program.state in OUT_STATES or program.machine.epoch != epoch

        try:
            async with asyncio.timeout(READY_SECONDS):
                await self._until(decided)
        except TimeoutError:
            raise WaitTimedOut(
                f"{name} is {program.state.value} after {READY_SECONDS:g} s",
                next_step=look,
            ) from None
        if program.state in OUT_STATES:
            raise SomeFailed(_why_out(program), next_step=look)
        if program.machine.epoch != epoch:
            raise SomeFailed(
                f"another command about {name} came in between",
                code="overtaken",
                next_step=NextStep("See what holds now: {}; then give this command again.", Command("ps")),
            )

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, unless the network is stopped first. Raises VotenetError."""
        await self._table.until(lambda: condition() or self._table.stopping)
        if self._table.stopping:
            raise Stopping("the network is stopping")


def _with_ports(
    before: NetworkSpec, network: NetworkSpec, nodes: int | None
) -> tuple[NetworkSpec, list[FileLock]]:
    """The network with that many nodes, and the locks of the ports that it takes more.

    Raises:
        ConfigError: not enough ports are free; the page's is taken.
    """
    network, locks = _resize(network, nodes)
    if network.page and (before.page is None or before.page.port != network.page.port):
        try:
            locks += ports.take_again([network.page.address])
        except BaseException:
            ports.release(locks)
            raise
    return network, locks


def _resize(network: NetworkSpec, nodes: int | None) -> tuple[NetworkSpec, list[FileLock]]:
    used = network.node_ports
    if nodes is None or nodes == len(used):
        return network, []
    if nodes < len(used):
        return replace(network, node_ports=used[:nodes]), []
    more, locks = ports.take_more(nodes - len(used), network.host, used)
    return replace(network, node_ports=(*used, *more)), locks


def _why_out(program: ManagedProgram) -> str:
    return f"{program.name} is {program.state.value}: {program.machine.exit_cause}"
