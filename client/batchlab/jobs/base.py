"""What the params of every built-in job type have in common; strangers' may build on it too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


def _both_spellings(name: str) -> str | AliasChoices:
    """Workers write takenAt, Python writes taken_at."""
    camel = to_camel(name)
    return name if camel == name else AliasChoices(name, camel)


class ParamsModel(BaseModel):
    """Frozen, without unknown fields; every field is read in snake_case and in camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_by_name=True,
        alias_generator=AliasGenerator(validation_alias=_both_spellings),
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler.resolve_ref_schema(handler(schema))
        fields = described["properties"]
        fields.update({to_camel(name): fields[name] for name in list(fields)})
        return described


class JobParams(ParamsModel):
    """The params of one job type."""

    delivers: ClassVar[bool] = False  # whether the job writes files, so that its document must name an output
    previews: ClassVar[bool] = False  # whether a dry run asks the processor what it would do

    def sources(self) -> Iterator[str]:
        """The URLs that the params themselves name to be read from; not those in the lists that these hold."""
        yield from ()

    def roots(self) -> tuple[str, ...]:
        """URLs that the job reads below although nobody wrote them down: the defaults of fields."""
        return ()

    def divisible(self) -> bool:
        """Whether several machines may share the items (shards > 1)."""
        return True
