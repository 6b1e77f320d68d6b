"""For every test, in every process that runs tests.

What lives here: what the machine around must not decide. What must not: fixtures (they are beside the tests).
"""

from __future__ import annotations

import contextlib
import signal

with contextlib.suppress(ValueError):  # not the main thread
    # A shell that starts the tests in the background has it ignored; every child would inherit that, and
    # tests that interrupt a command would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
