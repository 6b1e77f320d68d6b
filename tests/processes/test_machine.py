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
from votenet.processes.cause import Cause, Kind
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
    Program,
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
CRASH = Cause(Kind.EXITED, 1)
TERM = Cause(Kind.SIGNALLED, 15)


def test_the_promises_are_made_in_names_that_exist() -> None:
    names = re.findall(r"`([A-Za-z_.]+)`", machine.__doc__ or "")
    fields = set(Program.__dataclass_fields__)
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
        self.program, self.policy, self.now = Program(), policy, 0.0
        self.actions: list[Action] = []

    def play(self, *events: Event) -> list[Action]:
        """What the last of these events asks for."""
        for event in events:
            self.program, actions = step(self.program, event, self.now, self.policy, lambda: 0.0)
            self.actions = list(actions)
        return self.actions

    def up(self) -> History:
        self.play(StartRequested(), Started(self.program.incarnation + 1))
        self.play(ReadyChanged(self.program.incarnation, True))
        return self

    def die(self, cause: Cause = CRASH, problem: str = "") -> list[Action]:
        number = self.program.incarnation
        return self.play(Ended(number, cause), Gone(number, problem))

    def fire(self, timer: Timer) -> list[Action]:
        return self.play(TimerFired(timer, dict(self.program.timers)[timer]))

    @property
    def state(self) -> State:
        return self.program.state


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
    assert history.program.cause == replace(TERM, requested=True)
    assert history.program.history.streak == 0


def test_what_does_not_stop_is_killed_once() -> None:
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
    assert history.program.restarts == 1
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
    assert "no such file" in str(history.program.cause)


def test_what_is_left_of_the_old_one_delays_the_new_one() -> None:
    history = History().up()
    (timer,) = history.die(problem="port 3000 is still held")
    assert isinstance(timer, SetTimer)
    assert timer.delay == POLICY.first_delay
    assert history.program.problem == "port 3000 is still held"


def test_sixty_seconds_ready_give_a_clean_record() -> None:
    history = History().up()
    history.die()
    history.play(Started(2), ReadyChanged(2, True))
    history.fire(Timer.STABLE)
    assert history.die() == [Launch(3)]


def test_unready_stops_the_proof() -> None:
    history = History().up()
    (stale,) = history.program.timers
    history.play(ReadyChanged(1, False))
    assert history.state is State.UNREADY
    before = replace(history.program, history=replace(history.program.history, streak=2))
    history.program = before
    history.play(TimerFired(*stale))
    assert history.program == before


def test_scenario_09_crash_loop_ends_removed_and_exit_78_failed() -> None:
    history = History().up()
    for _ in range(4):
        history.die()
        if history.state is State.BACKOFF:
            history.fire(Timer.RETRY)
        history.play(Started(history.program.incarnation))
    unregister, timer = history.die()
    assert unregister == Unregister()
    assert isinstance(timer, SetTimer)
    assert timer.delay == 300.0
    assert history.state is State.REMOVED
    history.fire(Timer.RETRY)
    history.play(Started(history.program.incarnation))
    assert history.die()[0] == Unregister(), "one failure on trial is enough"

    failed = History().up()
    assert failed.die(Cause(Kind.EXITED, 78)) == [Unregister()]
    assert failed.state is State.FAILED
    assert not failed.program.timers


def test_a_person_may_start_what_was_removed_or_failed() -> None:
    history = History().up()
    history.die(Cause(Kind.EXITED, 78))
    assert history.play(StartRequested()) == [Launch(2)]
    assert history.state is State.STARTING


def test_scenario_11_stop_during_backoff_then_start_then_restart() -> None:
    history = History().up()
    history.die()
    history.play(Started(2))
    history.die()
    (stale,) = history.program.timers
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
    assert history.die(Cause(Kind.EXITED, 0)) == [], "a clean end said goodbye itself"
    assert history.state is State.STOPPED


def test_a_start_after_a_stop_in_flight_wins() -> None:
    history = History().up()
    history.play(StopRequested(), StartRequested())
    assert history.die(TERM) == [Launch(2)]


def test_a_restart_that_was_asked_for_is_never_shown_as_a_failure() -> None:
    history = History().up()
    history.play(RestartRequested(3.0), Ended(1, Cause(Kind.EXITED, 0)))
    assert history.state is State.STOPPING
    assert history.play(Gone(1)) == [Launch(2)]


def test_a_start_between_death_and_proof_is_not_held_off() -> None:
    history = History().up()
    history.play(Ended(1, Cause(Kind.EXITED, 78)), StartRequested())
    assert history.play(Gone(1)) == [Launch(2)]


def test_late_events_of_an_old_incarnation_are_dropped() -> None:
    history = History().up()
    history.die()
    history.play(Started(2))
    before = history.program
    for event in (ReadyChanged(1, True), Ended(1, CRASH), Gone(1), Started(1), PauseChanged(1, True)):
        assert history.play(event) == []
    assert history.program == before


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
    assert history.die(Cause(Kind.SIGNALLED, 9)) == [Unregister()]
    assert history.state is State.STOPPED


def test_scenario_03_an_adopted_incarnation_goes_on_under_its_number() -> None:
    history = History()
    assert history.play(Adopted(7)) == []
    assert (history.state, history.program.incarnation) == (State.STARTING, 7)
    history.play(ReadyChanged(7, True))
    assert history.state is State.READY
    assert history.play(Adopted(9)) == [], "only a new supervisor adopts"
    assert history.program.incarnation == 7
    assert history.die(Cause(Kind.UNKNOWN)) == [Launch(8)]


