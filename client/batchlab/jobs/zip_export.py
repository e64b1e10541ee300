"""The params of zip-export: photos in, one ZIP out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails

from batchlab.jobs.base import JobParams, ParamsModel
from batchlab.plain import quoted
from batchlab.problems import problem_at, problems_error
from batchlab.sizes import MIB, ByteSize
from batchlab.texts import Line, Reference, Sha256, file_name_problem
from batchlab.urls import PrefixUrl, SourceUrl

MOST_ITEMS = 100_000  # in one document; beyond it a manifest is quicker to send and to check
_EXPECTED_MOMENT = 'expected a moment such as "2026-06-06T14:30:00+02:00"'


def _moment(value: Any) -> datetime:
    """A moment with or without a zone; its wall time is kept, because a ZIP shows wall time."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(_EXPECTED_MOMENT) from None
    if not isinstance(moment, datetime) or (isinstance(value, str) and len(value) < len("2026-06-06T14:30")):
        raise ValueError(_EXPECTED_MOMENT)
    if not 1800 <= moment.year < 2200:
        raise ValueError(f"the year {moment.year} is out of range: 1800 to 2199")
    return moment


def _identifier(value: Any) -> Any:
    """Databases number their photos."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    PlainSerializer(datetime.isoformat, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
ItemId = Annotated[
    Annotated[Line, Field(min_length=1, max_length=200)],
    BeforeValidator(_identifier),
    WithJsonSchema({"type": ["string", "integer"], "minLength": 1, "maxLength": 200}),
]


class ItemSpec(ParamsModel):
    """One photo. A bare URL is read as an item with nothing but its url."""

    url: Annotated[SourceUrl, Field(description="Where the photo is read from.")]
    name: Annotated[
        Annotated[StrictStr, Field(min_length=1, max_length=1_000)] | None,
        Field(description="Its name in the ZIP, folders allowed; when absent, the last part of the URL."),
    ] = None
    id: Annotated[
        ItemId | None,
        Field(description="Its stable name in reports and retries; when absent, its position in the list."),
    ] = None
    size: Annotated[
        Annotated[StrictInt, Field(ge=0, le=2**53 - 1)] | None,
        Field(description="Its bytes, when known; they make the progress exact from the start."),
    ] = None
    taken_at: Annotated[
        Moment | None, Field(description="Its date in the ZIP; when absent, the source's.")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [described["properties"]["url"], described]}


class Manifest(ParamsModel):
    """A long list kept in a file: JSON, JSONL or CSV, compressed or not."""

    manifest: Annotated[SourceUrl, Field(description="Where the list is read from.")]
    sha256: Annotated[
        Sha256 | None, Field(description="Its SHA-256 in hex; another content fails the job.")
    ] = None
    count: Annotated[
        Annotated[StrictInt, Field(ge=1, le=100_000_000)] | None,
        Field(description="How many items it holds; another count fails the job."),
    ] = None


class Prefix(ParamsModel):
    """Every object in a folder and below it."""

    prefix: Annotated[PrefixUrl, Field(description="The URL of the folder.")]


def _kind_of(value: Any) -> str:
    if isinstance(value, Manifest) or (isinstance(value, dict) and "manifest" in value):
        return "Manifest"
    if isinstance(value, Prefix) or (isinstance(value, dict) and "prefix" in value):
        return "Prefix"
    return "ItemSpec"


ItemEntry = Annotated[
    Annotated[ItemSpec, Tag("ItemSpec")]
    | Annotated[Manifest, Tag("Manifest")]
    | Annotated[Prefix, Tag("Prefix")],
    Discriminator(_kind_of),
]


def position_key(position: int, count: int) -> str:
    """The key of an item without an id: its position from 0 in the whole list, as wide as the last one's.

    0017 of 5,000 photos.
    """
    return str(position).zfill(len(str(max(count - 1, 0))))


class ZipExportParams(JobParams):
    """Reads photos and delivers them as one ZIP below the document's output."""

    delivers: ClassVar[bool] = True

    items: Annotated[
        tuple[ItemEntry, ...],
        Field(
            min_length=1,
            max_length=MOST_ITEMS,
            description="The photos: URLs, {url, name?, id?, size?, takenAt?}, "
            "{manifest, sha256?, count?} or {prefix}.",
        ),
    ]
    name: Annotated[
        StrictStr,
        Field(
            max_length=200, description="The ZIP's file name; it ends in .zip.", pattern=r"\.[zZ][iI][pP]$"
        ),
    ] = "album.zip"
    compress: Annotated[
        Literal["never", "text"],
        Field(description="never: stored as they are, which is right for photos; text: deflate text files."),
    ] = "never"
    password_ref: Annotated[
        Reference | None,
        Field(
            description="The name of a password in the processor's configuration; the ZIP is AES-encrypted."
        ),
    ] = None
    dates: Annotated[
        Literal["source"], Field(description="Where dates come from: the item's takenAt, else the source's.")
    ] = "source"
    sink: Annotated[
        Literal["auto", "planned", "streaming"],
        Field(description="How the ZIP is written; auto takes the best there is."),
    ] = "auto"

    max_archive_bytes: Annotated[
        Annotated[ByteSize, Field(ge=MIB)] | None,
        Field(
            description='The longest a ZIP may be, such as "4 GB"; more photos make album-1.zip, album-2.zip and '
            "so on, each of which opens alone."
        ),
    ] = None
    reuse: Annotated[
        StrictBool,
        Field(
            description="Deliver the ZIP that an earlier job made of the very same photos, if it is still there."
        ),
    ] = False

    def sources(self) -> Iterator[str]:
        for item in self.items:
            match item:
                case ItemSpec():
                    yield item.url
                case Manifest():
                    yield item.manifest
                case Prefix():
                    yield item.prefix

    def divisible(self) -> bool:
        """The streaming sink writes one ZIP from its first byte to its last, on one machine."""
        return self.sink != "streaming" and not self.needs_streaming()

    def needs_streaming(self) -> bool:
        """Whether members have lengths that nobody knows before they are packed."""
        return self.compress != "never" or self.password_ref is not None

    @model_validator(mode="after")
    def _planned_where_needed(self) -> Self:
        needs = [
            name
            for name, asked in (("max_archive_bytes", self.max_archive_bytes), ("reuse", self.reuse))
            if asked
        ]
        if needs and not self.divisible():
            raise ValueError(
                f"{needs[0]} needs a ZIP whose length is known beforehand: leave out compress, passwordRef and "
                "sink: streaming"
            )
        return self

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        problem = file_name_problem(name)
        if problem:
            raise ValueError(problem)
        return name

    @field_validator("items", mode="wrap")
    @classmethod
    def _unique(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, list | tuple) and len(value) > MOST_ITEMS:
            raise ValueError(f"holds {len(value):,} items, at most {MOST_ITEMS:,}. Put them into a manifest.")
        repeated = list(_repeated_keys(value)) if isinstance(value, list | tuple) else []
        try:
            items = handler(value)
        except ValidationError as error:
            raise problems_error("items", repeated, error) from None
        if repeated:
            raise problems_error("items", repeated)
        return items


def _repeated_keys(items: list[Any] | tuple[Any, ...]) -> Iterator[InitErrorDetails]:
    """A problem for each key that two items have, whether the id is written or comes from the position."""
    first: dict[str, int] = {}
    all_here = all(_kind_of(item) == "ItemSpec" for item in items)  # else the plan counts what lists hold
    for position, item in enumerate(items):
        given = _identifier(item.get("id") if isinstance(item, dict) else getattr(item, "id", None))
        if not (isinstance(given, str) and given):
            if not all_here:
                continue
            given = None
        key = given or position_key(position, len(items))
        earlier = first.setdefault(key, position)
        if earlier != position:
            place: tuple[str | int, ...] = (position, "id") if given else (position,)
            yield problem_at(
                place, f"{quoted(key)} is already the key of items[{earlier}]. Give each its own id.", given
            )
