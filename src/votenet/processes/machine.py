"""What one program of the network does next: a pure state machine, desired x observed.

The supervisor carries the actions out and brings back events. Three promises, which
tests/processes/test_machine.py plays against random histories:

- One live incarnation: `Launch` is asked for only while nothing of an earlier one is left.
- Late events are dropped: each carries the incarnation, each timer its sequence number.
- A stop beats a restart in flight: only `StartRequested`, `RestartRequested` and `Adopted` ever set `wanted`,
  and a later `StopRequested` or `KillRequested` clears it, together with `again` and `Timer.RETRY`. `Launch`
  is asked for only while `wanted` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from msgspec import Struct

from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.restart import Fail, History, RemoveProgram, Restart, RestartPolicy, decide

DEFAULT_GRACE: Final = 10.0
"""Seconds between TERM and KILL: a node commits its last block and says goodbye to its peers."""
HUNG_GRACE: Final = 5.0
"""The same for a program that hangs: time for its stack dump to reach the log."""


class State(Enum):
    """What `votenet ps` shows."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    UNREADY = "unready"
    BACKOFF = "backoff"
    STOPPING = "stopping"
    FAILED = "failed"
    REMOVED = "removed"
    PAUSED = "paused"


class Phase(Enum):
    """The rest of the last incarnation."""

    ABSENT = "absent"
    LAUNCHING = "launching"
    ALIVE = "alive"
    STOPPING = "stopping"
    KILLING = "killing"
    ENDED = "ended"
    """Its process died; its group, port and lock are not yet known to be free."""


class Timer(Enum):
    """What a program may wait for; at most one of each kind."""

    RETRY = "retry"
    KILL = "kill"
    STABLE = "stable"


class RestReason(Enum):
    """Why a program that is wanted does not run."""

    NONE = "none"
    BACKOFF = "backoff"
    FAILED = "failed"
    REMOVED = "removed"


# -- events: commands, then observations ----------------------------------------------------------


class StartRequested(Struct, frozen=True):
    """Forgives earlier failures."""


class StopRequested(Struct, frozen=True):
    """TERM first, KILL after `grace` seconds."""

    grace: float = DEFAULT_GRACE


class RestartRequested(Struct, frozen=True):
    """Stop what runs, then start it."""

    grace: float = DEFAULT_GRACE


class KillRequested(Struct, frozen=True):
    """Stop at once, without a grace period."""


class Adopted(Struct, frozen=True):
    """A new supervisor found this incarnation alive. Counts only before any command."""

    incarnation: int


class Started(Struct, frozen=True):
    incarnation: int


class NotStarted(Struct, frozen=True):
    incarnation: int
    reason: str


class ReadyChanged(Struct, frozen=True):
    incarnation: int
    ready: bool


class PauseChanged(Struct, frozen=True):
    incarnation: int
    paused: bool


class Hung(Struct, frozen=True):
    """The process lives, its main loop does not."""

    incarnation: int


class Ended(Struct, frozen=True):
    incarnation: int
    exit_cause: ExitCause


class Gone(Struct, frozen=True):
    """Nothing of the incarnation is left, or `problem` says what is."""

    incarnation: int
    problem: str = ""


class TimerFired(Struct, frozen=True):
    timer: Timer
    sequence: int


Event = (
    StartRequested
    | StopRequested
    | RestartRequested
    | KillRequested
    | Adopted
    | Started
    | NotStarted
    | ReadyChanged
    | PauseChanged
    | Hung
    | Ended
    | Gone
    | TimerFired
)


# -- actions --------------------------------------------------------------------------------------


class Launch(Struct, frozen=True):
    incarnation: int


class Terminate(Struct, frozen=True):
    """TERM and CONT to the group."""

    incarnation: int


class Dump(Struct, frozen=True):
    """ABRT and CONT: the program writes all its stacks to its log and dies."""

    incarnation: int


class Kill(Struct, frozen=True):
    """KILL to the group."""

    incarnation: int


