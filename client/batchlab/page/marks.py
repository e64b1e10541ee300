"""The one picture on the page: a drawing for each stage, part of the text, coloured by the stylesheet."""

from __future__ import annotations

from typing import Literal

from batchlab.page.view import Stage

Tone = Literal["", "warn", "bad", "quiet"]  # a class of the stylesheet; "": the accent
Notice = Literal["not_found", "server", "not_here"]  # pages that tell of no job

_CLOCK = '<circle cx="28" cy="28" r="11"/><path d="M28 22v6l4 3"/>'
_PHOTOS = (
    '<rect class="line" x="16" y="20" width="20" height="16" rx="2"/>'
    '<path d="M20 16h20v16M16 33l6-6 5 5 3-3 6 5"/><circle cx="30" cy="25" r="1"/>'
)
_TRAY = '<path d="M28 15v17m-7-7 7 7 7-7M17 34v5h22v-5"/>'
_TICK = '<circle cx="28" cy="28" r="11"/><path d="m23 28 4 4 7-7"/>'
_CROSS = '<circle cx="28" cy="28" r="11"/><path d="m24 24 8 8m0-8-8 8"/>'
_DASH = '<circle cx="28" cy="28" r="11"/><path d="M23 28h10"/>'
_PAUSE = '<circle cx="28" cy="28" r="11"/><path d="M25 24v8m6-8v8"/>'
_LENS = '<circle cx="26" cy="26" r="8"/><path d="m32 32 7 7"/>'

_MARKS: dict[Stage | Notice, tuple[Tone, str]] = {
    "queued": ("", _CLOCK),
    "starting": ("", _CLOCK),
    "running": ("", _PHOTOS),
    "paused": ("", _PAUSE),
    "cancelling": ("quiet", _DASH),
    "ready": ("", _TRAY),
    "ready_incomplete": ("warn", _TRAY),
    "done": ("", _TICK),
    "done_incomplete": ("warn", _TICK),
    "failed": ("bad", _CROSS),
    "cancelled": ("quiet", _DASH),
    "expired": ("quiet", _CLOCK),
    "not_found": ("quiet", _LENS),
    "server": ("warn", _CLOCK),
    "not_here": ("warn", _CROSS),
}


def mark(stage: Stage | Notice) -> tuple[Tone, str]:
    """The tone of a stage, and its drawing as SVG."""
    tone, drawing = _MARKS[stage]
    back = '<rect class="back" width="56" height="56" rx="16"/>'
    return tone, f'<svg class="mark" viewBox="0 0 56 56" aria-hidden="true">{back}{drawing}</svg>'
