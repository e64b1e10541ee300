"""`batchlab serve`: the endpoint on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from batchlab.cli.options import AllowLocalOption, StoreOption, settings_of

INSTALL = "pip install 'batchlab[cli,service]' batchlab-processor"


def serve(
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Where to listen; all but this machine need BATCHLAB_TOKEN."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="0: any that is free.")
    ] = 8321,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, max=64, help="Jobs that run at once.")
    ] = 2,
    store: StoreOption = "",
    allow_local: AllowLocalOption = False,
) -> None:
    """Serve the endpoint and customers' pages, and run the jobs.

    Jobs may touch what the settings list: BATCHLAB_SOURCE_ROOTS, BATCHLAB_HTTP_HOSTS, BATCHLAB_OUTPUT_ROOTS and
    BATCHLAB_JOB_TYPES. Whatever ends this process, the next `batchlab serve` goes on with every accepted job.

    \b
    Examples:
      batchlab serve
      BATCHLAB_JOB_TYPES=self-test batchlab serve --port 0
      BATCHLAB_TOKEN=... batchlab serve --host 0.0.0.0 --jobs 4 --store ~/jobs

    The first line on stdout is its address. docs/endpoint.md has requests to try.
    """
    from batchlab.errors import UsageError
    from batchlab.streams import say

    settings = settings_of(store, allow_local=allow_local)
    try:
        from batchlab.service.serve_log import set_up
        from batchlab.service.serving import Call
        from batchlab.service.serving import serve as serve_here
    except ModuleNotFoundError as error:
        raise UsageError(
            f"serve needs {error.name}, which is not installed here. Install it: {INSTALL}"
        ) from None

    def ready(address: str) -> None:
        typer.echo(address)
        say(f"Jobs are in {settings.store}. In another terminal:")
        say(f"  export BATCHLAB_URL={address}" + (" BATCHLAB_TOKEN=..." if settings.token else ""))
        say("  batchlab submit job.json --wait        batchlab list")
        if not settings.job_types:
            say(
                "Nothing may be submitted yet: set BATCHLAB_JOB_TYPES, such as zip-export. See docs/endpoint.md"
            )
        say("Ctrl-C ends it.")

    set_up(settings)
    serve_here(Call(settings, host=host, port=port, jobs=jobs), ready)
