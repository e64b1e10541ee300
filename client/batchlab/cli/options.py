"""Options that several commands share, and the settings they change."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from batchlab.settings import Settings
    from batchlab.store import Store

StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        metavar="URL",
        help="Where jobs are kept: a directory, file:// or s3:// [default: BATCHLAB_STORE, else "
        "~/.local/state/batchlab]",
        show_default=False,
    ),
]
UrlOption = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        help="Whom to ask: https://HOST, file:///DIRECTORY or batch://QUEUE/DEFINITION?store=s3://... [default: "
        "BATCHLAB_URL].",
        show_default=False,
    ),
]
NameOption = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The stack, as ./deploy.sh --name gave it [default: batchlab].",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would be done, write nothing.")
]
AllowLocalOption = Annotated[
    bool,
    typer.Option("--allow-local", help="The named hosts may be this machine, and may speak plain http."),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="What is at the target may be replaced.")]
ConfigOption = Annotated[
    str,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Named entries (databases, queries, ...) for this job [default: BATCHLAB_CONFIG's].",
        show_default=False,
    ),
]
PasswordFileOption = Annotated[
    str,
    typer.Option(
        "--password-file",
        metavar="FILE",
        help="Encrypt the ZIP (AES-256) with the line in FILE.",
        show_default=False,
    ),
]
# Arguments are explained in a command's own words: a list of one with its Python type says less.
JobArgument = Annotated[str, typer.Argument(metavar="ID", hidden=True)]


def settings_of(store: str = "", *, allow_local: bool = False) -> Settings:
    """The settings of the environment, and what the command line puts in their place."""
    from batchlab.cli.places import url_of
    from batchlab.errors import UsageError
    from batchlab.settings import Settings

    try:
        environ = {**os.environ, "BATCHLAB_STORE": url_of(store)} if store else os.environ
        settings = Settings.from_environment(environ)
    except UsageError as error:
        raise UsageError(
            error.message.replace("BATCHLAB_STORE:", "--store:") if store else error.message
        ) from None
    return dataclasses.replace(settings, allow_local=True) if allow_local else settings


def store_of(settings: Settings) -> Store:
    """The store that the settings name."""
    from batchlab.stores import open_store

    return open_store(settings.store, settings=settings)


def look_at(store: str) -> Settings:
    """The settings of a looking command. A misspelt one is said, because it may lead to the wrong jobs."""
    settings = settings_of(store)
    for warning in settings.warnings:
        typer.echo(f"batchlab: {warning}", err=True)
    return settings
