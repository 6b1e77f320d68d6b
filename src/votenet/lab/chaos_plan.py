"""The steps of a chaos run: a pure function of its seed, the same on every machine.

Faults of links and pauses last over other steps; the planner ends each within a few. It keeps below the
limit of the restart policy: no program is killed more than MAX_KILLS times in KILL_WINDOW steps, which take
longer than the policy's window when the runner takes at least CHAOS_STEP_SECONDS for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final

from votenet.core.election.quorum import quorum_of

MIN_NODES: Final = 3
MAX_KILLS: Final = 3
"""Two below the default limit of the restart policy: an unplanned end must not hide a removal."""
KILL_WINDOW: Final = 80
CHAOS_STEP_SECONDS: Final = 1.6
"""80 steps take 128 s, longer than the restart policy's window of 120 s."""
LONGEST_SPAN: Final = 3
"""Steps over which a partition, a pause or a slow link may last."""
BOOTSTRAP: Final = "bootstrap"


class StepKind(Enum):
    KILL = "kill"
    KILL_BOOTSTRAP = "kill bootstrap"
    KILL_SUPERVISOR = "kill supervisor"
    PAUSE = "pause"
    RESUME = "resume"
    PARTITION = "partition"
    HEAL = "heal"
    SLOW = "slow"
    FAST = "fast"
    SCALE = "scale"
    ROLLING = "rolling restart"
    WAIT = "wait"


ENDS: Final = {
    StepKind.PAUSE: StepKind.RESUME,
    StepKind.PARTITION: StepKind.HEAL,
    StepKind.SLOW: StepKind.FAST,
}
"""The step that ends each fault that lasts."""


NO_FAULTS: Final = (*ENDS.values(), StepKind.WAIT)
FAULTS: Final = {kind.value.replace(" ", "-"): kind for kind in StepKind if kind not in NO_FAULTS}
"""The kinds of faults, by the words that name them in a command."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `names` are programs, `groups` the sides of a partition, `value` the new number of
    nodes, or seconds of delay."""

    kind: StepKind
    names: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    value: float = 0.0

    @property
    def is_fault(self) -> bool:
        return self.kind not in NO_FAULTS

    def __str__(self) -> str:
        match self.kind:
            case StepKind.PARTITION:
                return "partition " + " / ".join(",".join(group) for group in self.groups)
            case StepKind.SLOW:
                return f"slow {','.join(self.names)} {self.value * 1000:.0f}ms"
            case StepKind.SCALE:
                return f"scale {self.value:.0f}"
            case StepKind.KILL | StepKind.PAUSE | StepKind.RESUME:
                return f"{self.kind.value} {','.join(self.names)}"
            case _:
                return str(self.kind.value)


