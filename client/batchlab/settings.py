"""Every setting, read from the environment in this one place; docs/settings.md says what each is for.

Lists that are unset allow nothing. Secrets are read when they are asked for and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchlab.errors import UsageError
from batchlab.kinds import ItemError
from batchlab.locations import locate
from batchlab.named import SECRET_VARIABLES, NamedEntries, read_entries
from batchlab.nearest import nearest
from batchlab.roots import parse_host, parse_path_root

PREFIX = "BATCHLAB_"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("json", "plain")
LANGUAGES = ("en", "de")
# of the tests, of the stack (batchlab_infra.settings) and of named entries: no settings of a process that handles jobs
_OTHERS = ("BATCHLAB_TEST_", "BATCHLAB_STACK_", *SECRET_VARIABLES.values())
STORE_SCHEMES = ("file", "s3", "r2", "gs", "memory")
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Settings:
    """What this process was told by its environment; `Settings()` is one that was told nothing."""

    store: str = ""  # URL of the store, without a trailing slash; "" only in Settings()
    url: str = ""  # where the client finds its backend
    source_roots: tuple[str, ...] = ()  # normalised s3://, r2://, gs:// prefixes
    output_roots: tuple[str, ...] = ()  # the same, and file:// directories
    http_hosts: tuple[str, ...] = ()  # example.com, example.com:8443, *.example.com
    job_types: tuple[str, ...] = ()
    allow_local: bool = False  # listed hosts may be loopback and plain http
    log_level: str = "info"  # one of LOG_LEVELS
    log_format: str = ""  # one of LOG_FORMATS; "": JSON in AWS Batch, else plain
    pages_root: str = ""  # URL under which customers' pages live; "": the store
    public_base_url: str = ""  # https address under which /s and /d are served, without a trailing slash
    token: str = field(default="", repr=False)  # what callers of the endpoint show; "": none is asked for
    webhook_hosts: tuple[str, ...] = ()  # as http_hosts: who may be told of a job's end
    webhook_secret: str = field(default="", repr=False)  # signs where a target names no secret of its own
    mail_from: str = ""  # the sender of e-mails; "": none is sent
    smtp_url: str = field(default="", repr=False)  # smtp[s]://user:password@host:port; "": Amazon SES
    contact: str = ""  # whom customers ask: an e-mail address or an https URL; stands on page and e-mails
    language: str = "en"  # one of LANGUAGES, for documents that name none
    config: str = ""  # path of the file with named entries
    named: NamedEntries = field(default_factory=NamedEntries, repr=False)

    r2_endpoint: str = ""
    r2_access_key: str = field(default="", repr=False)
    r2_secret_key: str = field(default="", repr=False)
    r2_bucket: str = ""
    s3_endpoint: str = ""
    aws_access_key: str = field(default="", repr=False)  # "": boto3 looks where it looks
    aws_secret_key: str = field(default="", repr=False)
    aws_session_token: str = field(default="", repr=False)
    aws_region: str = ""
    aws_ca_bundle: str = ""  # path of the certificates that s3:// and r2:// trust; "": this machine's
    google_credentials: str = field(default="", repr=False)  # path or JSON of a service account

    job_queue: str = ""  # where the dispatcher submits: names or ARNs of AWS Batch
    express_job_queue: str = ""
    job_definition: str = ""
    intake_queue_url: str = ""  # the SQS queue that submitted jobs come by

    batch_job_id: str = ""  # AWS Batch's own id; "" outside of Batch
    batch_attempt: int = 0  # from 1; 0 outside of Batch
    batch_array_index: int | None = None  # from 0; None when this is no child of an array job
    batch_array_size: int | None = None
    batch_queue: str = ""
    ecs_metadata: str = ""  # the container agent's endpoint, "" outside of ECS and Batch
    no_color: bool = False

    warnings: tuple[str, ...] = ()  # one line each: variables of ours that nobody reads

    @property
    def in_batch(self) -> bool:
        return bool(self.batch_job_id)

    @property
    def batch_shard(self) -> str:
        """The shard that is this child's in an array job, such as "3/7"; "" elsewhere."""
        if self.batch_array_index is None or self.batch_array_size is None:
            return ""
        return f"{self.batch_array_index + 1}/{self.batch_array_size}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """The settings in `environ`; raises UsageError with one line for every bad value."""
        values: dict[str, Any] = {"store": default_store(environ), "named": NamedEntries(environ=environ)}
        problems: list[str] = []
        for variable in VARIABLES:
            text = next((environ[name] for name in variable.names if environ.get(name, "").strip()), None)
            if text is None:
                continue
            try:
                values[variable.field] = variable.read(text.strip())
            except ValueError as error:
                problems += [f"{variable.names[0]}: {line}" for line in str(error).splitlines()]
        if "config" in values:
            try:
                values["named"] = read_entries(Path(values["config"]), environ)
            except ValueError as error:
                problems += [f"BATCHLAB_CONFIG: {line}" for line in str(error).splitlines()]
        if problems:
            raise UsageError("\n".join(problems))
        return cls(**values, warnings=_strangers(environ))

    def password(self, name: str) -> str:
        """The password named `name` in the configuration; raises ItemError(validation) saying what to add."""
        return self.named.secret("passwords", name)


def default_store(environ: Mapping[str, str]) -> str:
    """Where jobs of this user live when nobody says otherwise."""
    home = environ.get("HOME") or str(Path.home())
    state = environ.get("XDG_STATE_HOME", "")
    base = (
        Path(state) if state.startswith("/") else Path(home, ".local", "state")
    )  # XDG: relative ones are ignored
    return (base / "batchlab").as_uri()


@dataclass(frozen=True)
class Variable:
    """How one setting is found and read."""

    field: str
    names: tuple[str, ...]  # environment variables; the first that is set counts
    read: Callable[[str], Any]  # raises ValueError, a line for each problem


def _texts(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _each(parse: Callable[[str], str]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        parsed, problems = [], []
        for entry in _texts(text):
            try:
                parsed.append(parse(entry))
            except ValueError as error:
                problems.append(f"{entry}: {error}" if entry not in str(error) else str(error))
        if problems:
            raise ValueError("\n".join(problems))
        return tuple(dict.fromkeys(parsed))

    return read


def _source_root(text: str) -> str:
    root = parse_path_root(text)
    if root.startswith("file:"):
        raise ValueError("file:// is never a source of a submitted job; upload it to s3://, r2:// or gs://")
    return root


def _store(text: str) -> str:
    try:
        place = locate(Path(text).as_uri() if text.startswith("/") else text)
    except ItemError as error:
        raise ValueError(error.message) from error
    if place.scheme not in STORE_SCHEMES:
        raise ValueError(f"{place.scheme}:// keeps no jobs; use file:///directory or s3://bucket/prefix")
    return place.url.rstrip("/")


def _endpoint(text: str) -> str:
    if not text.startswith(("https://", "http://")):
        raise ValueError("an endpoint is written https://host")
    return text.rstrip("/")


def _public_url(text: str) -> str:
    if not re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)\b)[^\s?#]+", text):
        raise ValueError("an address that customers open is written https://host, without ? and #")
    return text.rstrip("/")


def _smtp(text: str) -> str:
    if not re.fullmatch(r"smtps?://([^\s@/]+@)?[^\s@/]+/?", text):
        raise ValueError("a mail server is written smtp://user:password@host:587, or smtps://")
    return text.rstrip("/")


def _mail_address(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", text):
        raise ValueError("one e-mail address, such as photos@example.com")
    return text


def _contact(text: str) -> str:
    return text if text.startswith("https://") else _mail_address(text)


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in known:
            raise ValueError(f"{text!r} is none of {', '.join(known)}")
        return text.lower()

    return read


def _flag(text: str) -> bool:
    if text.lower() not in _YES + _NO:
        raise ValueError(f"{text!r} is neither yes nor no; write 1 or 0")
    return text.lower() in _YES


def _level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"{text!r} is no level; use one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _format(text: str) -> str:
    if text.lower() not in LOG_FORMATS:
        raise ValueError(f"{text!r} is no format; use one of {', '.join(LOG_FORMATS)}")
    return text.lower()


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


VARIABLES = (
    Variable("store", ("BATCHLAB_STORE",), _store),
    Variable("url", ("BATCHLAB_URL",), str),
    Variable("source_roots", ("BATCHLAB_SOURCE_ROOTS",), _each(_source_root)),
    Variable("output_roots", ("BATCHLAB_OUTPUT_ROOTS",), _each(parse_path_root)),
    Variable("http_hosts", ("BATCHLAB_HTTP_HOSTS",), _each(parse_host)),
    Variable("job_types", ("BATCHLAB_JOB_TYPES",), _texts),
    Variable("allow_local", ("BATCHLAB_ALLOW_LOCAL",), _flag),
    Variable("log_level", ("BATCHLAB_LOG_LEVEL",), _level),
    Variable("log_format", ("BATCHLAB_LOG_FORMAT",), _format),
    Variable("pages_root", ("BATCHLAB_PAGES_ROOT",), _store),
    Variable("public_base_url", ("BATCHLAB_PUBLIC_BASE_URL",), _public_url),
    Variable("token", ("BATCHLAB_TOKEN",), str),
    Variable("webhook_hosts", ("BATCHLAB_WEBHOOK_HOSTS",), _each(parse_host)),
    Variable("webhook_secret", ("BATCHLAB_WEBHOOK_SECRET",), str),
    Variable("mail_from", ("BATCHLAB_MAIL_FROM",), _mail_address),
    Variable("smtp_url", ("BATCHLAB_SMTP_URL",), _smtp),
    Variable("contact", ("BATCHLAB_CONTACT",), _contact),
    Variable("language", ("BATCHLAB_LANGUAGE",), _one_of(LANGUAGES)),
    Variable("config", ("BATCHLAB_CONFIG",), str),
    Variable("r2_endpoint", ("R2_ENDPOINT",), _endpoint),
    Variable("r2_access_key", ("R2_ACCESS_KEY",), str),
    Variable("r2_secret_key", ("R2_SECRET_KEY",), str),
    Variable("r2_bucket", ("R2_BUCKET",), str),
    Variable("s3_endpoint", ("S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), _endpoint),
    Variable("aws_access_key", ("AWS_ACCESS_KEY_ID",), str),
    Variable("aws_secret_key", ("AWS_SECRET_ACCESS_KEY",), str),
    Variable("aws_session_token", ("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"), str),
    Variable("aws_region", ("AWS_DEFAULT_REGION", "AWS_REGION"), str),  # boto3 reads the first
    Variable("aws_ca_bundle", ("AWS_CA_BUNDLE",), str),
    Variable("google_credentials", ("FIREBASE_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS"), str),
    Variable("job_queue", ("BATCHLAB_JOB_QUEUE",), str),
    Variable("express_job_queue", ("BATCHLAB_EXPRESS_JOB_QUEUE",), str),
    Variable("job_definition", ("BATCHLAB_JOB_DEFINITION",), str),
    Variable("intake_queue_url", ("BATCHLAB_INTAKE_QUEUE_URL",), str),
    Variable("batch_job_id", ("AWS_BATCH_JOB_ID",), str),
    Variable("batch_attempt", ("AWS_BATCH_JOB_ATTEMPT",), _count),
    Variable("batch_array_index", ("AWS_BATCH_JOB_ARRAY_INDEX",), _count),
    # Source: AWS Batch User Guide, "AWS Batch job environment variables": the size of the parent array job.
    Variable("batch_array_size", ("AWS_BATCH_JOB_ARRAY_SIZE",), _count),
    Variable("batch_queue", ("AWS_BATCH_JQ_NAME",), str),
    Variable("ecs_metadata", ("ECS_CONTAINER_METADATA_URI_V4",), str),
    Variable("no_color", ("NO_COLOR",), bool),
)


def _strangers(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = [name for variable in VARIABLES for name in variable.names if name.startswith(PREFIX)]
    lines = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_OTHERS):
            near = nearest(name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known])
            guess = f" Did you mean {PREFIX}{near}?" if near else ""
            lines.append(f"{name} is no setting and has no effect.{guess}")
    return tuple(lines)
