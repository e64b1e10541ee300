"""The job document: everything a job is, the same in Python, JSON, YAML and object storage.

`load_document` is the way in for what people and programs wrote: it says all that is wrong at once, in
one clear line each. What a job may touch is decided later and elsewhere, by the authority.
"""

from __future__ import annotations

import builtins
import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, Literal, TypeVar, cast
from urllib.parse import quote

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from batchlab.durations import Duration
from batchlab.errors import DocumentError
from batchlab.ids import ID_PATTERN, new_id
from batchlab.jobs import known_types, params_model
from batchlab.limits import Limits, Resources
from batchlab.nearest import did_you_mean
from batchlab.plain import plain, quoted
from batchlab.problems import problem_at, problems_error, problems_of
from batchlab.reading import read_text
from batchlab.targets import EmailTarget, NotifyTarget
from batchlab.texts import Line, is_line
from batchlab.urls import OutputUrl

__all__ = ["JobDocument", "Limits", "Resources", "Types", "canonical", "digest", "load_document"]

P = TypeVar("P", bound=BaseModel)

TYPE_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
Types = Mapping[str, type[BaseModel] | None]  # installed job types and their params; None: not checked

_MOST_EMAILS = 5
_TAG_BYTES = 40
_TAGS_BYTES = (
    800  # percent-encoded, all together: they stand in a key of the index, and S3's keys end at 1,024
)