class SetTimer(Struct, frozen=True):
    """Fire `TimerFired(timer, sequence)` after `delay` seconds; replaces one of the same kind."""

    timer: Timer
    delay: float
    sequence: int


class Unregister(Struct, frozen=True):
    """The program is out of the network and may not have said so: tell the bootstrap server."""


Action = Launch | Terminate | Dump | Kill | SetTimer | Unregister
Step = tuple["ProgramState", tuple[Action, ...]]


# -- the state ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProgramState:
    """All that decisions about one program depend on.

    `epoch` counts commands: work begun under an older epoch has been overtaken. `timers` holds the
    sequence number that each armed timer must show.
    """

    incarnation: int = 0
    epoch: int = 0
    wanted: bool = False
    phase: Phase = Phase.ABSENT
    rest_reason: RestReason = RestReason.NONE
    ready: bool = False
    was_ready: bool = False
    paused: bool = False
    hung: bool = False
    again: bool = False
    """A start was requested while the old incarnation was still going."""
    starts: int = 0
    exit_cause: ExitCause | None = None
    problem: str = ""
    history: History = field(default_factory=History)
    retry_at: float | None = None
    kill_at: float = 0.0
    """Monotonic time at which the stop under way ends in KILL."""
    sequence: int = 0
    timers: tuple[tuple[Timer, int], ...] = ()

    @property
    def state(self) -> State:
        """The one word that people see."""
        if self.phase is Phase.ALIVE:
            if self.paused:
                return State.PAUSED
            if self.ready:
                return State.READY
            return State.UNREADY if self.was_ready else State.STARTING
        if self.phase is Phase.LAUNCHING:
            return State.STARTING
        if self.phase in (Phase.STOPPING, Phase.KILLING):
            return State.STOPPING
        if self.phase is Phase.ENDED:
            return State.BACKOFF if self.wanted and not self.again else State.STOPPING
        return _AT_REST[self.rest_reason]

    @property
    def restarts(self) -> int:
        return max(self.starts - 1, 0)

    @property
    def at_rest(self) -> bool:
        """Nothing runs, and nothing will until a command comes or a timer fires."""
        return self.phase is Phase.ABSENT


_AT_REST = {
    RestReason.NONE: State.STOPPED,
    RestReason.BACKOFF: State.BACKOFF,
    RestReason.FAILED: State.FAILED,
    RestReason.REMOVED: State.REMOVED,
}


def step(
    state: ProgramState, event: Event, now: float, policy: RestartPolicy, rng: Callable[[], float]
) -> Step:
    """The state after `event`, and what to do. `now` is monotonic seconds."""
    match event:
        case StartRequested():
            return _start(state)
        case StopRequested(grace=grace):
            return _stop(state, grace, now)
        case RestartRequested(grace=grace):
            return _restart(state, grace, now)
        case KillRequested():
            return _kill(state, now)
        case Adopted(incarnation=incarnation):
            return _adopted(state, incarnation)
        case TimerFired(timer=timer, sequence=sequence):
            if (timer, sequence) not in state.timers:
                return state, ()
            return _timer(_disarm(state, timer), timer)
        case _:
            if event.incarnation != state.incarnation:
                return state, ()
            return _observe(state, event, now, policy, rng)


