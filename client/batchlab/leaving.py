"""The last steps of a command: a Ctrl-C there comes too late to stop anything, and must not change the exit code."""

from __future__ import annotations

import atexit
import signal


def keep_exit_code() -> None:
    """From when its threads have ended, this process ends with its exit code, whatever is typed.

    Python takes down its modules for some tenths of a second, with the signal's default action, which is death by it.
    """
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
