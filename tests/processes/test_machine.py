"""The state machine, played as histories, then against random ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from votenet.processes import machine
from votenet.processes.exit_cause import ExitCause, ExitKind
from votenet.processes.machine import (
    HUNG_GRACE,
    Action,
    Adopted,
    Dump,
    Ended,
    Event,
    Gone,
    Hung,
    Kill,
    KillRequested,
    Launch,
    NotStarted,
    PauseChanged,
    Phase,
    ProgramState,
    ReadyChanged,
    RestartRequested,
    SetTimer,
    Started,
    StartRequested,
    State,
    StopRequested,
    Terminate,
    Timer,
    TimerFired,
    Unregister,
    given_up,
    step,
)
from votenet.processes.restart import RestartPolicy

POLICY = RestartPolicy()
CRASH = ExitCause(ExitKind.EXITED, 1)
TERM = ExitCause(ExitKind.SIGNALLED, 15)


def test_the_promises_are_made_in_names_that_exist() -> None:
    names = re.findall(r"`([A-Za-z_.]+)`", machine.__doc__ or "")
    fields = set(ProgramState.__dataclass_fields__)
    missing = [name for name in names if name not in fields and not name.endswith(".py") and not _has(name)]
    assert "wanted" in names
    assert missing == []


def _has(name: str) -> bool:
    try:
        attrgetter(name)(machine)
    except AttributeError:
        return False
    return True


class History:
    """One program under a fake clock."""

    def __init__(self, policy: RestartPolicy = POLICY) -> None:
        self.machine, self.policy, self.now = ProgramState(), policy, 0.0
        self.actions: list[Action] = []

    def play(self, *events: Event) -> list[Action]:
        """What the last of these events asks for."""
        for event in events:
            self.machine, actions = step(self.machine, event, self.now, self.policy, lambda: 0.0)
            self.actions = list(actions)
        return self.actions

    def up(self) -> History:
        self.play(StartRequested(), Started(self.machine.incarnation + 1))
        self.play(ReadyChanged(self.machine.incarnation, True))
        return self

    def die(self, cause: ExitCause = CRASH, problem: str = "") -> list[Action]:
        number = self.machine.incarnation
        return self.play(Ended(number, cause), Gone(number, problem))

    def fire(self, timer: Timer) -> list[Action]:
        return self.play(TimerFired(timer, dict(self.machine.timers)[timer]))

    @property
    def state(self) -> State:
        return self.machine.state


def test_start_ready_stop() -> None:
    history = History()
    assert history.state is State.STOPPED
    assert history.play(StartRequested()) == [Launch(1)]
    assert history.play(Started(1)) == []
    assert history.state is State.STARTING
    assert history.play(ReadyChanged(1, True)) == [SetTimer(Timer.STABLE, 60.0, 1)]
    assert history.state is State.READY
    assert history.play(StopRequested(3.0)) == [Terminate(1), SetTimer(Timer.KILL, 3.0, 2)]
    assert history.state is State.STOPPING
    assert history.play(Ended(1, TERM)) == []
    assert history.state is State.STOPPING
    assert history.play(Gone(1)) == [Unregister()], "ended by a signal: it did not say goodbye itself"
    assert history.state is State.STOPPED
    assert history.machine.exit_cause == replace(TERM, requested=True)
    assert history.machine.history.streak == 0


def test_a_program_that_does_not_stop_is_killed_once() -> None:
    history = History().up()
    history.play(StopRequested())
    assert history.fire(Timer.KILL) == [Kill(1)]
    assert history.play(TimerFired(Timer.KILL, 2)) == []


def test_a_less_patient_stop_brings_the_kill_forward_and_never_back() -> None:
    history = History().up()
    assert history.play(StopRequested(60.0))[1] == SetTimer(Timer.KILL, 60.0, 2)
    history.now += 1.0
    assert history.play(StopRequested(2.0)) == [SetTimer(Timer.KILL, 2.0, 3)]
    assert history.play(StopRequested(2.0)) == []
    assert history.play(StopRequested(30.0)) == []
    assert history.play(TimerFired(Timer.KILL, 2)) == [], "the old one does not count any more"
    assert history.fire(Timer.KILL) == [Kill(1)]


def test_a_crash_restarts_at_once_and_the_next_one_waits() -> None:
    history = History().up()
    assert history.die() == [Launch(2)]
    assert history.machine.restarts == 1
    history.play(Started(2))
    (timer,) = history.die()
    assert isinstance(timer, SetTimer)
    assert (timer.timer, timer.delay) == (Timer.RETRY, 0.5)
    assert history.state is State.BACKOFF
    assert history.fire(Timer.RETRY) == [Launch(3)]


def test_a_program_that_could_not_be_started_waits_like_one_that_crashed() -> None:
    history = History()
    history.play(StartRequested())
    assert history.play(NotStarted(1, "no such file")) == [Launch(2)]
    history.play(NotStarted(2, "no such file"))
    assert history.state is State.BACKOFF
    assert "no such file" in str(history.machine.exit_cause)


def test_leftovers_of_the_old_incarnation_delay_the_new_one() -> None:
    history = History().up()
    (timer,) = history.die(problem="port 3000 is still held")
    assert isinstance(timer, SetTimer)
    assert timer.delay == POLICY.first_delay
    assert history.machine.problem == "port 3000 is still held"


def test_sixty_seconds_ready_give_a_clean_record() -> None:
    history = History().up()
    history.die()
    history.play(Started(2), ReadyChanged(2, True))
    history.fire(Timer.STABLE)
    assert history.die() == [Launch(3)]


def test_unready_stops_the_proof() -> None:
    history = History().up()
    (stale,) = history.machine.timers
    history.play(ReadyChanged(1, False))
    assert history.state is State.UNREADY
    before = replace(history.machine, history=replace(history.machine.history, streak=2))
    history.machine = before
    history.play(TimerFired(*stale))
    assert history.machine == before


def test_scenario_09_crash_loop_ends_removed_and_exit_78_failed() -> None:
    history = History().up()
    for _ in range(4):
        history.die()
        if history.state is State.BACKOFF:
            history.fire(Timer.RETRY)
        history.play(Started(history.machine.incarnation))
    unregister, timer = history.die()
    assert unregister == Unregister()
    assert isinstance(timer, SetTimer)
    assert timer.delay == 300.0
    assert history.state is State.REMOVED
    history.fire(Timer.RETRY)
    history.play(Started(history.machine.incarnation))
    assert history.die()[0] == Unregister(), "one failure on trial is enough"

    failed = History().up()
    assert failed.die(ExitCause(ExitKind.EXITED, 78)) == [Unregister()]
    assert failed.state is State.FAILED
    assert not failed.machine.timers


def test_start_brings_back_removed_and_failed_programs() -> None:
    history = History().up()
    history.die(ExitCause(ExitKind.EXITED, 78))
    assert history.play(StartRequested()) == [Launch(2)]
    assert history.state is State.STARTING


def test_scenario_11_stop_during_backoff_then_start_then_restart() -> None:
    history = History().up()
    history.die()
    history.play(Started(2))
    history.die()
    (stale,) = history.machine.timers
    history.play(StopRequested())
    assert history.state is State.STOPPED
    assert history.play(TimerFired(*stale)) == [], "the back-off timer was overtaken by the stop"
    assert history.play(StartRequested()) == [Launch(3)]
    history.play(Started(3))
    assert history.play(RestartRequested())[0] == Terminate(3)
    assert history.play(RestartRequested()) == [], "a second restart joins the first"
    assert history.die(TERM) == [Launch(4)]


def test_a_stop_beats_a_restart_in_flight() -> None:
    history = History().up()
    history.play(RestartRequested())
    history.play(StopRequested())
    assert history.die(ExitCause(ExitKind.EXITED, 0)) == [], "a clean end said goodbye itself"
    assert history.state is State.STOPPED


def test_a_start_after_a_stop_in_flight_wins() -> None:
    history = History().up()
    history.play(StopRequested(), StartRequested())
    assert history.die(TERM) == [Launch(2)]


def test_a_restart_that_was_asked_for_is_never_shown_as_a_failure() -> None:
    history = History().up()
    history.play(RestartRequested(3.0), Ended(1, ExitCause(ExitKind.EXITED, 0)))
    assert history.state is State.STOPPING
    assert history.play(Gone(1)) == [Launch(2)]


def test_a_start_between_death_and_proof_is_not_held_off() -> None:
    history = History().up()
    history.play(Ended(1, ExitCause(ExitKind.EXITED, 78)), StartRequested())
    assert history.play(Gone(1)) == [Launch(2)]


def test_late_events_of_an_old_incarnation_are_dropped() -> None:
    history = History().up()
    history.die()
    history.play(Started(2))
    before = history.machine
    for event in (ReadyChanged(1, True), Ended(1, CRASH), Gone(1), Started(1), PauseChanged(1, True)):
        assert history.play(event) == []
    assert history.machine == before


def test_scenario_07_paused_is_shown_and_can_be_stopped() -> None:
    history = History().up()
    history.play(PauseChanged(1, True))
    assert history.state is State.PAUSED
    assert history.play(StopRequested())[0] == Terminate(1)
    assert history.state is State.STOPPING


def test_kill_now_while_stopping() -> None:
    history = History().up()
    history.play(StopRequested())
    assert history.play(KillRequested()) == [Kill(1)]
    assert history.play(KillRequested()) == []
    assert history.die(ExitCause(ExitKind.SIGNALLED, 9)) == [Unregister()]
    assert history.state is State.STOPPED


def test_scenario_03_an_adopted_incarnation_goes_on_under_its_number() -> None:
    history = History()
    assert history.play(Adopted(7)) == []
    assert (history.state, history.machine.incarnation) == (State.STARTING, 7)
    history.play(ReadyChanged(7, True))
    assert history.state is State.READY
    assert history.play(Adopted(9)) == [], "only a new supervisor adopts"
    assert history.machine.incarnation == 7
    assert history.die(ExitCause(ExitKind.UNKNOWN)) == [Launch(8)]


def test_scenario_08_a_hung_program_is_dumped_then_killed_and_it_counts() -> None:
    history = History().up()
    assert history.play(Hung(1)) == [Dump(1), SetTimer(Timer.KILL, HUNG_GRACE, 2)]
    assert history.state is State.UNREADY
    assert history.play(Hung(1)) == [], "once"
    assert history.play(ReadyChanged(1, True)) == [], "its last words change nothing"
    assert history.fire(Timer.KILL) == [Kill(1)]
    assert history.die(ExitCause(ExitKind.SIGNALLED, 9)) == [Launch(2)]
    assert str(history.machine.exit_cause) == "its main loop hung; killed by SIGKILL"
    assert history.machine.history.streak == 1
    assert not history.machine.hung


def test_a_hung_program_can_be_stopped_and_then_is_no_failure() -> None:
    history = History().up()
    history.play(Hung(1), StopRequested(3.0))
    assert history.state is State.STOPPING
    history.die(ExitCause(ExitKind.SIGNALLED, 6))
    assert history.state is State.STOPPED
    assert history.machine.history.streak == 0


def test_a_stop_during_a_launch_ends_the_started_program() -> None:
    history = History()
    history.play(StartRequested(), StopRequested())
    assert history.play(Started(1))[0] == Terminate(1)


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_seen(state: State) -> None:
    def up() -> History:
        return History().up()

    seen = {
        State.STOPPED: History(),
        State.READY: up(),
        State.FAILED: _after(up(), Ended(1, ExitCause(ExitKind.EXITED, 64)), Gone(1)),
        State.STARTING: _after(History(), StartRequested()),
        State.UNREADY: _after(up(), ReadyChanged(1, False)),
        State.STOPPING: _after(up(), StopRequested()),
        State.PAUSED: _after(up(), PauseChanged(1, True)),
        State.BACKOFF: _after(up(), Ended(1, CRASH), Gone(1, "left")),
        State.REMOVED: _after(
            History(RestartPolicy(limit=1, reset_after=120)).up(), Ended(1, CRASH), Gone(1)
        ),
    }
    assert seen[state].state is state


def _after(history: History, *events: Event) -> History:
    history.play(*events)
    return history


class World(RuleBasedStateMachine):
    """Commands, deaths, timers and late events in any order. What is here is what truly runs."""

    def __init__(self) -> None:
        super().__init__()
        self.machine, self.now = ProgramState(), 0.0
        self.living: set[int] = set()
        self.proving: set[int] = set()
        self.told: list[Event] = []
        self.timers: list[tuple[Timer, int]] = []
        self.stopped_by_command = True

    def tell(self, event: Event) -> None:
        self.machine, actions = step(self.machine, event, self.now, POLICY, lambda: 0.3)
        self.do(actions)

    def do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Launch(incarnation=number):
                    assert not self.living, "two live incarnations"
                    assert not self.proving, "launched before the old one was proved gone"
                    assert not self.stopped_by_command, "a stop was overtaken by a restart"
                    self.living.add(number)
                case Terminate(incarnation=number) | Dump(incarnation=number) | Kill(incarnation=number):
                    assert number == self.machine.incarnation
                case SetTimer(timer=timer, sequence=sequence):
                    self.timers.append((timer, sequence))

    @rule()
    def start(self) -> None:
        self.stopped_by_command = False
        self.tell(StartRequested())

    @rule()
    def restart(self) -> None:
        self.stopped_by_command = False
        self.tell(RestartRequested())

    @rule(now=st.booleans())
    def stop(self, now: bool) -> None:
        self.stopped_by_command = True
        self.tell(KillRequested() if now else StopRequested())

    @precondition(lambda self: self.machine.phase is Phase.LAUNCHING)
    @rule(works=st.booleans())
    def launched(self, works: bool) -> None:
        number = self.machine.incarnation
        if works:
            self.observe(Started(number))
        else:
            self.living.discard(number)
            self.observe(NotStarted(number, "no room"))

    @precondition(lambda self: self.living and self.machine.phase is not Phase.LAUNCHING)
    @rule(code=st.sampled_from([0, 1, 64, 75, 78]))
    def dies(self, code: int) -> None:
        (number,) = self.living
        self.living.clear()
        self.proving.add(number)
        self.observe(Ended(number, ExitCause(ExitKind.EXITED, code)))

    @precondition(lambda self: self.proving)
    @rule(problem=st.sampled_from(["", "port held"]))
    def proved(self, problem: str) -> None:
        number = self.proving.pop()
        self.observe(Gone(number, problem))

    @precondition(lambda self: self.living)
    @rule(ready=st.booleans())
    def says_ready(self, ready: bool) -> None:
        self.observe(ReadyChanged(self.machine.incarnation, ready))

    @precondition(lambda self: not self.machine.epoch)
    @rule()
    def is_adopted(self) -> None:
        self.stopped_by_command = False
        self.living.add(7)
        self.tell(Adopted(7))

    @precondition(lambda self: self.living)
    @rule()
    def hangs(self) -> None:
        self.observe(Hung(self.machine.incarnation))

    @precondition(lambda self: self.living)
    @rule(paused=st.booleans())
    def pauses(self, paused: bool) -> None:
        self.observe(PauseChanged(self.machine.incarnation, paused))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def timer_fires(self, data: st.DataObject) -> None:
        """Any timer ever set, also one that was replaced or cancelled: its callback may be under way."""
        self.now += data.draw(st.floats(0, 100))
        self.tell(TimerFired(*data.draw(st.sampled_from(self.timers))))

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def late_event(self, data: st.DataObject) -> None:
        old = [event for event in self.told if event.incarnation != self.machine.incarnation]  # type: ignore[union-attr]
        if old:
            self.tell(data.draw(st.sampled_from(old)))

    def observe(self, event: Event) -> None:
        self.told.append(event)
        self.tell(event)

    @invariant()
    def record_agrees_with_the_world(self) -> None:
        assert len(self.living) + len(self.proving) <= 1
        busy = bool(self.living or self.proving)
        assert busy == (self.machine.phase is not Phase.ABSENT)
        assert isinstance(self.machine.state, State)
        waiting = dict(self.machine.timers)
        if self.machine.state is State.BACKOFF and not busy:
            assert Timer.RETRY in waiting, "waiting for nothing"
        if self.machine.phase is Phase.STOPPING:
            assert Timer.KILL in waiting, "a stop without an end"
        if self.machine.hung and self.machine.phase is Phase.ALIVE:
            assert not self.machine.ready
        if not busy and self.stopped_by_command:
            assert self.machine.state is State.STOPPED


World.TestCase.settings = settings(max_examples=120, stateful_step_count=40)
TestWorld = World.TestCase


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ABSENT])
def test_a_mistake_of_ours_leaves_a_program_at_rest_that_a_person_may_start(
    phase: Phase, wanted: bool
) -> None:
    program = ProgramState(
        incarnation=3, epoch=1, wanted=wanted, phase=phase, ready=True, again=True, timers=((Timer.KILL, 4),)
    )
    program = given_up(program, "a mistake")
    assert program.at_rest
    assert program.state is (State.FAILED if wanted else State.STOPPED)
    assert program.timers == ()
    assert "a mistake" in str(program.exit_cause)
    program, actions = step(program, StartRequested(), 0.0, POLICY, lambda: 0.0)
    assert actions == (Launch(4),)