def _observe(
    state: ProgramState,
    event: Started | NotStarted | ReadyChanged | PauseChanged | Hung | Ended | Gone,
    now: float,
    policy: RestartPolicy,
    rng: Callable[[], float],
) -> Step:
    phase = state.phase
    match event:
        case Started() if phase is Phase.LAUNCHING:
            return _started(state, now)
        case NotStarted(reason=reason) if phase is Phase.LAUNCHING:
            exit_cause = ExitCause(ExitKind.NOT_STARTED, detail=reason)
            ended = replace(state, phase=Phase.ENDED, exit_cause=exit_cause)
            return _gone(ended, now, policy, rng)
        case ReadyChanged(ready=ready) if phase is Phase.ALIVE and ready != state.ready and not state.hung:
            state = _disarm(replace(state, ready=ready, was_ready=True), Timer.STABLE)
            return _arm(state, Timer.STABLE, policy.reset_after) if ready else (state, ())
        case PauseChanged(paused=paused) if phase is Phase.ALIVE:
            return replace(state, paused=paused), ()
        case Hung() if phase is Phase.ALIVE and not state.hung:
            return _hung(state)
        case Ended(exit_cause=exit_cause) if phase in (Phase.ALIVE, Phase.STOPPING, Phase.KILLING):
            exit_cause = replace(exit_cause, requested=phase is not Phase.ALIVE)
            if state.hung:
                exit_cause = replace(exit_cause, detail="its main loop hung")
            state = _disarm(state, Timer.KILL, Timer.STABLE)
            return replace(state, phase=Phase.ENDED, exit_cause=exit_cause, ready=False, paused=False), ()
        case Gone(problem=problem) if phase is Phase.ENDED:
            return _gone(replace(state, problem=problem), now, policy, rng)
        case _:
            return state, ()


# -- commands -------------------------------------------------------------------------------------


def _start(state: ProgramState) -> Step:
    state = replace(state, wanted=True, epoch=state.epoch + 1, history=History())
    if state.phase is Phase.ABSENT:
        return _launch(state)
    if state.phase in (Phase.STOPPING, Phase.KILLING, Phase.ENDED):
        state = replace(state, again=True)
    return state, ()


def _stop(state: ProgramState, grace: float, now: float) -> Step:
    state = replace(state, wanted=False, again=False, epoch=state.epoch + 1)
    if state.phase is Phase.ABSENT:
        return replace(_disarm(state, *Timer), rest_reason=RestReason.NONE, retry_at=None), ()
    if state.phase is Phase.ALIVE:
        return _terminate(state, grace, now)
    if state.phase is Phase.STOPPING and now + grace < state.kill_at:  # less patient than the stop before
        return _arm(replace(state, kill_at=now + grace), Timer.KILL, grace)
    return state, ()


def _restart(state: ProgramState, grace: float, now: float) -> Step:
    if state.phase is not Phase.ALIVE:
        return _start(state)
    state = replace(state, wanted=True, again=True, epoch=state.epoch + 1, history=History())
    return _terminate(state, grace, now)


def _kill(state: ProgramState, now: float) -> Step:
    state, actions = _stop(state, 0.0, now)
    if state.phase is not Phase.STOPPING:
        return state, actions
    state = _disarm(replace(state, phase=Phase.KILLING), Timer.KILL)
    return state, (Kill(state.incarnation),)


# -- steps ----------------------------------------------------------------------------------------


def _launch(state: ProgramState) -> Step:
    assert state.phase is Phase.ABSENT
    assert state.wanted
    state = _disarm(state, *Timer)
    state = replace(
        state,
        phase=Phase.LAUNCHING,
        rest_reason=RestReason.NONE,
        incarnation=state.incarnation + 1,
        starts=state.starts + 1,
        ready=False,
        was_ready=False,
        again=False,
        hung=False,
        retry_at=None,
    )
    return state, (Launch(state.incarnation),)


def _adopted(state: ProgramState, incarnation: int) -> Step:
    if state.epoch or state.phase is not Phase.ABSENT:
        return state, ()
    return replace(
        state, incarnation=incarnation, epoch=1, wanted=True, phase=Phase.ALIVE, starts=state.starts + 1
    ), ()


def _hung(state: ProgramState) -> Step:
    """Its end was not requested, so it counts as a failure."""
    state = _disarm(replace(state, hung=True, ready=False), Timer.STABLE)
    state, armed = _arm(state, Timer.KILL, HUNG_GRACE)
    return state, (Dump(state.incarnation), *armed)


