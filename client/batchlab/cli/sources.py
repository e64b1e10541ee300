"""What SOURCE arguments mean: photos of a zip-export, and what their user thereby lets the job read."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from batchlab.cli.lists import LIST_SUFFIXES, parse_list, read_list
from batchlab.cli.places import is_url, url_of
from batchlab.errors import UsageError
from batchlab.jobs.zip_export import ItemSpec
from batchlab.texts import is_line
from batchlab.urls import PREFIX_SCHEMES, url_problem
from batchlab.words import counted

_CLUTTER = frozenset({"Thumbs.db", "desktop.ini"})  # what Windows hides; names with a dot are hidden anyway
_MANIFESTS = (".csv", ".jsonl", ".json", ".csv.gz", ".jsonl.gz", ".json.gz")
_LONGEST_ID = 200  # ItemSpec.id


@dataclass
class Sources:
    """What was found for the arguments, in their order."""

    target: Path | None = None  # absolute
    items: list[dict[str, Any]] = field(default_factory=list)  # of the document's params
    named: list[str] = field(default_factory=list)  # URLs to be granted
    size_bytes: int = 0  # of the files whose size cost nothing to learn
    sized: int = 0  # how many those are
    open_ended: int = 0  # prefixes and manifests: how many photos they hold is found when the job runs

    @property
    def photos(self) -> int:
        """Photos known so far."""
        return len(self.items) - self.open_ended

    def described(self) -> str:
        """ "39 photos" or "12 photos and what 1 folder or list holds"."""
        parts = [counted(self.photos, "zip-export")] if self.photos or not self.open_ended else []
        if self.open_ended:
            one = self.open_ended == 1
            parts.append(
                "what 1 folder or list holds" if one else f"what {self.open_ended} folders and lists hold"
            )
        return " and ".join(parts)


def find_sources(arguments: Sequence[str], *, target: Path | None = None) -> Sources:
    """Everything that the arguments name; raises UsageError or DocumentError for one that cannot be used.

    `target`, the ZIP of last time in a directory that is zipped, is no photo.
    """
    if not arguments:
        raise UsageError("Name the photos: a directory, files, a list, or URLs.")
    sources = Sources(target=target)
    several = len(arguments) > 1
    for argument in arguments:
        if not argument.strip():  # an unset variable of a script, not "here"
            raise UsageError("One of the names of photos is empty. For this directory, write a dot.")
        if argument == "-":
            _add_list(sources, parse_list(sys.stdin, ".txt", "standard input", Path()))
        elif is_url(argument):
            _add_url(sources, argument, keep_folder=several)
        else:
            for path in _paths(argument):
                _add_path(sources, path, keep_folder=several)
    _name_keys(sources)
    return sources


def _paths(argument: str) -> list[Path]:
    path = Path(argument).expanduser()
    if path.exists() or path.is_symlink():
        return [path]
    if glob.has_magic(argument):
        found = sorted(glob.glob(os.path.expanduser(argument), recursive=True))  # noqa: PTH111, PTH207  keeps "**"
        if found:
            return [Path(each) for each in found if not Path(each).is_dir() or "**" not in argument]
        raise UsageError(f"{argument}: no file matches.")
    raise UsageError(f"{argument}: there is no such file or directory.")


def _add_path(sources: Sources, path: Path, *, keep_folder: bool) -> None:
    if path.is_dir():
        _add_folder(sources, path, keep_folder=keep_folder)
    elif path.suffix.lower() in LIST_SUFFIXES:
        _add_list(sources, read_list(path))
    else:
        _add_file(sources, path, _text(path.name))
        sources.named.append(url_of(str(path)))


def _add_folder(sources: Sources, folder: Path, *, keep_folder: bool) -> None:
    """Every file in it and below it but hidden ones, named by its path from there."""
    before = len(sources.items)
    base = Path(os.path.abspath(folder))  # noqa: PTH100  takes .. out and resolves no links
    for path in _files_below(base):
        if path == sources.target:
            continue
        name = path.relative_to(base.parent if keep_folder else base)
        _add_file(sources, path, _text(name.as_posix()))
    if len(sources.items) == before:
        raise UsageError(f"{folder}: there are no files in it.")
    sources.named.append(base.as_uri() + "/")


def _files_below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UsageError(f"{error.filename}: cannot be read: {error.strerror}.")

    for root, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and name not in _CLUTTER and _is_photo(path):
                yield path


def _is_photo(path: Path) -> bool:
    """No FIFO, no device; a link that leads nowhere is a photo that is missing, and the report says so."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _add_file(sources: Sources, path: Path, name: str) -> None:
    item: dict[str, Any] = {"url": url_of(str(path)), "name": name}
    try:
        item["size"] = path.stat().st_size
    except OSError:
        pass  # the run will say what is wrong with it
    else:
        sources.size_bytes += item["size"]
        sources.sized += 1
    sources.items.append(item)


def _text(name: str) -> str:
    """A file's name as text, also when its bytes are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _add_list(sources: Sources, items: list[ItemSpec]) -> None:
    for item in items:
        sources.items.append(item.model_dump(mode="json", by_alias=True, exclude_unset=True))
        sources.named.append(item.url)
        if item.size is not None:
            sources.size_bytes += item.size
            sources.sized += 1


def _add_url(sources: Sources, url: str, *, keep_folder: bool) -> None:
    problem = url_problem(url)
    if problem:
        raise UsageError(problem)
    if url.startswith("file:"):
        path = unquote(urlsplit(url).path)
        if not Path(path).exists():
            raise UsageError(f"{path}: there is no such file or directory.")
        _add_path(sources, Path(path), keep_folder=keep_folder)
        return
    sources.named.append(url)
    parts = urlsplit(url)
    if parts.path.lower().endswith(_MANIFESTS):
        sources.items.append({"manifest": url})
        sources.open_ended += 1
    elif parts.scheme in PREFIX_SCHEMES and (parts.path.endswith("/") or not parts.path):
        sources.items.append({"prefix": url})
        sources.open_ended += 1
    else:
        sources.items.append({"url": url})


def _line(name: str) -> str:
    """`name` as a key: without what keys may not hold, so that one odd name leaves all others theirs."""
    return "".join(character if is_line(character) else "_" for character in name)[:_LONGEST_ID]


def _name_keys(sources: Sources) -> None:
    """Gives each photo its name as its key where that is possible for all: reports then speak of names."""
    keys = [
        item.get("id")
        or _line(item.get("name") or unquote(urlsplit(item.get("url", "")).path.rpartition("/")[2]))
        for item in sources.items
    ]
    usable = all(keys)
    if sources.open_ended or not usable or len(set(keys)) < len(keys):
        return
    for item, key in zip(sources.items, keys, strict=True):
        item["id"] = key
