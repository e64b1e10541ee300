"""The command demo: a gallery becomes a ZIP while one watches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from batchlab.cli.options import AllowLocalOption, QuietOption, StoreOption, settings_of


def demo(
    sources: Annotated[list[str] | None, typer.Argument(metavar="DIR_OR_URLS", hidden=True)] = None,
    allow_local: AllowLocalOption = False,
    store: StoreOption = "",
    quiet: QuietOption = False,
) -> int:
    """See a small gallery become a ZIP, or contact sheets.

    Ours are served by a web server on this machine that has lost one photo and refuses another one twice, so that you
    see what becomes of such photos. They are submitted to a `batchlab serve` that runs as long as the demo, and the
    customer's page is made as well. Your own (a directory, files or URLs) are run here, as by `batchlab zip`.
    The ZIP is written below ./batchlab-demo/, the sheets to ./batchlab-demo/sheets/.

    \b
    Examples:
      batchlab demo
      batchlab demo contact-sheets
      batchlab demo ~/Pictures/wedding
      batchlab demo https://example.com/1.jpg https://example.com/2.jpg

    Exit code: 0 when all went as arranged; with your own photos that of the job, as for `batchlab zip`.
    """
    from batchlab.cli.demo_run import run_arranged, run_own

    settings = settings_of(store, allow_local=allow_local)
    if sources == ["contact-sheets"] and not Path("contact-sheets").exists():
        from batchlab.cli.demo_sheets import run_sheets

        return run_sheets(settings, quiet=quiet)
    return run_own(sources, settings, quiet=quiet) if sources else run_arranged(settings, quiet=quiet)
