"""Who works on a job: a lease of 60 s, renewed every 15 s, by the store's own clock.

A run that loses its lease must complete nothing. A holder that provably died on this very machine (kill -9 on
a laptop) is not waited for.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from batchlab.errors import BatchlabError
from batchlab.store import JSON, AlreadyExists, Store, VersionConflict

LIFETIME = timedelta(seconds=60)
RENEW_SECONDS = 15.0
WAIT_SECONDS = 90.0  # longer than a lease lives: whoever was killed has lost it by then


@dataclass(frozen=True)
class Waiting:
    """How to wait for a live lease to end: at most `seconds`, looking again every `look_seconds`."""

    seconds: float = WAIT_SECONDS
    look_seconds: float = 1.0
    sleep: Callable[[float], None] = time.sleep


class Lease:
    """A context; inside it the lease is renewed by a thread, after it the lease is free."""

    def __init__(self, store: Store, name: str, run: str, token: str, version: str, until: datetime) -> None:
        self.lost = threading.Event()
        self._store = store
        self._name = name
        self._run = run
        self._token = token
        self._version = version
        self._until = until
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_end, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()
        if not self.lost.is_set():
            with contextlib.suppress(BatchlabError):  # it runs out by itself
                self._store.replace(
                    self._name, {"run": self._run, "token": "", "until": _text(_ENDED)}, self._version
                )

    def renew(self) -> None:
        """Another 60 s; sets `lost` when somebody else has the lease or it ran out before it could be renewed."""
        try:
            until = self._store.now() + LIFETIME
            self._version = self._store.replace(
                self._name, _body(self._run, self._token, until), self._version
            )
            self._until = until
        except VersionConflict:
            self.lost.set()
        except BatchlabError:
            if self._ran_out():
                self.lost.set()

    def _ran_out(self) -> bool:
        try:
            return self._store.now() >= self._until
        except BatchlabError:
            return datetime.now(self._until.tzinfo) >= self._until

    def _renew_until_end(self) -> None:
        while not self._end.wait(RENEW_SECONDS) and not self.lost.is_set():
            self.renew()


_ENDED = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def acquire(store: Store, name: str, run: str, *, waiting: Waiting | None = None) -> Lease | None:
    """The lease `name`, or None while another run holds it; with `waiting`, after waiting for it to end."""
    deadline = time.monotonic() + (waiting.seconds if waiting else 0.0)
    while True:
        lease = _try(store, name, run)
        if lease is not None or waiting is None or time.monotonic() >= deadline:
            return lease
        waiting.sleep(waiting.look_seconds)


def _try(store: Store, name: str, run: str) -> Lease | None:
    token = secrets.token_hex(16)
    until = store.now() + LIFETIME
    body = _body(run, token, until)
    held = store.read(name)
    try:
        if held is None:
            version = store.create(name, body)
        elif _live(held.body, store.now()):
            return None
        else:
            version = store.replace(name, body, held.version)
    except (AlreadyExists, VersionConflict):
        return None
    return Lease(store, name, run, token, version, until)


def _live(body: JSON, now: datetime) -> bool:
    return datetime.fromisoformat(body["until"]) > now and not _died_here(body.get("holder"))


def _body(run: str, token: str, until: datetime) -> JSON:
    return {"run": run, "token": token, "until": _text(until), "holder": _holder()}


def _text(moment: datetime) -> str:
    return moment.isoformat()


def _holder() -> JSON:
    """This process, so that nobody can mistake another for it: machine, boot, process and its start."""
    pid = os.getpid()
    return {"host": platform.node(), "boot": _boot(), "pid": pid, "started": _started(pid)}


def _died_here(holder: JSON | None) -> bool:
    """Whether the holder was a process of this machine since this boot and is no more."""
    if not holder or not holder.get("boot") or holder["boot"] != _boot() or holder["host"] != platform.node():
        return False
    return bool(holder["started"] != _started(holder["pid"]))


def _boot() -> str:
    """Containers of one machine share a boot but not their processes, so the PID namespace belongs to it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; "" when there is none (a zombie has ended too)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
