"""What a chaos run does next: a pure function of its seed.

What lives here: `Step`, `Planner`. What must not: clocks, processes; the same seed gives the same steps on
every machine, however long each takes.

Faults of links and pauses last over other steps; the planner ends each within a few. It keeps below the
limit of the restart policy: no program is killed more than MAX_KILLS times in KILL_WINDOW steps, which take
longer than the policy's window when the runner takes at least STEP_SECONDS for each.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

MIN_NODES: Final = 3
MAX_KILLS: Final = 3
"""Two below the default limit of the restart policy: an end that nobody planned shall not hide a removal."""
KILL_WINDOW: Final = 80
STEP_SECONDS: Final = 1.6
"""80 steps take 128 s, longer than the restart policy's window of 120 s."""
LONGEST_SPAN: Final = 3
"""Steps over which a partition, a pause or a slow link may last."""
BOOTSTRAP: Final = "bootstrap"


class Kind(Enum):
    """What can be done to a network."""

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


ENDS: Final = {Kind.PAUSE: Kind.RESUME, Kind.PARTITION: Kind.HEAL, Kind.SLOW: Kind.FAST}
"""What ends a fault that lasts."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do. `names` are programs, `groups` the sides of a partition, `value` the new number of
    nodes, or seconds of delay."""

    kind: Kind
    names: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    value: float = 0.0

    @property
    def is_fault(self) -> bool:
        return self.kind not in ENDS.values()

    def __str__(self) -> str:
        match self.kind:
            case Kind.PARTITION:
                return "partition " + " / ".join(",".join(group) for group in self.groups)
            case Kind.SLOW:
                return f"slow {','.join(self.names)} {self.value * 1000:.0f}ms"
            case Kind.SCALE:
                return f"scale {self.value:.0f}"
            case Kind.KILL | Kind.PAUSE | Kind.RESUME:
                return f"{self.kind.value} {','.join(self.names)}"
            case _:
                return str(self.kind.value)


class Planner:
    """The steps of one seed, one after the other.

    Args:
        nodes: how many there are at the start; `scale` goes from MIN_NODES to two more than these.
    """

    def __init__(self, seed: int, nodes: int) -> None:
        self._rng = random.Random(seed)
        self._nodes, self._most = nodes, nodes + 2
        self._number = 0
        self._open: dict[Kind, tuple[int, Step]] = {}
        """Faults that last, with the number of the step that began each."""
        self._kills: list[tuple[int, str]] = []

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"node-{number}" for number in range(1, self._nodes + 1))

    def next(self) -> Step:
        """The next step. Some fault can always be made or ended."""
        self._number += 1
        for kind, (began, lasting) in self._open.items():
            if self._number - began >= LONGEST_SPAN:
                return self._end(kind, lasting)
        while True:
            (kind,) = self._rng.choices(list(_MAKERS), [weight for weight, _ in _MAKERS.values()])
            step = _MAKERS[kind][1](self)
            if step is not None:
                if kind in ENDS:
                    self._open[kind] = (self._number, step)
                return step

    def closing(self) -> list[Step]:
        """What ends every fault that still lasts."""
        return [self._end(kind, step) for kind, (_, step) in list(self._open.items())]

    # -- makers: a step, or None where it makes no sense now -------------------------------------

    def _end(self, kind: Kind, step: Step) -> Step:
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
        return self._killing(Kind.KILL, self._rng.sample(able, min(wish, len(able))))

    def _kill_bootstrap(self) -> Step | None:
        return self._killing(Kind.KILL_BOOTSTRAP, [BOOTSTRAP]) if self._may_kill(BOOTSTRAP) else None

    def _killing(self, kind: Kind, names: list[str]) -> Step:
        self._kills += [(self._number, name) for name in names]
        return Step(kind, tuple(sorted(names, key=lambda name: (len(name), name))))

    def _kill_supervisor(self) -> Step | None:
        return None if Kind.PAUSE in self._open else Step(Kind.KILL_SUPERVISOR)

    def _pause(self) -> Step | None:
        if Kind.PAUSE in self._open:
            return None
        return Step(Kind.PAUSE, (self._rng.choice(self.names),))

    def _partition(self) -> Step | None:
        if Kind.PARTITION in self._open:
            return None
        names = list(self.names)
        self._rng.shuffle(names)
        size = self._rng.randint(1, len(names) // 2)
        sides = tuple(tuple(sorted(side)) for side in (names[:size], names[size:]))
        return Step(Kind.PARTITION, groups=sides)

    def _slow(self) -> Step | None:
        if Kind.SLOW in self._open:
            return None
        names = tuple(sorted(self._rng.sample(self.names, self._rng.randint(1, 2))))
        return Step(Kind.SLOW, names, value=self._rng.choice((0.05, 0.2, 0.5)))

    def _scale(self) -> Step | None:
        if self._open:
            return None
        self._nodes = self._rng.choice([n for n in range(MIN_NODES, self._most + 1) if n != self._nodes])
        return Step(Kind.SCALE, value=self._nodes)

    def _rolling(self) -> Step | None:
        return None if self._open else Step(Kind.ROLLING)

    def _running(self) -> list[str]:
        paused = self._open[Kind.PAUSE][1].names if Kind.PAUSE in self._open else ()
        return [name for name in self.names if name not in paused]

    def _may_kill(self, name: str) -> bool:
        recent = [killed for at, killed in self._kills if self._number - at < KILL_WINDOW]
        return recent.count(name) < MAX_KILLS


_MAKERS: Final[dict[Kind, tuple[float, Callable[[Planner], Step | None]]]] = {
    Kind.KILL: (6, Planner._kill),
    Kind.KILL_BOOTSTRAP: (2, Planner._kill_bootstrap),
    Kind.KILL_SUPERVISOR: (2, Planner._kill_supervisor),
    Kind.PAUSE: (4, Planner._pause),
    Kind.PARTITION: (5, Planner._partition),
    Kind.SLOW: (4, Planner._slow),
    Kind.HEAL: (3, Planner._end_some),
    Kind.SCALE: (1.5, Planner._scale),
    Kind.ROLLING: (0.7, Planner._rolling),
}
"""How often each is chosen, and how it is made. HEAL stands for the end of any fault that lasts."""
