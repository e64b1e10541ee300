"""Who works on a job: a lease of 60 s, renewed every 15 s, by the store's own clock.

A run that loses its lease must complete nothing. A holder that provably died on this very machine (kill -9 on
a laptop) is not waited for. The lease named `lease-all-0` and any other of its generation exclude each other.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import random
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from batchlab.errors import BatchlabError
from batchlab.store import JSON, AlreadyExists, Store, VersionConflict

LIFETIME = timedelta(seconds=60)
RENEW_SECONDS = 15.0
WAIT_SECONDS = 90.0  # longer than a lease lives: whoever was killed has lost it by then
ALL = "lease-all-0.json"

# The holder gives up before others may take over: a Date header is cut to the second, and the last
# request before the end must still arrive.
_MARGIN_SECONDS = 5.0
_RETRY_SECONDS = 3.0  # after a renewal that did not get through
_LEAVE_SECONDS = 2.0  # a renewal that hangs must not hold up a process that has 25 s to exit
_COLLISIONS = 3  # `all` and a shard that look at the same moment both step back and try again

# Counts on while the machine sleeps, which Python's monotonic clock does not do on Linux.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

logger = logging.getLogger("batchlab")


def seconds_awake_or_asleep() -> float:
    """Seconds since some fixed moment, those in which the machine slept included."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True)
class Waiting:
    """How to wait for a live lease to end: at most `seconds`, looking again every `look_seconds`."""

    seconds: float = WAIT_SECONDS
    look_seconds: float = 1.0
    sleep: Callable[[float], object] = time.sleep
    stop: threading.Event | None = None  # when it is set, nobody waits any longer


class Lost(threading.Event):
    """Set once the lease is gone: taken over, or too old to be ours for certain, even while a renewal hangs."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._seconds = clock
        self.deadline = float("inf")

    def is_set(self) -> bool:
        if self._seconds() >= self.deadline:
            self.set()
        return super().is_set()


class Lease:
    """A context; inside it the lease is renewed by a thread, after it the lease is free."""

    def __init__(
        self,
        store: Store,
        name: str,
        run: str,
        version: str,
        body: JSON,
        *,
        asked_at: float,
        clock: Callable[[], float] = seconds_awake_or_asleep,
    ) -> None:
        self.lost = Lost(clock)
        self._store = store
        self._name = name
        self._run = run
        self._token = body["token"]
        self._version = version
        self._clock = clock
        self._changing = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._renew_until_end, name="lease", daemon=True)
        self._extend(asked_at)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join(_LEAVE_SECONDS)
        if not self._thread.is_alive():
            self.release()

    def renew(self) -> bool:
        """Another 60 s from now; False when the store could not be asked, or `lost` is set: somebody else has it."""
        with self._changing:
            asked_at = self._clock()
            if self.lost.is_set():
                return False
            try:
                body = _body(self._run, self._token, self._store.now() + LIFETIME)
                self._version = self._replace(body)
            except VersionConflict:
                self.lost.set()
                logger.warning("Another run has taken over the lease %s.", self._name)
                return False
            except BatchlabError as error:
                logger.warning("The lease %s could not be renewed: %s", self._name, error)
                return False
            self._extend(asked_at)
            return True

    def release(self) -> None:
        """Gives the lease back, if it is still ours. A store that is away is no error: it runs out by itself."""
        with self._changing, contextlib.suppress(BatchlabError):
            if not self.lost.is_set():
                self.lost.set()
                self._replace({"run": self._run, "token": "", "until": _ENDED.isoformat()})

    def _replace(self, body: JSON) -> str:
        """A renewal whose answer never came has changed the version: what counts is whose token is there."""
        try:
            return self._store.replace(self._name, body, self._version)
        except VersionConflict:
            there = self._store.read(self._name)
            if there is None or (there.body.get("run"), there.body.get("token")) != (self._run, self._token):
                raise
            return self._store.replace(self._name, body, there.version)

    def _extend(self, asked_at: float) -> None:
        self.lost.deadline = asked_at + LIFETIME.total_seconds() - _MARGIN_SECONDS

    def _renew_until_end(self) -> None:
        pause = RENEW_SECONDS
        while not self._end.wait(pause) and not self.lost.is_set():
            pause = RENEW_SECONDS if self.renew() else _RETRY_SECONDS


_ENDED = datetime(1970, 1, 1, tzinfo=UTC)


def acquire(store: Store, name: str, run: str, *, waiting: Waiting | None = None) -> Lease | None:
    """The lease `name`, or None while another run holds it; with `waiting`, after waiting for it to end."""
    waited = 0.0
    while True:
        lease = _acquire_now(store, name, run)
        if lease is not None or waiting is None or waited >= waiting.seconds:
            return lease
        if waiting.stop is not None and waiting.stop.is_set():
            return None
        waiting.sleep(waiting.look_seconds)
        waited += waiting.look_seconds


def _acquire_now(store: Store, name: str, run: str) -> Lease | None:
    for _ in range(_COLLISIONS):
        if _excluded(store, name):
            return None
        lease = _take(store, name, run)
        if lease is None:
            return None
        # Ours is written before we look again, so of two that came at once at least one sees the other.
        if not _excluded(store, name):
            return lease
        lease.release()
        time.sleep(random.uniform(0.01, 0.2))
    return None


def _take(store: Store, name: str, run: str) -> Lease | None:
    asked_at = seconds_awake_or_asleep()
    body = _body(run, secrets.token_hex(16), store.now() + LIFETIME)
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
    return Lease(store, name, run, version, body, asked_at=asked_at)


def _excluded(store: Store, name: str) -> bool:
    """Whether a live lease of the generation stands against this one."""
    folder, _, own = name.rpartition("/")
    if own == ALL:
        others = [other for other in store.names(f"{folder}/lease-") if other != name]
    else:
        others = [f"{folder}/{ALL}"]
    return any(found and _live(found.body, store.now()) for found in map(store.read, others))


def held(store: Store, folder: str) -> bool:
    """Whether somebody holds a lease in `folder`, a generation's with its slash."""
    return any(
        found and _live(found.body, store.now())
        for found in map(store.read, list(store.names(f"{folder}lease-")))
    )


def _live(body: JSON, now: datetime) -> bool:
    return datetime.fromisoformat(body["until"]) > now and not _died_here(body.get("holder"))


def _body(run: str, token: str, until: datetime) -> JSON:
    return {"run": run, "token": token, "until": until.isoformat(), "holder": _holder()}


def _holder() -> JSON:
    """This process, so that nobody can mistake another for it: machine, boot, user, process and its start."""
    pid = os.getpid()
    return {
        "host": platform.node(),
        "boot": _boot(),
        "user": os.getuid(),
        "pid": pid,
        "started": _started(pid),
    }


def _died_here(holder: JSON | None) -> bool:
    """Whether the holder was a process of this machine and user since this boot and is no more."""
    if not holder or not holder.get("boot") or not holder.get("started"):
        return False
    # Another user's process may be hidden from us (hidepid) and live.
    here = {"host": platform.node(), "boot": _boot(), "user": os.getuid()}
    if any(holder.get(field) != value for field, value in here.items()):
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
