"""Places as they are typed, a URL or a path, and as documents want them: always URLs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from batchlab.errors import UsageError
from batchlab.redact import shown
from batchlab.texts import file_name_problem
from batchlab.urls import PREFIX_SCHEMES, url_problem

_NAME_EXAMPLE = "album.zip"


@dataclass(frozen=True)
class Target:
    """Where one ZIP is delivered."""

    output: str  # URL of the folder, without a trailing slash
    name: str  # of the file, decoded

    @property
    def url(self) -> str:
        return f"{self.output}/{quote(self.name)}"

    @property
    def path(self) -> Path | None:
        """The file on this machine, or None when the target is elsewhere."""
        return path_of(self.url)


def is_url(text: str) -> bool:
    return "://" in text


def url_of(text: str, folder: Path | None = None) -> str:
    """The URL of a URL or path; a relative path counts from `folder`, else from where we are.

    A trailing slash stays, and no symbolic link is followed.
    """
    if is_url(text):
        return text
    path = os.path.abspath((folder or Path()) / Path(text).expanduser())  # noqa: PTH100  resolves no links
    return Path(path).as_uri() + ("/" if text.endswith("/") and path != "/" else "")


def path_of(url: str) -> Path | None:
    """The path of a file:// URL, or None for another one."""
    if not url.startswith("file://"):
        return None
    return Path(unquote(url.removeprefix("file://").removeprefix("localhost"), errors="surrogateescape"))


def pretty(url: str) -> str:
    """How a person would type it: a path when it is on this machine, short when it is below where we are."""
    path = path_of(url)
    if path is None:
        return shown(url)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def parse_target(text: str, *, overwrite: bool) -> Target:
    """The target that --to names. Raises UsageError when it is none, or when a file is there and must not be."""
    if not text.strip():
        raise UsageError(f"--to: expected the ZIP's own name, as in {_NAME_EXAMPLE}")
    url = url_of(text)
    problem = url_problem(url, PREFIX_SCHEMES)
    if problem:
        raise UsageError(f"--to: {problem}")
    if "?" in url or "#" in url:
        raise UsageError("--to: the URL of a target has no query (?) and no fragment (#).")
    output, _, last = url.rpartition("/")
    name = unquote(last)
    if not name.lower().endswith(".zip") or output.endswith("/"):
        ending = Path(name).suffix  # of album.rar; a directory may have one, too
        renamed = bool(ending) and text.endswith(ending) and not Path(text).is_dir()
        example = f"{text.removesuffix(ending)}.zip" if renamed else f"{text.rstrip('/')}/{_NAME_EXAMPLE}"
        raise UsageError(f"--to: expected the ZIP's own name at the end, as in {example}")
    problem = file_name_problem(name)
    if problem:
        raise UsageError(f"--to: the ZIP's name: {problem}")
    target = Target(output, name)
    check_free(target.path, overwrite=overwrite)
    return target


def check_free(path: Path | None, *, overwrite: bool) -> None:
    """Raises UsageError when something is at `path` that may not be replaced."""
    if path is None or not path.exists():
        return
    if path.is_dir():
        raise UsageError(f"--to: {path} is a directory. Name the ZIP in it: {path}/{_NAME_EXAMPLE}")
    if not overwrite:
        raise UsageError(f"{path} exists. Choose another name, or add --overwrite.")
