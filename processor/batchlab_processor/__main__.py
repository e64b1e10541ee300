"""The command `batchlab-processor`: the container's entrypoint, and what `batchlab` starts to run jobs here.

This process is only the parent (see `supervisor`); the child it starts does the work. Nothing heavy is
imported before the child is known to be the child.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys

from batchlab.leaving import keep_exit_code
from batchlab.streams import open_closed_streams, say
from batchlab_processor import supervisor

USAGE = """\
batchlab-processor run [--job URL|PATH|JSON|ID] [--store URL]   runs a job; without --job, the self-test
        [--phase plan|work|collect] [--shard i/N]            only this much of it, to share it between machines
batchlab-processor types [--json]                            lists the job types installed here
batchlab-processor db apply --job URL [--store URL]          makes a job's pending database updates
batchlab-processor db schema                                 prints the tables of contact-sheets
batchlab-processor demo [DIRECTORY]                          serves the demo's photos until stdin closes
batchlab-processor demo contact-sheets                       serves a small marathon until stdin closes
"""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 ok, 1 failed, 2 usage, 3 partial, 4 cancelled, 5-7 no access, 75 interrupted."""
    if arguments is None:  # called as the command
        keep_exit_code()
        arguments = sys.argv[1:]
    open_closed_streams()
    options = _parser().parse_args(arguments)
    supervisor.follow_caller()
    if options.command == "run" and not supervisor.is_child():
        return supervisor.supervise(arguments)
    supervisor.follow_parent()
    try:
        return _obey(options)
    except KeyboardInterrupt:  # Ctrl-C before the run heeds it, so there is nothing to end yet
        return supervisor.EXIT_INTERRUPTED


def _obey(options: argparse.Namespace) -> int:
    from batchlab.errors import BatchlabError

    try:
        return int(_COMMANDS[options.command](options))
    except BatchlabError as error:
        for line in error.message.splitlines():
            say(f"batchlab: {line}")
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="batchlab-processor", usage=USAGE)
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|types|db|demo")
    run = commands.add_parser("run", help="run a job")
    run.add_argument(
        "--job",
        default="",
        help="URL, path or JSON of a job document, or a job's id; without it the self-test runs",
    )
    run.add_argument("--store", default="", help="URL of the store (default: BATCHLAB_STORE)")
    run.add_argument("--json", action="store_true", help="print the report as JSON")
    run.add_argument("--dry-run", action="store_true", help="plan only, and say what would be done")
    run.add_argument("--phase", default="", help="plan, work or collect: only this much of the job")
    run.add_argument(
        "--shard",
        default="",
        help="with --phase work: i/N, the i-th of N slices of the items (default: this child's of an array job)",
    )
    run.add_argument("--quiet", action="store_true", help="no progress and no summary")
    types = commands.add_parser("types", help="list the job types installed here")
    types.add_argument("--json", action="store_true")
    database = commands.add_parser("db", help="finish pending updates, or print the tables")
    database.add_argument("action", choices=("apply", "schema"))
    database.add_argument("--job", default="", help="URL of a job in the store")
    database.add_argument("--store", default="", help="URL of the store (default: BATCHLAB_STORE)")
    database.add_argument("--json", action="store_true")
    demo = commands.add_parser("demo", help="serve the demo's photos")
    demo.add_argument("folder", nargs="?", default="")
    return parser


def _run(options: argparse.Namespace) -> int:
    gc.disable()  # what is imported stays: to look through it again and again is a tenth of the start
    from batchlab.settings import Settings
    from batchlab.shards import parse_phase, parse_shard
    from batchlab_processor import entrypoint, logs

    gc.freeze()
    gc.enable()
    environment = {**os.environ, **({"BATCHLAB_STORE": options.store} if options.store else {})}
    settings = Settings.from_environment(environment)
    phase = parse_phase(options.phase)
    json_logs = logs.configure(settings)
    return entrypoint.run(
        entrypoint.Call(
            job=options.job,
            settings=settings,
            as_json=options.json,
            quiet=options.quiet,
            dry_run=options.dry_run,
            phase=phase,
            shard=parse_shard(options.shard or (settings.batch_shard if phase == "work" else ""), phase),
            json_logs=json_logs,
            run=os.environ.get(supervisor.RUN, ""),
            crashed=os.environ.get(supervisor.CRASHED, ""),
            job_bits=int(os.environ.get(supervisor.JOB_BITS, "0"), 16),
        )
    )


def _types(options: argparse.Namespace) -> int:
    import json

    from batchlab_processor import registry

    found = [{"name": name, "summary": registry.job_type(name).summary} for name in registry.names()]
    lines = (
        json.dumps(found)
        if options.json
        else "\n".join(f"{each['name']}  {each['summary']}" for each in found)
    )
    sys.stdout.write(lines + "\n")
    return 0


def _database(options: argparse.Namespace) -> int:
    from batchlab.settings import Settings
    from batchlab_processor import pending

    if options.action == "schema":
        return pending.print_schema()
    environment = {**os.environ, **({"BATCHLAB_STORE": options.store} if options.store else {})}
    return pending.apply(options.job, Settings.from_environment(environment), as_json=options.json)


def _demo(options: argparse.Namespace) -> int:
    from batchlab_processor import demo

    if options.folder == "contact-sheets":
        from batchlab_processor.demo_marathon import main as serve_marathon

        return serve_marathon()
    return demo.main([options.folder] if options.folder else [])


_COMMANDS = {"run": _run, "types": _types, "db": _database, "demo": _demo}

if __name__ == "__main__":
    sys.exit(main())
