"""libvips, made ready for sheets: the one place that imports it."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

from batchlab.kinds import ItemError, Kind

# Read by fontconfig at the first text; the same fonts and hinting everywhere give the same sheets everywhere.
os.environ.setdefault("FONTCONFIG_FILE", str(Path(__file__).parent / "fonts" / "fonts.conf"))

try:
    import pyvips
except (ImportError, OSError) as error:  # OSError: the binding is there, libvips is not
    raise ItemError(
        Kind.VALIDATION, "Contact sheets need libvips. Install it: pip install 'batchlab-processor[sheets]'"
    ) from error

pyvips.concurrency_set(1)  # the job's workers keep the processors busy; more threads a sheet only cost
pyvips.cache_set_max(0)  # no operation comes twice; the cache would keep decoded photos alive

# glibc lets every thread have an arena, and each keeps what its largest photo took: two sheets at a time need
# 226 MiB then, and 160 with two arenas and large blocks given back at once. Source: mallopt(3); other C libraries
# have no such call.
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
with contextlib.suppress(AttributeError, OSError, TypeError):
    _libc = ctypes.CDLL(None)
    _libc.mallopt(_M_ARENA_MAX, 2)
    _libc.mallopt(_M_MMAP_THRESHOLD, 1 << 18)

__all__ = ["pyvips"]
