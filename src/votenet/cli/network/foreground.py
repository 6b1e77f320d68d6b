"""How programs serve in the foreground: until a signal, with a heartbeat and known errors."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from votenet.cli.stop_signals import leave_orphans_to_the_kernel, stop_signals
from votenet.errors import VotenetError, votenet_error_in
from votenet.network.notify import notify


def run_server(serve: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop of its own. Of a group of errors it raises the VotenetError in it, if there is one."""
    try:
        asyncio.run(serve)
    except BaseExceptionGroup as group:
        error = votenet_error_in(group)
        if error is None:
            raise
        raise error from None


def log_the_end(log: logging.Logger, error: VotenetError) -> None:
    """Log the error that ends a program, where the log is kept: at a terminal the command says it anyway."""
    if not sys.stderr.isatty():
        log.error("%s [%s] %s", error.message, error.code, error.next_step)


def stop_event(log: logging.Logger) -> asyncio.Event:
    """An event that the first of `stop_signals` sets. The second one ends the program at once.

    For a program that starts no other: it leaves orphans to the kernel.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = stop_signals()

    def on_signal(number: signal.Signals) -> None:
        log.info("event=stopping signal=%s", number.name)
        for each in signals:
            loop.remove_signal_handler(each)
        stop.set()

    leave_orphans_to_the_kernel()
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    return stop


async def beat_until(stop: asyncio.Event, heartbeat: Coroutine[Any, Any, None]) -> None:
    """Run a heartbeat until `stop` is set, then tell the supervisor that the program stops."""
    async with asyncio.TaskGroup() as tasks:
        beat = tasks.create_task(heartbeat)
        await stop.wait()
        beat.cancel()
    notify(STOPPING=1, STATUS="stopping")
