"""Job documents with names that an editor completes: one class for each job type that is submitted by hand.

ZipExport(items=["https://example.com/1.jpg"], output="s3://bucket/exports", title="Ana & Ben")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, ClassVar

from batchlab.document import JobDocument, load_document
from batchlab.jobs.sheet_style import SheetStyle
from batchlab.jobs.zip_export import ItemSpec, Manifest, Prefix
from batchlab.limits import Limits, Resources
from batchlab.targets import EmailTarget, WebhookTarget


@dataclass(frozen=True, kw_only=True)
class TypedDocument:
    """What every job has; None leaves a field out. Raises DocumentError with everything that is wrong."""

    type: ClassVar[str]

    title: str = ""
    limits: Limits | Mapping[str, Any] | None = None
    resources: Resources | Mapping[str, Any] | None = None
    shards: int = 1
    expires: str | timedelta | None = None  # "7d"
    notify: Sequence[Mapping[str, Any] | EmailTarget | WebhookTarget] = ()
    language: str | None = None  # en or de
    tags: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str | None = None
    id: str | None = None

    document: JobDocument = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        common = {each.name for each in fields(TypedDocument)} - {"document"}
        given = {
            each.name: value
            for each in fields(self)
            if each.init and (value := getattr(self, each.name)) is not None
        }
        body = {"type": self.type, "params": self._params(given, common)}
        body |= {name: given[name] for name in given if name in common or name == "output"}
        object.__setattr__(self, "document", load_document(body))

    def _params(self, given: dict[str, Any], common: set[str]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if name not in common and name != "output"}


@dataclass(frozen=True, kw_only=True)
class ZipExport(TypedDocument):
    """Photos become one ZIP below `output`. docs/zip-export.md says what each field does."""

    type: ClassVar[str] = "zip-export"

    items: Sequence[str | Mapping[str, Any] | ItemSpec | Manifest | Prefix]
    output: str  # the URL of a prefix
    name: str = "album.zip"
    compress: str | None = None
    password_ref: str | None = None
    sink: str | None = None
    max_archive_bytes: int | str | None = None  # "4 GB"
    reuse: bool | None = None


@dataclass(frozen=True, kw_only=True)
class ContactSheets(TypedDocument):
    """Participants of a photo marathon become contact sheets below `output`. See docs/contact-sheets.md."""

    type: ClassVar[str] = "contact-sheets"

    domain: str
    output: str
    database: str | None = None  # or manifest
    query: str | None = None
    manifest: str | None = None
    photos: str | None = None
    logos: Sequence[str] | None = None
    key: str | None = None
    require_submissions: bool | None = None
    require_valid_photo_count: bool | None = None
    valid_photo_counts: Sequence[int] | None = None
    exclude_existing_contact_sheets: bool | None = None
    limit_participants: int | None = None
    only_participant_refs: Sequence[str] | None = None
    only_verified_participants: bool | None = None
    style: SheetStyle | Mapping[str, Any] | None = None  # paper, layout, title of the sheets, ...

    def _params(self, given: dict[str, Any], common: set[str]) -> dict[str, Any]:
        params = super()._params(given, common)
        style = params.pop("style", {})
        look = style.model_dump(mode="json", exclude_unset=True) if isinstance(style, SheetStyle) else style
        return {**params, **look}


@dataclass(frozen=True, kw_only=True)
class SelfTest(TypedDocument):
    """Checks of the place where jobs run; nothing is delivered."""

    type: ClassVar[str] = "self-test"

    network: bool | None = None
    url: str | None = None
