"""`batchlab serve` for as long as the demo takes, and allowed what the demo needs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from batchlab.cli.places import path_of
from batchlab.errors import ServiceError
from batchlab.service.here import attending
from batchlab.service.serving import PORT
from batchlab.stores import open_store

_PR_SET_PDEATHSIG = 1  # Source: prctl(2)
_LEAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Allowed:
    """What the demo's job may touch."""

    host: str  # of the photos, with its port
    output: str  # a file:// URL


@contextlib.contextmanager
def serving_endpoint(store: str, allowed: Allowed) -> Iterator[str]:
    """Inside, the endpoint answers on this machine; yields its address. Raises ServiceError when it does not start.

    It ends with this process, however that ends.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATCHLAB_")}
    environment |= {
        "BATCHLAB_JOB_TYPES": "zip-export",
        "BATCHLAB_HTTP_HOSTS": allowed.host,
        "BATCHLAB_OUTPUT_ROOTS": allowed.output,
    }
    arguments = ["serve", "--store", store, "--allow-local", "--port", str(_port())]
    command = [
        sys.executable,
        "-c",
        "import sys; from batchlab.cli import main; sys.exit(main())",
        *arguments,
    ]
    log = tempfile.TemporaryFile()  # noqa: SIM115  a pipe that nobody empties would stop it one day
    child = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,  # Ctrl-C is for the demo, which then ends it
        preexec_fn=_end_with_us if sys.platform == "linux" else None,
    )
    assert child.stdout is not None
    try:
        address = child.stdout.readline().strip()
        if not address:
            child.wait(_LEAVE_SECONDS)
            log.seek(0)
            said = log.read().decode("utf-8", "replace").strip().splitlines()
            raise ServiceError(f"batchlab serve did not start: {said[-1] if said else 'it said nothing'}")
        yield address
    finally:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_LEAVE_SECONDS)
        child.kill()
        child.wait()
        child.stdout.close()
        log.close()


def free_store(store: str, beside: str) -> str:
    """The user's own store while nothing runs or waits there, else `beside`: the demo's lists are for its job only."""
    found = open_store(store)
    with attending(found) as first:
        idle = first and next(found.names("pending/"), None) is None
    return store if idle else beside


def page_file(store: str, page: str) -> str:
    """Where the page of this address lies as a file."""
    folder = path_of(store)
    return str(folder / "pages" / page.rpartition("/")[2] / "index.html") if folder else page


def _port() -> int:
    """The one that `batchlab serve` has when nobody says otherwise, so that the page's address works again; 0: any."""
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return 0
    return PORT


def _end_with_us() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
