"""What one program of the network should do next: a pure state machine, desired x observed.

What lives here: `Program` (a frozen record), the events it can be told, the actions it asks for,
`step`. What must not: processes, clocks, timers, sockets. The shell in `supervisor.py` carries the
actions out and brings back events.

Three promises, which tests/processes/test_machine.py plays against random histories:

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

from votenet.processes.cause import Cause, Kind
from votenet.processes.restart import Fail, History, Remove, Restart, RestartPolicy, decide

DEFAULT_GRACE: Final = 10.0
"""Seconds between TERM and KILL: a node commits its last block and says goodbye to its peers."""
HUNG_GRACE: Final = 5.0
"""The same for one that hangs: time for its stack dump to reach the log."""


class State(Enum):
    """What people see."""

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
    """What is left of the last incarnation."""

    ABSENT = "absent"
    LAUNCHING = "launching"
    ALIVE = "alive"
    STOPPING = "stopping"
    KILLING = "killing"
    ENDED = "ended"
    """Its process died; its group, port and lock are not yet proved to be free."""


class Timer(Enum):
    """What a program may wait for; at most one of each kind."""

    RETRY = "retry"
    KILL = "kill"
    STABLE = "stable"


class Verdict(Enum):
    """Why nothing runs although it should."""

    NONE = "none"
    BACKOFF = "backoff"
    FAILED = "failed"
    REMOVED = "removed"


# -- events: commands, then observations ----------------------------------------------------------


class StartRequested(Struct, frozen=True):
    """A person or the supervisor wants it running. Forgives earlier failures."""


class StopRequested(Struct, frozen=True):
    """It shall stop: asked kindly first, killed after `grace` seconds."""

    grace: float = DEFAULT_GRACE


class RestartRequested(Struct, frozen=True):
    """Stop what runs, then start it."""

    grace: float = DEFAULT_GRACE


class KillRequested(Struct, frozen=True):
    """It shall be gone now."""


class Adopted(Struct, frozen=True):
    """A new supervisor found this incarnation alive and goes on with it. Only before any command."""

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
    """It lives, but its main loop does not go round any more."""

    incarnation: int


class Ended(Struct, frozen=True):
    """Its process died of `cause`."""

    incarnation: int
    cause: Cause


class Gone(Struct, frozen=True):
    """Nothing of it is left, or `problem` says what is."""

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
    """ABRT and CONT: it writes all its stacks to its log and dies of it."""

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
    """It is out of the network and did not say so itself: tell the bootstrap."""


Action = Launch | Terminate | Dump | Kill | SetTimer | Unregister
Step = tuple["Program", tuple[Action, ...]]


# -- the record -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Program:
    """All that the supervisor decides from about one program.

    `epoch` counts commands: work begun under an older epoch has been overtaken. `timers` holds the
    sequence number that each armed timer must show.
    """

    incarnation: int = 0
    epoch: int = 0
    wanted: bool = False
    phase: Phase = Phase.ABSENT
    verdict: Verdict = Verdict.NONE
    ready: bool = False
    was_ready: bool = False
    paused: bool = False
    hung: bool = False
    again: bool = False
    """A start was asked for while the old incarnation was still going."""
    starts: int = 0
    cause: Cause | None = None
    problem: str = ""
    history: History = field(default_factory=History)
    retry_at: float | None = None
    kill_at: float = 0.0
    """When the stop that is under way ends in KILL."""
    sequence: int = 0
    timers: tuple[tuple[Timer, int], ...] = ()

    @property
    def state(self) -> State:
        """One word for people."""
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
        return _AT_REST[self.verdict]

    @property
    def restarts(self) -> int:
        return max(self.starts - 1, 0)

    @property
    def at_rest(self) -> bool:
        """Nothing of it runs, and nothing will unless somebody asks or a timer fires."""
        return self.phase is Phase.ABSENT


_AT_REST = {
    Verdict.NONE: State.STOPPED,
    Verdict.BACKOFF: State.BACKOFF,
    Verdict.FAILED: State.FAILED,
    Verdict.REMOVED: State.REMOVED,
}


def step(program: Program, event: Event, now: float, policy: RestartPolicy, rng: Callable[[], float]) -> Step:
    """The program after `event`, and what to do now. `now` is monotonic seconds."""
    match event:
        case StartRequested():
            return _start(program)
        case StopRequested(grace=grace):
            return _stop(program, grace, now)
        case RestartRequested(grace=grace):
            return _restart(program, grace, now)
        case KillRequested():
            return _kill(program, now)
        case Adopted(incarnation=incarnation):
            return _adopted(program, incarnation)
        case TimerFired(timer=timer, sequence=sequence):
            if (timer, sequence) not in program.timers:
                return program, ()
            return _timer(_disarm(program, timer), timer)
        case _:
            if event.incarnation != program.incarnation:
                return program, ()
            return _observe(program, event, now, policy, rng)


def _observe(
    program: Program,
    event: Started | NotStarted | ReadyChanged | PauseChanged | Hung | Ended | Gone,
    now: float,
    policy: RestartPolicy,
    rng: Callable[[], float],
) -> Step:
    phase = program.phase
    match event:
        case Started() if phase is Phase.LAUNCHING:
            return _started(program, now)
        case NotStarted(reason=reason) if phase is Phase.LAUNCHING:
            cause = Cause(Kind.NOT_STARTED, detail=reason)
            ended = replace(program, phase=Phase.ENDED, cause=cause)
            return _gone(ended, now, policy, rng)
        case ReadyChanged(ready=ready) if (
            phase is Phase.ALIVE and ready != program.ready and not program.hung
        ):
            program = _disarm(replace(program, ready=ready, was_ready=True), Timer.STABLE)
            return _arm(program, Timer.STABLE, policy.reset_after) if ready else (program, ())
        case PauseChanged(paused=paused) if phase is Phase.ALIVE:
            return replace(program, paused=paused), ()
        case Hung() if phase is Phase.ALIVE and not program.hung:
            return _hung(program)
        case Ended(cause=cause) if phase in (Phase.ALIVE, Phase.STOPPING, Phase.KILLING):
            cause = replace(cause, requested=phase is not Phase.ALIVE)
            if program.hung:
                cause = replace(cause, detail="its main loop hung")
            program = _disarm(program, Timer.KILL, Timer.STABLE)
            return replace(program, phase=Phase.ENDED, cause=cause, ready=False, paused=False), ()
        case Gone(problem=problem) if phase is Phase.ENDED:
            return _gone(replace(program, problem=problem), now, policy, rng)
        case _:
            return program, ()


# -- commands -------------------------------------------------------------------------------------


def _start(program: Program) -> Step:
    program = replace(program, wanted=True, epoch=program.epoch + 1, history=History())
    if program.phase is Phase.ABSENT:
        return _launch(program)
    if program.phase in (Phase.STOPPING, Phase.KILLING, Phase.ENDED):
        program = replace(program, again=True)
    return program, ()


def _stop(program: Program, grace: float, now: float) -> Step:
    program = replace(program, wanted=False, again=False, epoch=program.epoch + 1)
    if program.phase is Phase.ABSENT:
        return replace(_disarm(program, *Timer), verdict=Verdict.NONE, retry_at=None), ()
    if program.phase is Phase.ALIVE:
        return _terminate(program, grace, now)
    if program.phase is Phase.STOPPING and now + grace < program.kill_at:  # less patient than who came before
        return _arm(replace(program, kill_at=now + grace), Timer.KILL, grace)
    return program, ()


def _restart(program: Program, grace: float, now: float) -> Step:
    if program.phase is not Phase.ALIVE:
        return _start(program)
    program = replace(program, wanted=True, again=True, epoch=program.epoch + 1, history=History())
    return _terminate(program, grace, now)


def _kill(program: Program, now: float) -> Step:
    program, actions = _stop(program, 0.0, now)
    if program.phase is not Phase.STOPPING:
        return program, actions
    program = _disarm(replace(program, phase=Phase.KILLING), Timer.KILL)
    return program, (Kill(program.incarnation),)


# -- steps ----------------------------------------------------------------------------------------


def _launch(program: Program) -> Step:
    assert program.phase is Phase.ABSENT
    assert program.wanted
    program = _disarm(program, *Timer)
    program = replace(
        program,
        phase=Phase.LAUNCHING,
        verdict=Verdict.NONE,
        incarnation=program.incarnation + 1,
        starts=program.starts + 1,
        ready=False,
        was_ready=False,
        again=False,
        hung=False,
        retry_at=None,
    )
    return program, (Launch(program.incarnation),)


def _adopted(program: Program, incarnation: int) -> Step:
    if program.epoch or program.phase is not Phase.ABSENT:
        return program, ()
    return replace(
        program, incarnation=incarnation, epoch=1, wanted=True, phase=Phase.ALIVE, starts=program.starts + 1
    ), ()


def _hung(program: Program) -> Step:
    """Not asked for: its end will count as a failure."""
    program = _disarm(replace(program, hung=True, ready=False), Timer.STABLE)
    program, armed = _arm(program, Timer.KILL, HUNG_GRACE)
    return program, (Dump(program.incarnation), *armed)


def _started(program: Program, now: float) -> Step:
    program = replace(program, phase=Phase.ALIVE, problem="")
    return (program, ()) if program.wanted else _terminate(program, DEFAULT_GRACE, now)


def _terminate(program: Program, grace: float, now: float) -> Step:
    program = replace(program, phase=Phase.STOPPING, ready=False, kill_at=now + grace)
    program = _disarm(program, Timer.STABLE)
    program, armed = _arm(program, Timer.KILL, grace)
    return program, (Terminate(program.incarnation), *armed)


def _timer(program: Program, timer: Timer) -> Step:
    if timer is Timer.STABLE:
        return replace(program, history=History()), ()
    if timer is Timer.KILL and program.phase is Phase.STOPPING:
        return replace(program, phase=Phase.KILLING), (Kill(program.incarnation),)
    if timer is Timer.KILL and program.phase is Phase.ALIVE and program.hung:
        return program, (Kill(program.incarnation),)
    if timer is Timer.RETRY and program.phase is Phase.ABSENT and program.wanted:
        return _launch(program)
    return program, ()


def _gone(program: Program, now: float, policy: RestartPolicy, rng: Callable[[], float]) -> Step:
    """Nothing of the old incarnation is left: what now?"""
    program = replace(program, phase=Phase.ABSENT)
    if not program.wanted:
        clean = program.cause is not None and (program.cause.kind, program.cause.code) == (Kind.EXITED, 0)
        return replace(program, verdict=Verdict.NONE), () if clean else (Unregister(),)
    if program.again:
        return _launch(program)
    assert program.cause is not None
    history, decision = decide(policy, program.history, program.cause, now, rng)
    program = replace(program, history=history)
    match decision:
        case Restart(delay=delay):
            if program.problem:  # what is left would only make the next one fail
                delay = max(delay, policy.first_delay)
            return _launch(program) if delay <= 0 else _wait(program, Verdict.BACKOFF, delay, now)
        case Remove(retry_after=None):
            return replace(program, verdict=Verdict.REMOVED), (Unregister(),)
        case Remove(retry_after=float() as delay):
            program, armed = _wait(program, Verdict.REMOVED, delay, now)
            return program, (Unregister(), *armed)
        case _:
            assert isinstance(decision, Fail)
            return replace(program, verdict=Verdict.FAILED), (Unregister(),)


def given_up(program: Program, reason: str) -> Program:
    """At rest as failed, whatever it was doing; a person may start it again.

    For the shell, after a mistake in votenet itself that left no process and no event to come.
    """
    program = replace(
        _disarm(program, *Timer),
        phase=Phase.ABSENT,
        verdict=Verdict.FAILED if program.wanted else Verdict.NONE,
        cause=Cause(Kind.NOT_STARTED, detail=reason),
    )
    return replace(program, again=False, ready=False, paused=False, hung=False, retry_at=None)


def _wait(program: Program, verdict: Verdict, delay: float, now: float) -> Step:
    return _arm(replace(program, verdict=verdict, retry_at=now + delay), Timer.RETRY, delay)


def _arm(program: Program, timer: Timer, delay: float) -> Step:
    program = _disarm(program, timer)
    sequence = program.sequence + 1
    armed = (*program.timers, (timer, sequence))
    return replace(program, sequence=sequence, timers=armed), (SetTimer(timer, delay, sequence),)


def _disarm(program: Program, *timers: Timer) -> Program:
    kept = tuple(armed for armed in program.timers if armed[0] not in timers)
    return program if kept == program.timers else replace(program, timers=kept)
