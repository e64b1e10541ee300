"""stdout and stderr of commands that run jobs: whoever stops reading them changes nothing about the job."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TextIO

_STREAMS = (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))


def open_closed_streams() -> None:
    """Opens those of file descriptors 0, 1 and 2 that are closed (`>&-`), on nothing, here and for children.

    Without it the next file to be opened would get the number, and what is printed would end in it.
    """
    for number, (name, flags) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            mode = "r" if flags == os.O_RDONLY else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def write_data(text: str) -> None:
    """`text` and a newline are on stdout, or its reader has left; another fault is said on stderr."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `| head -1` has seen enough
        _discard(sys.stdout)
    except OSError as error:
        _discard(sys.stdout)
        say(f"batchlab: stdout cannot be written: {error.strerror}. `batchlab status latest` shows it again.")


def say(text: str) -> None:
    """`text` and a newline are on stderr, if anybody still reads it."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """What is still buffered and all that follows goes nowhere, so that the exit flushes without an error."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