def test_scenario_08_a_hung_program_is_dumped_then_killed_and_it_counts() -> None:
    history = History().up()
    assert history.play(Hung(1)) == [Dump(1), SetTimer(Timer.KILL, HUNG_GRACE, 2)]
    assert history.state is State.UNREADY
    assert history.play(Hung(1)) == [], "once"
    assert history.play(ReadyChanged(1, True)) == [], "its last words change nothing"
    assert history.fire(Timer.KILL) == [Kill(1)]
    assert history.die(Cause(Kind.SIGNALLED, 9)) == [Launch(2)]
    assert str(history.program.cause) == "its main loop hung; killed by SIGKILL"
    assert history.program.history.streak == 1
    assert not history.program.hung


def test_a_hung_program_can_be_stopped_and_then_is_no_failure() -> None:
    history = History().up()
    history.play(Hung(1), StopRequested(3.0))
    assert history.state is State.STOPPING
    history.die(Cause(Kind.SIGNALLED, 6))
    assert history.state is State.STOPPED
    assert history.program.history.streak == 0


def test_a_stop_that_meets_a_launch_ends_what_was_started() -> None:
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
        State.FAILED: _after(up(), Ended(1, Cause(Kind.EXITED, 64)), Gone(1)),
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
        self.program, self.now = Program(), 0.0
        self.living: set[int] = set()
        self.proving: set[int] = set()
        self.told: list[Event] = []
        self.timers: list[tuple[Timer, int]] = []
        self.stopped_by_command = True

    def tell(self, event: Event) -> None:
        self.program, actions = step(self.program, event, self.now, POLICY, lambda: 0.3)
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
                    assert number == self.program.incarnation
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

    @precondition(lambda self: self.program.phase is Phase.LAUNCHING)
    @rule(works=st.booleans())
    def launched(self, works: bool) -> None:
        number = self.program.incarnation
        if works:
            self.observe(Started(number))
        else:
            self.living.discard(number)
            self.observe(NotStarted(number, "no room"))

    @precondition(lambda self: self.living and self.program.phase is not Phase.LAUNCHING)
    @rule(code=st.sampled_from([0, 1, 64, 75, 78]))
    def dies(self, code: int) -> None:
        (number,) = self.living
        self.living.clear()
        self.proving.add(number)
        self.observe(Ended(number, Cause(Kind.EXITED, code)))

    @precondition(lambda self: self.proving)
    @rule(problem=st.sampled_from(["", "port held"]))
    def proved(self, problem: str) -> None:
        number = self.proving.pop()
        self.observe(Gone(number, problem))

    @precondition(lambda self: self.living)
    @rule(ready=st.booleans())
    def says_ready(self, ready: bool) -> None:
        self.observe(ReadyChanged(self.program.incarnation, ready))

    @precondition(lambda self: not self.program.epoch)
    @rule()
    def is_adopted(self) -> None:
        self.stopped_by_command = False
        self.living.add(7)
        self.tell(Adopted(7))

    @precondition(lambda self: self.living)
    @rule()
    def hangs(self) -> None:
        self.observe(Hung(self.program.incarnation))

    @precondition(lambda self: self.living)
    @rule(paused=st.booleans())
    def pauses(self, paused: bool) -> None:
        self.observe(PauseChanged(self.program.incarnation, paused))

    @precondition(lambda self: self.timers)
    @rule(data=st.data())
    def timer_fires(self, data: st.DataObject) -> None:
        """Any timer ever set, also one that was replaced or cancelled: its callback may be under way."""
        self.now += data.draw(st.floats(0, 100))
        self.tell(TimerFired(*data.draw(st.sampled_from(self.timers))))

    @precondition(lambda self: self.told)
    @rule(data=st.data())
    def late_event(self, data: st.DataObject) -> None:
        old = [event for event in self.told if event.incarnation != self.program.incarnation]  # type: ignore[union-attr]
        if old:
            self.tell(data.draw(st.sampled_from(old)))

    def observe(self, event: Event) -> None:
        self.told.append(event)
        self.tell(event)

    @invariant()
    def record_agrees_with_the_world(self) -> None:
        assert len(self.living) + len(self.proving) <= 1
        busy = bool(self.living or self.proving)
        assert busy == (self.program.phase is not Phase.ABSENT)
        assert isinstance(self.program.state, State)
        waiting = dict(self.program.timers)
        if self.program.state is State.BACKOFF and not busy:
            assert Timer.RETRY in waiting, "waiting for nothing"
        if self.program.phase is Phase.STOPPING:
            assert Timer.KILL in waiting, "a stop without an end"
        if self.program.hung and self.program.phase is Phase.ALIVE:
            assert not self.program.ready
        if not busy and self.stopped_by_command:
            assert self.program.state is State.STOPPED


World.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestWorld = World.TestCase


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.ABSENT])
def test_a_mistake_of_ours_leaves_a_program_at_rest_that_a_person_may_start(
    phase: Phase, wanted: bool
) -> None:
    program = Program(
        incarnation=3, epoch=1, wanted=wanted, phase=phase, ready=True, again=True, timers=((Timer.KILL, 4),)
    )
    program = given_up(program, "a mistake")
    assert program.at_rest
    assert program.state is (State.FAILED if wanted else State.STOPPED)
    assert program.timers == ()
    assert "a mistake" in str(program.cause)
    program, actions = step(program, StartRequested(), 0.0, POLICY, lambda: 0.0)
    assert actions == (Launch(4),)
