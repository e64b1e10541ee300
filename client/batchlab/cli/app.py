"""The commands, put together. Each imports what it needs when it is called, so that --help is quick."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from batchlab.cli import (
    database,
    demo,
    job_types,
    log_lines,
    looking,
    on_aws,
    running,
    serve,
    submitting,
    watching,
    webhook,
)

app = typer.Typer(
    name="batchlab",
    rich_markup_mode=None,  # plain help: it is piped, searched and pasted into issues
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: batchlab demo\n\nMore: batchlab COMMAND --help, and docs/cli.md",
)
app.command("demo")(demo.demo)
app.command("zip")(running.zip_photos)
app.command("run")(running.run)
app.command("retry")(running.retry)
app.command("submit")(submitting.submit)
app.command("estimate")(submitting.estimate)
app.command("watch")(watching.watch)
app.command("logs")(log_lines.logs)
app.command("status")(looking.status)
app.command("items")(looking.items)
app.command("list")(looking.list_all)
app.command("link")(looking.link)
app.command("cancel")(looking.cancel)
app.command("explain")(on_aws.explain)
app.command("doctor")(on_aws.doctor)
app.command("scale")(on_aws.scale)
app.command("serve")(serve.serve)
app.command("types")(job_types.types)
app.add_typer(database.app, name="db")
app.add_typer(webhook.app, name="webhook")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"batchlab {version('batchlab')}")
        raise typer.Exit


@app.callback()
def batchlab(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Run a batch of photos to the end, and account for every one of them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def command() -> Any:
    """The application as click's Command."""
    return typer.main.get_command(app)
