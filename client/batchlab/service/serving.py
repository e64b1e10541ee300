"""`batchlab serve`: the endpoint, customers' pages and the jobs themselves, in one process on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from batchlab.errors import UsageError
from batchlab.service.doorkeeper import is_loopback_host
from batchlab.settings import Settings

if TYPE_CHECKING:
    import uvicorn

HOST, PORT = "127.0.0.1", 8321
_REQUESTS_END_SECONDS = 10  # that are answered when we are asked to stop
_WAITING_CONNECTIONS = 2_048  # that the kernel keeps while all threads are busy

logger = logging.getLogger("batchlab")


@dataclass(frozen=True)
class Call:
    """The command line of `serve`."""

    settings: Settings
    host: str = HOST
    port: int = PORT  # 0: any that is free
    jobs: int = 2  # that run at once


def serve(call: Call, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or Ctrl-C; then takes no more requests, lets the runs flush, and returns.

    `ready` is called with the address once it answers. Raises UsageError where others could ask without BATCHLAB_TOKEN,
    for an address that cannot be had, and when batchlab-processor is not installed.
    """
    import uvicorn

    from batchlab.service.app import make_app
    from batchlab.service.attendant import Attendant
    from batchlab.service.here import attending
    from batchlab.service.jobs import Jobs
    from batchlab.service.serve_log import AccessLog
    from batchlab.stores import open_store

    if not is_loopback_host(f"[{call.host}]" if ":" in call.host else call.host) and not call.settings.token:
        raise UsageError(
            f"--host: {call.host} can be reached from other machines, so callers must show a token. Set one: "
            "BATCHLAB_TOKEN=$(openssl rand -hex 24) batchlab serve ..."
        )
    if not call.settings.token and _opened_to_others(call.settings):
        raise UsageError(
            "BATCHLAB_PUBLIC_BASE_URL: a proxy that customers reach lets anybody ask about jobs, too, so callers must "
            "show a token. Set one: BATCHLAB_TOKEN=$(openssl rand -hex 24) batchlab serve ..."
        )
    listening = _listen(call.host, call.port)
    with contextlib.closing(listening):
        address = _address(call.host, listening.getsockname()[1])
        settings = call.settings
        if not settings.public_base_url:  # plain http is for this machine alone
            here = f"http://{'localhost' if ':' in call.host else HOST}:{listening.getsockname()[1]}"
            settings = dataclasses.replace(settings, public_base_url=here)
        store = open_store(settings.store, settings=settings)
        with attending(store), Attendant(settings, store, jobs=call.jobs) as attendant:
            app = make_app(settings, backend=Jobs(attendant.service), pages=attendant.service.pages)
            server = uvicorn.Server(
                uvicorn.Config(
                    AccessLog(app),
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    lifespan="off",
                    timeout_graceful_shutdown=_REQUESTS_END_SECONDS,
                )
            )
            with _signals_heeded(server):
                ready(address)  # it listens, and what comes waits
                server.run(sockets=[listening])
                logger.info("Runs are asked to stop; the next `batchlab serve` goes on with them.")
                attendant.close()


def _opened_to_others(settings: Settings) -> bool:
    """Whether customers come to us through a proxy; pages that lie elsewhere are served there."""
    public = urlsplit(settings.public_base_url).netloc
    return bool(public) and not is_loopback_host(public) and not settings.pages_root


def _listen(host: str, port: int) -> socket.socket:
    """Before anything else is touched. Raises UsageError when the address is taken or none of this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(_WAITING_CONNECTIONS)
    except OSError as error:
        made.close()
        raise UsageError(
            f"--host, --port: {host}:{port} cannot be had: {error.strerror}. Is another `batchlab serve` running? "
            f"Try --port {port + 1}."
        ) from None
    return made


def _address(host: str, port: int) -> str:
    """http://127.0.0.1:8321, also for what listens everywhere."""
    name = {"0.0.0.0": HOST, "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{name}:{port}"


@contextlib.contextmanager
def _signals_heeded(server: uvicorn.Server) -> Iterator[None]:
    """Inside, SIGTERM and Ctrl-C stop the server and nothing else, also before it has started.

    uvicorn raises the signal that stopped it once more when it is done, and by then runs have to be ended.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
