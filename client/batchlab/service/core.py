"""What the service is made of: one value that everything it does is handed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchlab.backend import Runner
from batchlab.settings import Settings
from batchlab.store import Store
from batchlab.stores import open_store

if TYPE_CHECKING:
    from batchlab.notify import Outlets
    from batchlab.page import Pages


@dataclass(frozen=True)
class Service:
    """A store of jobs, who runs them, and how customers and developers hear of them."""

    store: Store
    settings: Settings
    runner: Runner
    pages: Pages
    outlets: Outlets

    @classmethod
    def of_settings(cls, settings: Settings, runner: Runner, store: Store | None = None) -> Service:
        """The service that the settings describe; raises UsageError when they do not fit together."""
        from batchlab.notify import Outlets
        from batchlab.page import open_pages

        opened = store or open_store(settings.store, settings=settings)
        return cls(opened, settings, runner, open_pages(settings, opened), Outlets.of_settings(settings))
