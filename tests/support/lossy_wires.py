"""Ethernet between network namespaces with delay and loss, without a kernel that has netem."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import struct
import threading
import time
from typing import Final

TUN: Final = "/dev/net/tun"
DELAY: Final = 0.02
"""Seconds that a frame is under way."""
LOSS: Final = 0.02
"""Of all frames."""
_TUNSETIFF: Final = 0x400454CA
_TAP_WITHOUT_HEADER: Final = 0x1002
MAX_FRAME: Final = 2048


def open_tap(name: str) -> int:
    """A network device in the namespace of the calling thread, until it is closed. Raises OSError."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP_WITHOUT_HEADER))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class LossyWires:
    """Every frame of a device goes to all others, DELAY later or never. `carried` and `lost` count."""

    def __init__(self, seed: int = 1) -> None:
        self._taps: dict[int, int] = {}
        self._cut: set[int] = set()
        self._dice = random.Random(seed)
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wires")
        self.carried = self.lost = 0

    def add(self, number: int, descriptor: int) -> None:
        """A device, which is closed by `stop`."""
        self._taps[number] = descriptor

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        for descriptor in self._taps.values():
            os.close(descriptor)
        self._taps.clear()

    def plug(self, number: int, state: str) -> None:
        """Pull the cable of a device out (`down`), or put it back (`up`)."""
        (self._cut.add if state == "down" else self._cut.discard)(number)

    def _run(self) -> None:
        names = {descriptor: number for number, descriptor in self._taps.items()}
        while not self._over.is_set():
            wait = 0.05
            if self._under_way:
                wait = min(wait, max(self._under_way[0][0] - time.monotonic(), 0.0))
            for descriptor in select.select(list(names), [], [], wait)[0]:
                with contextlib.suppress(OSError):
                    self._take(names[descriptor], os.read(descriptor, MAX_FRAME))
            while self._under_way and self._under_way[0][0] <= time.monotonic():
                _, _, number, frame = heapq.heappop(self._under_way)
                self._hand_over(number, frame)

    def _take(self, number: int, frame: bytes) -> None:
        self.carried += 1
        if self._dice.random() < LOSS:
            self.lost += 1
        elif number not in self._cut:
            heapq.heappush(self._under_way, (time.monotonic() + DELAY, self.carried, number, frame))

    def _hand_over(self, sender: int, frame: bytes) -> None:
        for number, descriptor in self._taps.items():
            if number != sender and number not in self._cut:
                with contextlib.suppress(OSError):  # a full queue loses frames, as a real one does
                    os.write(descriptor, frame)
