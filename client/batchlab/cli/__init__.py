"""The command `batchlab`: stdout is data, stderr is progress, and an error is one clear line without a traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from batchlab.errors import BatchlabError, Interrupted, UsageError
from batchlab.leaving import keep_exit_code
from batchlab.streams import open_closed_streams, say

_CTRL_C = 130  # what typer makes of it
INSTALL = "pip install 'batchlab[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (design, section 3)."""
    open_closed_streams()
    if arguments is None:  # called as the command
        keep_exit_code()
    try:
        import typer

        from batchlab.cli.app import command
    except KeyboardInterrupt:
        return _fail(Interrupted("interrupted."))
    except ModuleNotFoundError as error:
        if error.name != "typer":
            raise
        return _fail(UsageError(f"the command line needs typer. Install it: {INSTALL}"))
    try:
        code = command().main(
            args=None if arguments is None else list(arguments), prog_name="batchlab", standalone_mode=False
        )
        sys.stdout.flush()
        if code == _CTRL_C:
            raise KeyboardInterrupt
        return int(code or 0)
    except typer.TyperException as error:  # the command line cannot be understood
        return _fail(UsageError(_usage(error)), error)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(Interrupted("interrupted."))
    except BrokenPipeError:  # `batchlab list | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except BatchlabError as error:
        return _fail(error, error)
    except Exception as error:  # noqa: BLE001  whatever it is, the user sees one line
        return _fail(_unforeseen(error), error)


def _usage(error: Exception) -> str:
    """What is wrong with the command line, and which help to read."""
    said = str(getattr(error, "format_message", lambda: error)())
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "batchlab"
    said = said if said.endswith(("?", "!")) else said.rstrip(".") + "."
    return f"{said} See: {path} --help"


def _unforeseen(error: Exception) -> BatchlabError:
    from batchlab.kinds import ItemError

    if isinstance(error, ItemError):  # the authority's word on an argument
        return UsageError(error.message)
    if isinstance(error, OSError):
        return BatchlabError(f"{error.filename or 'the operating system'}: {error.strerror or error}.")
    return BatchlabError(
        f"this is a defect: {type(error).__name__}: {error}. "
        "Run it again with BATCHLAB_LOG_LEVEL=debug to see where, and report that."
    )


def _fail(error: BatchlabError, cause: BaseException | None = None) -> int:
    # Read here and not in Settings, because bad settings are among the errors to be shown.
    if cause is not None and os.environ.get("BATCHLAB_LOG_LEVEL", "").lower() == "debug":
        traceback.print_exception(cause)
    for line in (error.message or str(error)).splitlines():
        say(f"batchlab: {line}")
    return error.exit_code
