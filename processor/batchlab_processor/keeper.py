"""The thread beside a run: it shows the progress, writes it to the store, and looks whether somebody asks to stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType

SHOW_SECONDS = 0.2

logger = logging.getLogger("batchlab")


class Keeper:
    """A context. Inside it `show` is called five times a second and `keep` every `keep_seconds`.

    A store that is away for a moment harms nothing here: what must be written, the run itself writes.
    """

    def __init__(self, show: Callable[[], None], keep: Callable[[], None], keep_seconds: float) -> None:
        self._show = show
        self._keep = keep
        self._keep_seconds = keep_seconds
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        beat = min(SHOW_SECONDS, self._keep_seconds)
        beats_per_keep = max(1, round(self._keep_seconds / beat))
        beats = 0
        while not self._end.wait(beat):
            beats += 1
            try:
                self._show()
            except Exception as error:  # noqa: BLE001  a terminal that went away must not take the wish to cancel with it
                logger.debug("The progress could not be shown: %s", error)
            if beats % beats_per_keep == 0:
                try:
                    self._keep()
                except Exception as error:  # noqa: BLE001  nor must a store that is away, or a document in it that is broken
                    logger.warning("The progress could not be kept: %s", error)
