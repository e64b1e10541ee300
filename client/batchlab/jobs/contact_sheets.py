"""The params of contact-sheets: participants in, a printable sheet for each out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StrictBool, StrictInt, model_validator

from batchlab.jobs.base import JobParams
from batchlab.jobs.sheet_style import MOST_PHOTOS, SheetStyle, Template, template_fields
from batchlab.texts import Line, Reference
from batchlab.urls import SourceUrl

KEY_FIELDS = ("domain", "reference", "ext")
_MOST_REFERENCES = 100_000


def _key(template: str) -> str:
    strange = sorted(template_fields(template) - set(KEY_FIELDS))
    if strange:
        raise ValueError(
            f"{{{strange[0]}}} is no field of a key. There are {{domain}}, {{reference}}, {{ext}}."
        )
    if "reference" not in template_fields(template):
        raise ValueError("expected {reference} in it: every participant needs a key of their own.")
    parts = template.split("/")
    if "" in parts or "." in parts or ".." in parts or "\\" in template:
        raise ValueError("expected a path below the output, as in {domain}/{reference}/contact-sheet.{ext}.")
    return template


KeyTemplate = Annotated[Template, AfterValidator(_key)]
ParticipantRef = Annotated[Line, Field(min_length=1, max_length=200)]


class ContactSheetsParams(SheetStyle, JobParams):
    """Finds participants in a database or a manifest, and makes each a contact sheet below the document's output."""

    delivers: ClassVar[bool] = True
    previews: ClassVar[bool] = True

    domain: Annotated[
        Annotated[Line, Field(min_length=1, max_length=200)],
        Field(
            description="Which marathon: the key of its row, part of the sheets' keys and of their titles."
        ),
    ]
    database: Annotated[
        Reference | None,
        Field(description="The name of a database in the processor's configuration, where participants are."),
    ] = None
    query: Annotated[
        Reference | None,
        Field(
            description="The name of a query in the processor's configuration, for tables of one's own; "
            "when absent, those of docs/contact-sheets.md."
        ),
    ] = None
    manifest: Annotated[
        SourceUrl | None,
        Field(description="The URL of a list of participants, JSON or CSV, in place of a database."),
    ] = None
    photos: Annotated[
        SourceUrl | None,
        Field(
            description="The URL before keys of photos and logos that are no URLs, such as s3://bucket/uploads; "
            "when absent, the manifest's folder."
        ),
    ] = None
    logos: Annotated[
        tuple[SourceUrl, ...],
        Field(max_length=20, description="Sponsors' logos in place of those that database or manifest name."),
    ] = ()
    key: Annotated[
        KeyTemplate,
        Field(
            description="Where a sheet is delivered, below the output; further pages get -2, -3 before the ext."
        ),
    ] = "{domain}/{reference}/contact-sheet.{ext}"
    require_submissions: Annotated[
        StrictBool, Field(description="Leave out participants without any photo.")
    ] = True
    require_valid_photo_count: Annotated[
        StrictBool,
        Field(description="Leave out participants with another number of photos than those valid."),
    ] = True
    valid_photo_counts: Annotated[
        tuple[Annotated[StrictInt, Field(ge=1, le=MOST_PHOTOS)], ...],
        Field(min_length=1, max_length=20, description="Which numbers of photos are valid."),
    ] = (8, 24)
    exclude_existing_contact_sheets: Annotated[
        StrictBool,
        Field(
            description="Leave out participants whose row names a sheet; when false, theirs is made again if "
            "anything in it changed."
        ),
    ] = True
    limit_participants: Annotated[
        Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None,
        Field(description="Make sheets for so many participants at most; when absent, for all."),
    ] = None
    only_participant_refs: Annotated[
        tuple[ParticipantRef, ...] | None,
        Field(
            max_length=_MOST_REFERENCES,
            description="Make sheets for the participants with these references only; when absent, for all.",
        ),
    ] = None
    only_verified_participants: Annotated[
        StrictBool, Field(description="Leave out participants who are not verified.")
    ] = False

    @model_validator(mode="after")
    def _one_source(self) -> ContactSheetsParams:
        if (self.database is None) == (self.manifest is None):
            raise ValueError("name where participants are: either database or manifest.")
        if self.query is not None and self.database is None:
            raise ValueError("query: a query asks a database; name it, too.")
        return self

    def sources(self) -> Iterator[str]:
        yield from (url for url in (self.manifest, self.photos, *self.logos) if url is not None)

    @property
    def photos_root(self) -> str:
        """What keys of photos and logos are below; "" when nothing says so."""
        return self.photos or (self.manifest or "").rpartition("/")[0]

    def roots(self) -> tuple[str, ...]:
        return (f"{self.photos_root.rstrip('/')}/",) if self.photos_root else ()

    def style(self) -> SheetStyle:
        """The look alone, equal for two jobs whose sheets look the same."""
        return SheetStyle.model_validate({name: getattr(self, name) for name in SheetStyle.model_fields})
