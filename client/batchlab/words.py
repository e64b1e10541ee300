"""Numbers and names in the words a photographer's developer uses: "1 photo", "12.3 MB", "2 min 5 s"."""

from __future__ import annotations

# What one item of a job type is called; strangers' types have items.
_NOUNS = {
    "zip-export": ("photo", "photos"),
    "contact-sheets": ("participant", "participants"),
    "csv-import": ("batch", "batches"),
    "image-generation": ("image", "images"),
    "self-test": ("check", "checks"),
    "cleanup": ("job", "jobs"),  # cleaned up after
}
_KEEP = frozenset("\u200c\u200d")  # joiners: names in Persian and emoji need them


def counted(count: int, job_type: str) -> str:
    """ "1 photo", "5,000 photos", "2 items"."""
    one, many = _NOUNS.get(job_type, ("item", "items"))
    return f"{count:,} {one if count == 1 else many}"


def size(size_bytes: float) -> str:
    """Decimal units, as shops and networks count: "512 B", "12.3 MB", "4.1 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 999.5:
            return f"{size_bytes:.0f} B" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.1f} TB"


def duration(seconds: float) -> str:
    """ "0.4 s", "42 s", "2 min 5 s", "3 h 7 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """`text` on one line without anything a terminal would obey: file names and titles come from strangers."""
    return "".join(c if c.isprintable() or c in _KEEP else "\N{REPLACEMENT CHARACTER}" for c in text)
