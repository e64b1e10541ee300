"""The real image, built without any registry and run by podman, in a storage of its own that goes with the test.

python -m tests.containers.podman       says what this machine lacks for that, and then ends with 77
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_ports

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("podman", "debootstrap", "runc")
FOLDERS = Path("/var/tmp")
PREFIX = "batchlab-podman-"
BASE = "localhost/batchlab-test/python"  # stands in for the Python image of the Dockerfile
IMAGE = "localhost/batchlab-test/batchlab"
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # where Debian keeps debootstrap and runc
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP = ("index-url", "extra-index-url", "find-links", "trusted-host")

# What the ECS agent does with readonlyRootFilesystem, which moto leaves out: every container's root is read-only.
_RUNTIME = """#!{python}
import json, os, pathlib, sys
if "create" in sys.argv:
    config = pathlib.Path(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    body = json.loads(config.read_text())
    body["root"]["readonly"] = True
    config.write_text(json.dumps(body))
os.execv({runc!r}, ["runc", *sys.argv[1:]])
"""
_CONFIG = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
log_driver = "json-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/podman"
runtime = "readonly"
[engine.runtimes]
readonly = ["{folder}/readonly"]
runc = ["{runc}"]
[network]
network_config_dir = "{folder}/networks"
"""
_STORAGE = """
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/running"
"""


def missing() -> str:
    """What this machine lacks to build and run containers, in a sentence; "" when nothing."""
    if os.geteuid() != 0:
        return "building without a registry needs root"
    absent = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    return f"building without a registry needs {', '.join(absent)}: apt-get install them" if absent else ""


@dataclass(frozen=True)
class Podman:
    """podman with its own storage in `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        runc = shutil.which("runc", path=PATH)
        self.folder.joinpath("readonly").write_text(_RUNTIME.format(python=sys.executable, runc=runc))
        self.folder.joinpath("readonly").chmod(0o755)
        self.folder.joinpath("containers.conf").write_text(_CONFIG.format(folder=self.folder, runc=runc))
        for driver in ("overlay", "vfs"):  # a container in a container has no overlay
            text = _STORAGE.format(folder=self.folder, driver=driver)
            self.folder.joinpath("storage.conf").write_text(text)
            if self.call("info", check=False).returncode == 0:
                return
            shutil.rmtree(self.folder / "storage", ignore_errors=True)
        raise RuntimeError(self.call("info", check=False).stderr)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": PATH,
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "TMPDIR": str(self.folder),
        }

    def call(
        self, *arguments: str, check: bool = True, stdin: int | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs podman to its end; what it said stands in the error."""
        done = subprocess.run(
            ["podman", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(
                f"podman {' '.join(arguments[:2])}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
            )
        return done

    def start(self, image: str, environment: Mapping[str, str], *arguments: str) -> str:
        """The id of a container that runs as on AWS Batch: read-only but its volume, with a process 1 that reaps."""
        given = [f"--env={name}={value}" for name, value in environment.items()]
        options = [
            "--detach",
            "--init",
            "--network=host",
            "--read-only",
            "--read-only-tmpfs=false",  # podman's own idea
        ]
        return self.call("run", *options, "--pull=never", *given, image, *arguments).stdout.strip()

    def end(self, container: str) -> tuple[int, str]:
        """The exit code and the log of a container, when it has ended; it is removed."""
        code = int(self.call("wait", container).stdout)
        said = self.call("logs", container)
        self.call("rm", "--volumes", container)
        return code, said.stdout + said.stderr

    @contextmanager
    def service(self) -> Iterator[str]:
        """DOCKER_HOST of a server that speaks Docker's API."""
        [port] = free_ports(1)
        address = f"tcp://127.0.0.1:{port}"
        with self.folder.joinpath("service.log").open("wb") as log:
            serving = subprocess.Popen(
                ["podman", "system", "service", "--time=0", address],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield address
        finally:
            serving.terminate()
            serving.wait()

    def remove(self) -> None:
        """No container runs, and nothing is left on the disk."""
        self.call("rm", "--all", "--force", "--time=0", check=False)
        mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for place in reversed(mounted):  # the inner ones first
            if place.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder)


@contextmanager
def own_podman() -> Iterator[Podman]:
    """A podman with nothing in it, gone afterwards; what tests that were killed left behind goes first."""
    for left in FOLDERS.glob(f"{PREFIX}*"):
        with suppress(BlockingIOError), _lock(left):
            Podman(left).remove()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=FOLDERS))
    with _lock(folder):
        podman = Podman(folder)
        try:
            yield podman
        finally:
            podman.remove()


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Held as long as the test lives. Raises BlockingIOError when it is another's."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


def make_base(podman: Podman) -> str:
    """The Debian that the Dockerfile names, with Python, venv and pip, by debootstrap from this machine's mirror."""
    system = podman.folder / "system"
    [codename] = re.findall(
        r"^ARG PYTHON_IMAGE=python:[0-9.]+-slim-(\w+)$", (ROOT / "Dockerfile").read_text(), re.M
    )
    mirror = _mirror()
    packages = "python3,python3-venv,python3-pip,ca-certificates"
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", codename, str(system), mirror]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": PATH},
    )
    if done.returncode:
        raise RuntimeError(f"debootstrap: {done.stdout[-3000:]}{done.stderr[-1000:]}")
    for path in system.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):  # the Python image has none either
        path.unlink()
    settings = [path for path in Path("/etc/apt/apt.conf.d").glob("*") if "Acquire" in path.read_text()]
    for path in (_CERTIFICATES, *settings):
        if path.exists():
            shutil.copyfile(path, system / path.relative_to("/"))
    unpacked = [
        "--exclude=./proc/*",
        "--exclude=./var/cache/apt/archives/*.deb",
        "--exclude=./var/lib/apt/lists/*",
    ]
    with subprocess.Popen(["tar", "-C", str(system), "-c", *unpacked, "."], stdout=subprocess.PIPE) as packed:
        assert packed.stdout is not None
        podman.call("import", "-", BASE, stdin=packed.stdout.fileno())
    shutil.rmtree(system)
    return BASE


