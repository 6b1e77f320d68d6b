"""Worker threads that start with the program: one that the system refuses later would cost a vote."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from votenet.errors import VotenetError


def start_threads(executor: ThreadPoolExecutor, count: int) -> None:
    """Start all `count` threads of an executor, which is new and may have that many.

    By itself it starts one when there is work and none is idle: in the middle of a vote, where "no thread to
    spare" can only be a defect.

    Raises:
        VotenetError: no-threads; the executor is shut down.
    """
    gate = threading.Barrier(count)  # every task keeps its thread until each has one
    try:
        started = [executor.submit(gate.wait) for _ in range(count)]
    except RuntimeError as error:
        gate.abort()
        executor.shutdown()
        raise no_threads(error) from error
    for task in started:
        task.result()


def no_threads(error: RuntimeError) -> VotenetError:
    """A sentence for a person out of what Python says when the system refuses a thread."""
    return VotenetError(
        f"the system allows this program no more threads ({error})",
        code="no-threads",
        next_step="Raise the limit of tasks (ulimit -u, TasksMax= of the service, pids of the container),"
        " or of memory (ulimit -v), or stop other programs of this user.",
    )