class Planner:
    """The steps of one seed, one after the other.

    Args:
        nodes: how many there are at the start, all of them named. `scale` goes from as many as must agree,
            and MIN_NODES at least, to two more than these.
        kinds: the faults to choose from; without it, all.
    """

    def __init__(self, seed: int, nodes: int, kinds: Collection[StepKind] = ()) -> None:
        self._rng = random.Random(seed)
        wanted = {*kinds, StepKind.HEAL} if kinds else set(_MAKERS)
        self._makers = {kind: maker for kind, maker in _MAKERS.items() if kind in wanted}
        self._nodes, self._least, self._most = nodes, max(MIN_NODES, quorum_of(nodes)), nodes + 2
        self._number = 0
        self._open: dict[StepKind, tuple[int, Step]] = {}
        """Faults that last, with the number of the step that began each."""
        self._kills: list[tuple[int, str]] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"node-{number}" for number in range(1, self._nodes + 1))

    def next(self) -> Step:
        """The next step. With all kinds some fault can always be made or ended; with a choice it may wait."""
        self._number += 1
        for kind, (began, lasting) in self._open.items():
            if self._number - began >= LONGEST_SPAN:
                return self._end(kind, lasting)
        while True:
            (kind,) = self._rng.choices(list(self._makers), [weight for weight, _ in self._makers.values()])
            step = self._makers[kind][1](self)
            if step is not None:
                if kind in ENDS:
                    self._open[kind] = (self._number, step)
                return step
            if len(self._makers) < len(_MAKERS):
                return Step(StepKind.WAIT)

    def closing(self) -> list[Step]:
        """Steps that end every fault that still lasts."""
        return [self._end(kind, step) for kind, (_, step) in list(self._open.items())]

    # -- makers: a step, or None where it makes no sense now -------------------------------------

    def _end(self, kind: StepKind, step: Step) -> Step:
        del self._open[kind]
        return Step(ENDS[kind], step.names)

    def _end_some(self) -> Step | None:
        if not self._open:
            return None
        kind = self._rng.choice(list(self._open))
        return self._end(kind, self._open[kind][1])

    def _kill(self) -> Step | None:
        able = [name for name in self._running() if self._may_kill(name)]
        wish = self._rng.choice((1, 1, 1, 2, self._nodes - 1))
        if not able:
            return None
        return self._killing(StepKind.KILL, self._rng.sample(able, min(wish, len(able))))

    def _kill_bootstrap(self) -> Step | None:
        return self._killing(StepKind.KILL_BOOTSTRAP, [BOOTSTRAP]) if self._may_kill(BOOTSTRAP) else None

    def _killing(self, kind: StepKind, names: list[str]) -> Step:
        self._kills += [(self._number, name) for name in names]
        return Step(kind, tuple(sorted(names, key=lambda name: (len(name), name))))

    def _kill_supervisor(self) -> Step | None:
        return None if StepKind.PAUSE in self._open else Step(StepKind.KILL_SUPERVISOR)

    def _pause(self) -> Step | None:
        if StepKind.PAUSE in self._open:
            return None
        return Step(StepKind.PAUSE, (self._rng.choice(self.names),))

    def _partition(self) -> Step | None:
        if StepKind.PARTITION in self._open:
            return None
        names = list(self.names)
        self._rng.shuffle(names)
        size = self._rng.randint(1, len(names) // 2)
        sides = tuple(tuple(sorted(side)) for side in (names[:size], names[size:]))
        return Step(StepKind.PARTITION, groups=sides)

    def _slow(self) -> Step | None:
        if StepKind.SLOW in self._open:
            return None
        names = tuple(sorted(self._rng.sample(self.names, self._rng.randint(1, 2))))
        return Step(StepKind.SLOW, names, value=self._rng.choice((0.05, 0.2, 0.5)))

    def _scale(self) -> Step | None:
        if self._open:
            return None
        self._nodes = self._rng.choice([n for n in range(self._least, self._most + 1) if n != self._nodes])
        return Step(StepKind.SCALE, value=self._nodes)

    def _rolling(self) -> Step | None:
        return None if self._open else Step(StepKind.ROLLING)

    def _running(self) -> list[str]:
        paused = self._open[StepKind.PAUSE][1].names if StepKind.PAUSE in self._open else ()
        return [name for name in self.names if name not in paused]

    def _may_kill(self, name: str) -> bool:
        recent = [killed for at, killed in self._kills if self._number - at < KILL_WINDOW]
        return recent.count(name) < MAX_KILLS


_MAKERS: Final[dict[StepKind, tuple[float, Callable[[Planner], Step | None]]]] = {
    StepKind.KILL: (6, Planner._kill),
    StepKind.KILL_BOOTSTRAP: (2, Planner._kill_bootstrap),
    StepKind.KILL_SUPERVISOR: (2, Planner._kill_supervisor),
    StepKind.PAUSE: (4, Planner._pause),
    StepKind.PARTITION: (5, Planner._partition),
    StepKind.SLOW: (4, Planner._slow),
    StepKind.HEAL: (3, Planner._end_some),
    StepKind.SCALE: (1.5, Planner._scale),
    StepKind.ROLLING: (0.7, Planner._rolling),
}
"""How often each is chosen, and how it is made. HEAL stands for the end of any fault that lasts."""