class JobDocument(BaseModel):
    """One job. Made in Python directly, or read by `load_document`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Annotated[Literal[1], Field(description="The version of this format: 1.")] = 1
    id: Annotated[
        StrictStr,
        Field(
            default_factory=new_id,
            pattern=ID_PATTERN,
            description="A ULID in lower case; when absent, one is made.",
        ),
    ]
    type: Annotated[
        StrictStr, Field(max_length=40, pattern=TYPE_PATTERN, description="The job type, such as zip-export.")
    ]
    title: Annotated[
        Annotated[Line, Field(max_length=200)],
        Field(description="What people call the job; it stands on the customer's page."),
    ] = ""
    params: Annotated[
        dict[str, Any], Field(description="What the job type is to do; its own params say more.")
    ] = {}
    output: Annotated[
        OutputUrl | None,
        Field(
            validate_default=True,
            description="The URL of a prefix, such as s3://bucket/exports; the job delivers below it.",
        ),
    ] = None
    limits: Annotated[Limits, Field(description="How much the job may do at once.")] = Limits()
    resources: Annotated[Resources, Field(description="What the job asks of AWS Batch.")] = Resources()
    shards: Annotated[StrictInt, Field(ge=1, le=10_000, description="Machines that share the items.")] = 1
    expires: Annotated[
        Duration | None,
        Field(description='How long what was delivered is kept, such as "7d", counted from delivery.'),
    ] = None
    notify: Annotated[
        tuple[NotifyTarget, ...],
        Field(
            max_length=10,
            description="Who is told of the end: {webhook, secret_ref?} or {email}, at most 10.",
        ),
    ] = ()
    language: Annotated[
        Literal["en", "de"] | None,
        Field(
            description="What the customer's page and e-mails are written in; when absent, BATCHLAB_LANGUAGE."
        ),
    ] = None
    tags: Annotated[
        dict[StrictStr, StrictStr],
        Field(
            max_length=5,
            description="Words to find the job by: at most 5, names and values of at most 40 bytes.",
        ),
    ] = {}
    idempotency_key: Annotated[
        Annotated[Line, Field(min_length=1, max_length=255)] | None,
        Field(description="Two submissions with one key are one job."),
    ] = None

    @cached_property
    def typed_params(self) -> Any:
        """The params as their type's model; raises DocumentError when that type is not installed here."""
        model = params_model(self.type)
        if model is None:
            raise DocumentError(f"type: {_unknown_type(self.type, known_types())}")
        return model.model_validate(self.params)

    def params_as(self, model: builtins.type[P]) -> P:
        """The params as `model`, looked through once when that is their type's. Raises ValidationError."""
        return (
            cast("P", self.typed_params)
            if params_model(self.type) is model
            else model.model_validate(self.params)
        )

    def as_json(self) -> dict[str, Any]:
        """The document as JSON values, without what is at its default."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        return {"version": self.version, "id": self.id, **fields}

    @field_validator("type")
    @classmethod
    def _installed(cls, name: str, info: ValidationInfo) -> str:
        types = _types_of(info)
        if types is not None and name not in types:
            raise PydanticCustomError("batchlab", "{message}", {"message": _unknown_type(name, tuple(types))})
        return name

    @field_validator("params", mode="before")
    @classmethod
    def _plain(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(info.context, Mapping) and info.context.get("plain"):
            return value
        problems: list[str] = []
        copied = plain(value, problems, "params")
        if problems:
            raise ValueError("; ".join(problems[:3]))
        return copied

    @field_validator("params")
    @classmethod
    def _as_the_type_wants(cls, params: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        model = _model_of(info)
        if model is not None:
            model.model_validate(params)
        return params

    @field_validator("output")
    @classmethod
    def _delivered_somewhere(cls, output: str | None, info: ValidationInfo) -> str | None:
        if output is None and getattr(_model_of(info), "delivers", False):
            raise ValueError(
                f"missing. {info.data['type']} delivers files: name their prefix, as in s3://bucket/exports."
            )
        return output

    @field_validator("shards")
    @classmethod
    def _divided(cls, shards: int, info: ValidationInfo) -> int:
        model = _model_of(info)
        if shards > 1 and model is not None and "params" in info.data:
            divisible = getattr(model.model_validate(info.data["params"]), "divisible", None)
            if divisible is not None and not divisible():
                raise ValueError(f"this {info.data['type']} job runs on one machine. Leave shards out.")
        return shards

    @field_validator("notify")
    @classmethod
    def _few_emails(cls, targets: tuple[NotifyTarget, ...]) -> tuple[NotifyTarget, ...]:
        emails = sum(isinstance(target, EmailTarget) for target in targets)
        if emails > _MOST_EMAILS:
            raise ValueError(f"names {emails} e-mail addresses, at most {_MOST_EMAILS} are told.")
        return targets

    @field_validator("tags")
    @classmethod
    def _short_tags(cls, tags: dict[str, str]) -> dict[str, str]:
        wrong = []
        for name, value in tags.items():
            if not name:
                wrong.append(problem_at((name,), "the name of a tag is empty."))
            for what, text in (("name", name), ("value", value)):
                if len(text.encode()) > _TAG_BYTES or not is_line(text):
                    wrong.append(
                        problem_at((name,), f"the {what} of a tag is one line of at most {_TAG_BYTES} bytes.")
                    )
        if wrong:
            raise problems_error("tags", wrong)
        encoded = sum(len(quote(text, safe="")) + 1 for pair in tags.items() for text in pair)
        if encoded > _TAGS_BYTES:
            raise ValueError(
                f"percent-encoded they take {encoded} bytes, at most {_TAGS_BYTES}. Shorten them."
            )
        return tags


def load_document(
    source: str | bytes | Mapping[str, Any], *, name: str = "document", types: Types | None = None
) -> JobDocument:
    """The document that `source` spells: JSON or YAML text, or a mapping.

    `name` stands in messages about the text itself, such as "job.yaml:3:7: ...". `types` are the installed
    job types; unless given, those of `batchlab.jobs`. Raises DocumentError with everything that is wrong.
    """
    values = read_text(source, name) if isinstance(source, str | bytes) else source
    problems: list[str] = []
    values = plain(values, problems, name)
    if problems:
        raise DocumentError(problems)
    if not isinstance(values, dict):
        raise DocumentError(
            f"{name}: expected a job document, an object with the fields type, params and output."
        )
    installed = types if types is not None else _Installed()
    try:
        return JobDocument.model_validate(values, context={"types": installed, "plain": True})
    except ValidationError as error:
        type_name = values.get("type")
        model = installed.get(type_name) if isinstance(type_name, str) else None
        inner = {"params": model} if model else {}
        raise DocumentError(problems_of(error, JobDocument, inner, name)) from None


def canonical(document: JobDocument) -> bytes:
    """The document as the same bytes however it was spelt: JSON with sorted keys, without id, key and defaults."""
    fields = document.model_dump(mode="json", exclude={"id", "idempotency_key"}, exclude_defaults=True)
    model = params_model(document.type)
    if model is not None:
        with suppress(ValidationError):  # read by a door that does not know the type: as it was written
            typed = model.model_validate(document.params)
            fields["params"] = typed.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    fields["version"] = document.version
    text = json.dumps(_one_spelling(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest(document: JobDocument) -> str:
    """The SHA-256 of the canonical document, in hex: equal for two documents that ask for the same."""
    return hashlib.sha256(canonical(document)).hexdigest()


def _one_spelling(value: Any) -> Any:
    """2.0 as 2, because JavaScript writes it so."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _one_spelling(part) for name, part in value.items()}
    return [_one_spelling(part) for part in value] if isinstance(value, list) else value


class _Installed(dict[str, type[BaseModel] | None]):
    """The job types of this environment; a model is imported when it is asked for."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(known_types()))

    def get(self, name: str, default: Any = None) -> Any:
        return params_model(name) or default


def _types_of(info: ValidationInfo) -> Types | None:
    types: Types | None = info.context.get("types") if isinstance(info.context, Mapping) else None
    return types


def _model_of(info: ValidationInfo) -> type[BaseModel] | None:
    name = info.data.get("type")
    types = _types_of(info)
    if name is None:
        return None
    return types.get(name) if types is not None else params_model(name)


def _unknown_type(name: str, known: tuple[str, ...]) -> str:
    return f"no job type {quoted(name)}.{did_you_mean(name, known)} Installed: {', '.join(sorted(known)) or 'none'}."