def _started(state: ProgramState, now: float) -> Step:
    state = replace(state, phase=Phase.ALIVE, problem="")
    return (state, ()) if state.wanted else _terminate(state, DEFAULT_GRACE, now)


def _terminate(state: ProgramState, grace: float, now: float) -> Step:
    state = replace(state, phase=Phase.STOPPING, ready=False, kill_at=now + grace)
    state = _disarm(state, Timer.STABLE)
    state, armed = _arm(state, Timer.KILL, grace)
    return state, (Terminate(state.incarnation), *armed)


def _timer(state: ProgramState, timer: Timer) -> Step:
    if timer is Timer.STABLE:
        return replace(state, history=History()), ()
    if timer is Timer.KILL and state.phase is Phase.STOPPING:
        return replace(state, phase=Phase.KILLING), (Kill(state.incarnation),)
    if timer is Timer.KILL and state.phase is Phase.ALIVE and state.hung:
        return state, (Kill(state.incarnation),)
    if timer is Timer.RETRY and state.phase is Phase.ABSENT and state.wanted:
        return _launch(state)
    return state, ()


def _gone(state: ProgramState, now: float, policy: RestartPolicy, rng: Callable[[], float]) -> Step:
    """Nothing of the old incarnation is left: stay down, start again at once, or do what the policy says."""
    state = replace(state, phase=Phase.ABSENT)
    # 1. It is not wanted any more. A clean exit has said goodbye itself.
    if not state.wanted:
        clean = state.exit_cause is not None and (state.exit_cause.kind, state.exit_cause.code) == (
            ExitKind.EXITED,
            0,
        )
        return replace(state, rest_reason=RestReason.NONE), () if clean else (Unregister(),)
    # 2. A start was requested meanwhile: no pause, no failure counted.
    if state.again:
        return _launch(state)
    # 3. It ended by itself: the policy decides.
    assert state.exit_cause is not None
    history, decision = decide(policy, state.history, state.exit_cause, now, rng)
    state = replace(state, history=history)
    match decision:
        case Restart(delay=delay):
            if state.problem:  # what is left would make the next incarnation fail at once
                delay = max(delay, policy.first_delay)
            return _launch(state) if delay <= 0 else _wait(state, RestReason.BACKOFF, delay, now)
        case RemoveProgram(retry_after=None):
            return replace(state, rest_reason=RestReason.REMOVED), (Unregister(),)
        case RemoveProgram(retry_after=float() as delay):
            state, armed = _wait(state, RestReason.REMOVED, delay, now)
            return state, (Unregister(), *armed)
        case _:
            assert isinstance(decision, Fail)
            return replace(state, rest_reason=RestReason.FAILED), (Unregister(),)


def given_up(state: ProgramState, reason: str) -> ProgramState:
    """At rest as failed, from any phase; a person may start it again.

    For a fault in votenet itself that left no process and no event to come.
    """
    state = replace(
        _disarm(state, *Timer),
        phase=Phase.ABSENT,
        rest_reason=RestReason.FAILED if state.wanted else RestReason.NONE,
        exit_cause=ExitCause(ExitKind.NOT_STARTED, detail=reason),
    )
    return replace(state, again=False, ready=False, paused=False, hung=False, retry_at=None)


def _wait(state: ProgramState, rest_reason: RestReason, delay: float, now: float) -> Step:
    return _arm(replace(state, rest_reason=rest_reason, retry_at=now + delay), Timer.RETRY, delay)


def _arm(state: ProgramState, timer: Timer, delay: float) -> Step:
    state = _disarm(state, timer)
    sequence = state.sequence + 1
    armed = (*state.timers, (timer, sequence))
    return replace(state, sequence=sequence, timers=armed), (SetTimer(timer, delay, sequence),)


def _disarm(state: ProgramState, *timers: Timer) -> ProgramState:
    kept = tuple(armed for armed in state.timers if armed[0] not in timers)
    return state if kept == state.timers else replace(state, timers=kept)
