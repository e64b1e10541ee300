"""Names inside an archive that every unpacker, on every system, writes into one folder as so many files.

Pure: names in, names out, in the same order. A name that is safe and unique stays as it was given (NFC).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import unquote, urlsplit

MISSING_NAME = "_missing.csv"  # ours; a photo of this name gets another one
NOTE_NAME = "_missing.txt"  # ours, too
COMPONENT_BYTES = 255  # what ext4, APFS and NTFS allow one name, counted in UTF-8
PATH_BYTES = 900  # macOS refuses paths of 1,024 bytes; the rest is for the folder it is unpacked into
EXTENSION_BYTES = 16  # what follows the last dot is an extension up to this length, dot included
UNNAMED = "photo"

# Source: Microsoft, "Naming Files, Paths, and Namespaces". Reserved with any extension, too.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
_FORBIDDEN = frozenset('<>:"|?*')
# They turn the letters that follow around, so that "gpj.exe" reads "exe.jpg".
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def member_names(wanted: Iterable[str]) -> list[str]:
    """A safe name for each wanted one, unique even where capitals and accents do not count.

    The first of several alike keeps the name, the next gets " (2)" before its extension. Slashes and
    backslashes separate folders; a folder is spelled as it was first.
    """
    paths = [_components(name) for name in wanted]
    folders: dict[str, str] = {}  # folded path -> the path as first spelled
    safe = []
    for parts in paths:
        folder = ""
        for part in parts[:-1]:
            folder += part + "/"
            folder = folders.setdefault(folded(folder), folder)
        safe.append((folder, parts[-1]))
    # A file must not have the name of a folder, wherever in the list that folder comes.
    taken = {key.rstrip("/") for key in folders} | {MISSING_NAME, NOTE_NAME}
    next_number: dict[str, int] = {}
    return [_unique(folder, last, taken, next_number) for folder, last in safe]


def name_from_url(url: str) -> str:
    """The last part of the URL's path, after decoding: Firebase writes its folders with %2F."""
    path = unquote(urlsplit(url).path)
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def extension(name: str) -> str:
    """ ".jpg" of "a/b.jpg"; "" when there is none. A leading dot begins no extension."""
    last = name.rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    if not stem.strip(".") or not suffix or len((dot + suffix).encode()) > EXTENSION_BYTES or " " in suffix:
        return ""
    return dot + suffix


def folded(name: str) -> str:
    """What is left of a name where case, accents' spelling and invisible characters do not count.

    Wider than any one file system (NTFS, APFS, HFS+): too many " (2)" do no harm, one too few loses a photo.
    """
    return "/".join(_folded_part(part) for part in name.split("/"))


@lru_cache(maxsize=16_384)
def _folded_part(part: str) -> str:
    if part.isascii():
        return part.lower()
    for _ in range(2):  # folding may open what composes anew
        part = unicodedata.normalize("NFKC", part).casefold().upper().casefold()
    part = "".join(c for c in part if unicodedata.category(c) != "Cf")
    return unicodedata.normalize("NFKC", part)


def _components(name: str) -> Sequence[str]:
    name = unicodedata.normalize("NFC", name).replace("\\", "/")
    parts = [part for part in (_component(part) for part in name.split("/")) if part]
    if not parts or name.endswith("/"):
        parts.append(UNNAMED)
    if folded(parts[0]) in (MISSING_NAME, NOTE_NAME):
        parts[0] = "_" + parts[0]
    while len(parts) > 1 and len("/".join(parts).encode()) > PATH_BYTES:
        del parts[-2]
    return parts


def _component(part: str) -> str:
    """One safe path component, "" when nothing is left of it or it would lead elsewhere."""
    part = unicodedata.normalize("NFC", "".join(_character(c) for c in part))
    part = _trimmed(part)
    if not unicodedata.normalize("NFKC", part).strip(". "):
        return ""
    if unicodedata.normalize("NFKC", part).partition(".")[0].rstrip().casefold() in _DEVICES:
        part = "_" + part
    return _cut(part, "")


@lru_cache(maxsize=4096)
def _character(c: str) -> str:
    """What stands for a character; "_" where some system would not take it."""
    if c.isascii():
        return "_" if c in _FORBIDDEN or ord(c) < 32 or ord(c) == 127 else c
    if c in _DIRECTION or c == "\ufeff":
        return ""
    # Cc control, Cs half a surrogate pair, Zl and Zp line breaks; the last: full-width slashes and their kin,
    # which unpackers without Unicode turn into real ones.
    if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or set(unicodedata.normalize("NFKC", c)) & {
        "/",
        "\\",
    }:
        return "_"
    return c


def _trimmed(part: str) -> str:
    """Without the spaces at its ends and the dots at its end: Windows drops them silently."""
    return part.lstrip().rstrip(". \u00a0\u3000").rstrip()


def _cut(part: str, number: str) -> str:
    """`part` with `number` before its extension, cut before both to fit COMPONENT_BYTES."""
    suffix = extension(part)
    stem = part.removesuffix(suffix)
    room = COMPONENT_BYTES - len((number + suffix).encode())
    if len(stem.encode()) > room:
        stem = _trimmed(stem.encode()[:room].decode(errors="ignore"))
    return stem + number + suffix


def _unique(folder: str, last: str, taken: set[str], next_number: dict[str, int]) -> str:
    name = folder + last
    first = folded(name)
    key, number = first, next_number.get(first, 2)
    while key in taken:
        name = folder + _cut(last, f" ({number})")
        key, number = folded(name), number + 1
    next_number[first] = number
    taken.add(key)
    return name