def _mirror() -> str:
    """The URL of where this machine's packages come from; it has all of Debian's releases."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    codename = release["VERSION_CODENAME"].strip('"')
    command = ["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)", "Created-By: Packages"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in said.splitlines()]
    return next(url for name, url in found if name == codename)


def build(podman: Podman, base: str, *, wheels: Path, packages: str, fonts: str) -> str:
    """The image of the real Dockerfile, by its digest; `packages` are those of /wheels in the build."""
    settings = podman.folder / "pip.conf"
    settings.write_text(_pip_settings())
    mounted = [f"{settings}:/etc/pip.conf", f"{wheels}:/wheels"]
    places = re.findall(r"(?:file://)?(/[^\s:]+)", settings.read_text())
    mounted += [f"{place}:{place}" for place in _folders(places)]
    podman.call(
        "build", "--isolation=chroot", "--pull=never", "--network=host", "--runtime=runc",
        *(f"--volume={each}:ro" for each in mounted),
        f"--build-arg=PYTHON_IMAGE={base}", "--build-arg=REVISION=0123456789ab",
        f"--build-arg=EXTRA_PACKAGES={packages}", f"--build-arg=EXTRA_FONTS={fonts}",
        f"--tag={IMAGE}:0123456789ab", str(ROOT),
    )  # fmt: skip
    [facts] = json.loads(podman.call("image", "inspect", f"{IMAGE}:0123456789ab").stdout)
    return f"{IMAGE}@{facts['Digest']}"


def _pip_settings() -> str:
    """Where this machine's pip finds packages, for the pip of the build."""
    said = subprocess.run(
        [shutil.which("python3") or "python3", "-m", "pip", "config", "list"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        if (short := name.rpartition(".")[2]) in _PIP:
            found[short] = value.strip("'").replace("\\n", " ")
    if "UV_DEFAULT_INDEX" in os.environ:
        found.setdefault("index-url", os.environ["UV_DEFAULT_INDEX"])
    found["cert"] = str(_CERTIFICATES)
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())


def _folders(places: Sequence[str]) -> list[str]:
    """The existing ones; beside an index on the disk lie its files."""
    there = (Path(place) for place in places if Path(place).is_dir())
    return sorted({str(place.parent if place.name == "simple" else place) for place in there})


if __name__ == "__main__":
    if reason := missing():
        sys.stdout.write(f"{reason}\n")
        sys.exit(77)
