"""When a program that ended is started again: a pure function of the policy, the history and the cause.

A requested end is no failure. The first restart comes at once, the next after `first_delay`, doubling up
to `max_delay`, each multiplied by a random 50 to 100 %. A program that stayed ready for `reset_after`
starts with a clean record. `limit` failures within `window` take it out of the network; it is then tried
once every `retry_removed` seconds, and one more failure takes it out again. Some exit codes say that no
restart can help (`never`) or that another process must finish first (`wait`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from votenet.errors import ConfigError
from votenet.processes.exit_cause import ExitCause, ExitKind

MAX_LIMIT: Final = 1000
"""Failures that a policy may count: their times are kept for each program."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """The numbers; times in seconds. A policy whose limit could never fire is refused.

    Raises:
        ConfigError: the numbers contradict each other.
    """

    first_delay: float = 0.5
    max_delay: float = 30.0
    jitter: float = 0.5
    reset_after: float = 60.0
    limit: int = 5
    window: float = 120.0
    retry_removed: float | None = 300.0
    """None gives a removed program up for good (`--give-up`)."""
    never: frozenset[int] = frozenset({64, 78})
    wait: frozenset[int] = frozenset({75})
    wait_delay: float = 5.0

    def __post_init__(self) -> None:
        positive = {
            "first_delay": self.first_delay,
            "max_delay": self.max_delay,
            "reset_after": self.reset_after,
            "window": self.window,
            "wait_delay": self.wait_delay,
            "retry_removed": 1.0 if self.retry_removed is None else self.retry_removed,
        }
        for name, value in positive.items():
            if not 0 < value < float("inf"):
                raise _refused(f"{name} must be a positive number of seconds, not {value!r}")
        if not 0 <= self.jitter <= 1:
            raise _refused(f"jitter must be between 0 and 1, not {self.jitter!r}")
        if not 1 <= self.limit <= MAX_LIMIT:
            raise _refused(f"limit must be between 1 and {MAX_LIMIT}, not {self.limit!r}")
        slowest = sum(self.longest_delay(failure) for failure in range(1, self.limit))
        if slowest >= self.window:
            raise _refused(
                f"the pauses before {self.limit} failures add up to {slowest:g} s, longer than the window "
                f"of {self.window:g} s: the limit could never fire"
            )
        if self.reset_after < self.window / self.limit:
            raise _refused(
                f"reset_after of {self.reset_after:g} s is shorter than window / limit: a program that "
                f"dies every {self.reset_after:g} s would never reach the limit"
            )

    def longest_delay(self, streak: int) -> float:
        """The pause before the restart that follows failure number `streak` in a row, before jitter."""
        if streak <= 1:
            return 0.0
        doublings = min(streak - 2, 64)
        return min(self.first_delay * 2.0**doublings, self.max_delay)


@dataclass(frozen=True, slots=True)
class History:
    """Failures since the last clean record. `on_trial`: it was removed and has not proved itself yet."""

    failures: tuple[float, ...] = ()
    streak: int = 0
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Restart:
    delay: float


@dataclass(frozen=True, slots=True)
class RemoveProgram:
    """Take it out of the network; try again after `retry_after` seconds, or never (None)."""

    retry_after: float | None


@dataclass(frozen=True, slots=True)
class Fail:
    """A restart cannot help: a person must change something."""


Decision = Restart | RemoveProgram | Fail


def decide(
    policy: RestartPolicy, history: History, exit_cause: ExitCause, now: float, rng: Callable[[], float]
) -> tuple[History, Decision]:
    """The history after this end, and what to do.

    Args:
        now: monotonic seconds.
        rng: a number from 0 up to 1; called at most once.
    """
    if exit_cause.requested:
        return history, Restart(0.0)
    if exit_cause.kind is ExitKind.EXITED and exit_cause.code in policy.never:
        return history, Fail()
    if exit_cause.kind is ExitKind.EXITED and exit_cause.code in policy.wait:
        return history, Restart(policy.wait_delay * _jitter(policy, rng))
    recent = tuple(at for at in history.failures if now - at < policy.window)
    failures = (*recent, now)[-policy.limit :]
    history = replace(history, failures=failures, streak=history.streak + 1)
    if history.on_trial or len(failures) >= policy.limit:
        return replace(history, on_trial=True), RemoveProgram(policy.retry_removed)
    longest = policy.longest_delay(history.streak)
    return history, Restart(longest * _jitter(policy, rng) if longest else 0.0)


def _jitter(policy: RestartPolicy, rng: Callable[[], float]) -> float:
    return 1.0 - policy.jitter * rng()


def _refused(message: str) -> ConfigError:
    return ConfigError(
        f"restart policy: {message}",
        code="bad-restart-policy",
        next_step="Choose a smaller --restart-limit, shorter pauses or a longer --restart-window.",
    )
