"""SIGTERM and Ctrl-C: stop starting items, flush the ledger, leave within 25 s with exit 75.

Source of the 25 s: Batch and Spot give 30 s between SIGTERM and SIGKILL (AWS Batch User Guide, "Job timeouts").
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

GRACE_SECONDS = 25.0
SAME_WISH_SECONDS = 0.5  # `timeout`, systemd and Ctrl-C tell parent and child, and the parent passes it on
EXIT_INTERRUPTED = 75


@contextlib.contextmanager
def on_signal(react: Callable[[str], None], *, grace_seconds: float = GRACE_SECONDS) -> Iterator[None]:
    """Inside, the first SIGTERM or SIGINT calls `react(name)` in a thread of its own; a second one later, or the
    end of the grace, ends the process with 75. Must be entered in the main thread; outside it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler may run while this very thread holds a lock: it only writes a byte, a thread does the rest.
    inbox, outbox = os.pipe()
    before = {
        number: signal.signal(number, lambda caught, _: os.write(outbox, bytes([caught])))
        for number in (signal.SIGTERM, signal.SIGINT)
    }

    def listen() -> None:
        first = os.read(inbox, 1)
        if first in (b"", b"\0"):
            return
        leave = threading.Timer(grace_seconds, os._exit, [EXIT_INTERRUPTED])
        leave.daemon = True
        leave.start()
        begin = time.monotonic()
        react(signal.Signals(first[0]).name)
        while os.read(inbox, 1) not in (b"", b"\0"):
            if time.monotonic() - begin >= SAME_WISH_SECONDS:
                os._exit(EXIT_INTERRUPTED)
        leave.cancel()

    listener = threading.Thread(target=listen, name="signals", daemon=True)
    listener.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.write(outbox, b"\0")
        listener.join(timeout=5)
        os.close(outbox)
        os.close(inbox)
