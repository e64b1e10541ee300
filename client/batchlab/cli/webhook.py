"""The commands of webhook: for whoever builds the receiver of a job's end, or wants it told once more."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from batchlab.cli.options import JobArgument, JsonOption, StoreOption, settings_of

app = typer.Typer(rich_markup_mode=None)

SecretOption = Annotated[
    str,
    typer.Option(
        "--secret",
        metavar="SECRET",
        help="What they are signed with, whsec_... [default: BATCHLAB_WEBHOOK_SECRET].",
        show_default=False,
    ),
]


@app.callback()
def webhook() -> None:
    """Receive, check and repeat the webhooks that tell of a job's end.

    \b
    Examples:
      batchlab webhook listen
      batchlab webhook verify request.txt
      batchlab webhook replay latest
    """


@app.command("listen")
def listen(
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="0: any free one.", min=0, max=65535)
    ] = 8899,
    secret: SecretOption = "",
    count: Annotated[
        int | None,
        typer.Option("--count", metavar="N", help="End after N genuine ones.", min=1, show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Receive webhooks on this machine and print the genuine ones.

    For development: it listens on 127.0.0.1 only, until Ctrl-C. With --json one event in each line. A request whose
    signature is wrong or old is answered 401, and stderr says why.

    \b
    Examples:
      batchlab webhook listen
      batchlab webhook listen --port 9000 --secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
      batchlab webhook listen --count 1 --json | jq -r .data.state
    """
    from batchlab.cli.listener import Listener, event_line
    from batchlab.streams import say

    with Listener(port, _secret(secret)) as listener:
        received = 0
        try:
            say(f"Listening on {listener.url} until Ctrl-C. Where jobs run, set BATCHLAB_ALLOW_LOCAL=1 and")
            say(
                f'BATCHLAB_WEBHOOK_HOSTS={listener.host}; in documents: notify: [{{webhook: "{listener.url}"}}]'
            )
            for event, again in listener.events():
                typer.echo(event.model_dump_json() if as_json else event_line(event, again=again))
                received += 1
                if received == count:
                    return
        except KeyboardInterrupt:
            say(f"{received} received.")


@app.command("verify")
def verify(
    file: Annotated[str, typer.Argument(metavar="FILE", hidden=True)],
    headers: Annotated[
        str,
        typer.Option(
            "--headers",
            metavar="FILE",
            help="Its headers, a line each, when FILE holds the body alone.",
            show_default=False,
        ),
    ] = "",
    secret: SecretOption = "",
    any_age: Annotated[bool, typer.Option("--any-age", help="Take it however long ago it was sent.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say whether a saved request is a genuine webhook.

    FILE is the request as it came (headers, an empty line, the body), or - for stdin. With --headers it is the body
    alone, byte by byte: one that was parsed and written again is another text.

    \b
    Examples:
      batchlab webhook verify request.txt --any-age
      batchlab webhook verify body.json --headers headers.txt --any-age --json

    Exit code: 0 when it is genuine, 6 when it is not, and why.
    """
    from batchlab.cli.listener import event_line
    from batchlab.cli.saved_requests import read_request
    from batchlab.webhooks import read_event, unwrap
    from batchlab.webhooks import verify as verified

    given, body = read_request(file, headers)
    key = _secret(secret)
    message_id, sent_at = verified(body, given, key)
    event = read_event(body, message_id) if any_age else unwrap(body, given, key)
    if as_json:
        typer.echo(event.model_dump_json())
    else:
        typer.echo(f"Genuine, signed at {sent_at:%Y-%m-%d %H:%M:%S} UTC, {message_id}")
        typer.echo(event_line(event))


@app.command("replay")
def replay(job: JobArgument, store: StoreOption = "", as_json: JsonOption = False) -> int:
    """Send the notifications of a job's end once more.

    ID is the job's id, an unmistakable beginning of it, or latest. Webhooks and e-mails go to every
    target of the job's document that wanted this end, those given up included. Each webhook keeps its webhook-id, so a
    receiver that has it already can tell. With BATCHLAB_URL=https://... the endpoint has them sent within a minute,
    else this machine sends them, with the secrets and the sender of its own settings.

    \b
    Examples:
      batchlab webhook replay latest
      batchlab webhook replay 01kax4 --store s3://my-bucket/jobs --json

    Exit code: 0 all were sent or handed to the endpoint, 1 some did not get through.
    """
    import json

    from batchlab.cli.replaying import replay_at_endpoint, replay_from_store

    settings = settings_of(store)
    settings = dataclasses.replace(settings, url="") if store else settings  # what is typed counts
    remote = settings.url.startswith(("https://", "http://"))
    done = replay_at_endpoint(job, settings) if remote else replay_from_store(job, settings)
    typer.echo(json.dumps(done.as_json(), indent=2, ensure_ascii=False) if as_json else done.as_text())
    return 1 if done.unsent else 0


def _secret(typed: str) -> str:
    """The secret that counts. Raises UsageError when there is none, or it cannot be one."""
    from batchlab.errors import UsageError
    from batchlab.webhooks import keys

    secret = typed or settings_of().webhook_secret
    if not secret:
        raise UsageError("Which secret? Set BATCHLAB_WEBHOOK_SECRET, or give --secret whsec_...")
    keys(secret)
    return secret
