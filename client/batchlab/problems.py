"""What is wrong with a document, one line each: where, what, what was expected, and the nearest right spelling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from batchlab.nearest import did_you_mean
from batchlab.plain import MOST_PROBLEMS, Place, problem_line, quoted
from batchlab.redact import scrub

Models = list[type[BaseModel]]


def problems_of(
    error: ValidationError,
    model: type[BaseModel],
    inner: Mapping[str, type[BaseModel]] | None = None,
    root: str = "document",
) -> list[str]:
    """A line for each thing wrong, in the order of the fields; none holds a secret.

    `inner` names the models of fields that `model` itself leaves open (params). `root` stands for the whole.
    """
    found = [details for details in error.errors(include_url=False) if not _misled(details)]
    lines = [_line(details, model, inner or {}, root) for details in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        lines.append(f"... and {len(found) - MOST_PROBLEMS:,} more problems.")
    return lines


def problem_at(place: Place, message: str, value: Any = None) -> InitErrorDetails:
    """A problem that a validator found inside its value; raise them together by `problems_error`."""
    kind = PydanticCustomError("batchlab", "{message}", {"message": message})
    return InitErrorDetails(type=kind, loc=place, input=value)


def problems_error(
    title: str, details: list[InitErrorDetails], error: ValidationError | None = None
) -> ValidationError:
    """All of `details` and what `error` holds as one error, so that the reader sees everything at once."""
    earlier = [_again(each) for each in error.errors(include_url=False)] if error else []
    return ValidationError.from_exception_data(title, [*earlier, *details])


def _again(details: ErrorDetails) -> InitErrorDetails:
    kind: Any = details["type"]
    if kind == "batchlab":
        kind = PydanticCustomError("batchlab", "{message}", details["ctx"])
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=details.get("ctx", {}))


def _misled(details: ErrorDetails) -> bool:
    """Pydantic calls a list too short when its parts are wrong, because it counts the right ones only."""
    return details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]


def _line(
    details: ErrorDetails, model: type[BaseModel], inner: Mapping[str, type[BaseModel]], root: str
) -> str:
    place, around, field = _follow(details["loc"], model, inner)
    kind = details["type"]
    if kind == "extra_forbidden":
        message = _unknown_field(str(details["loc"][-1]), around)
    elif kind == "missing":
        message = f"missing. Expected: {_described(field)}"
    else:
        message = _MESSAGES.get(kind, _own_words)(details, field)
    return problem_line(place, message, root)


def _follow(
    location: tuple[int | str, ...], model: type[BaseModel], inner: Mapping[str, type[BaseModel]]
) -> tuple[Place, Models, FieldInfo | None]:
    """The place without the names of models (pydantic's tags), the models around it, and its field."""
    place: list[str | int] = []
    models: Models = [model]
    around: Models = [model]
    field: FieldInfo | None = None
    for step in location:
        named = [each for each in models if each.__name__ == step]
        if named and place:
            models = named
            continue
        place.append(step)
        if isinstance(step, int):
            continue
        around = models
        field = next((found for each in models if (found := _field(each, step))), None)
        models = _models_in(field.annotation) if field else []
        if len(place) == 1 and step in inner:
            models = [inner[step]]
    return tuple(place), around, field


def _field(model: type[BaseModel], name: str) -> FieldInfo | None:
    for field_name, field in model.model_fields.items():
        aliases = getattr(field.validation_alias, "choices", [field.validation_alias, field.alias])
        if name == field_name or name in aliases:
            return field
    return None


def _models_in(annotation: Any) -> Models:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    inside = get_args(annotation)
    if get_origin(annotation) is Annotated:
        inside = inside[:1]
    return [model for part in inside for model in _models_in(part)]


def _unknown_field(name: str, around: Models) -> str:
    known = list(dict.fromkeys(field for model in around for field in model.model_fields))
    guess = did_you_mean(name, known)
    if not guess and known:
        guess = f" Known: {', '.join(known)}."
    return f"unknown field.{guess}"


def _described(field: FieldInfo | None) -> str:
    text = (field.description or "a value") if field else "a value"
    return f"{text.rstrip('.')}."


def _got(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return "a text"
    if isinstance(value, int | float):
        return "a number"
    return "a list" if isinstance(value, list | tuple) else "an object"


def _expected(what: str) -> Callable[[ErrorDetails, FieldInfo | None], str]:
    def message(details: ErrorDetails, field: FieldInfo | None) -> str:
        value = details["input"]
        hint = ""
        if what == "a text" and isinstance(value, int | float):
            hint = " Write it in quotes."
        elif isinstance(value, str) and what in ("a whole number", "a number", "true or false"):
            hint = " Write it without quotes." if _is_bare(value) else ""
        return f"expected {what}, got {_got(value)}.{hint}"

    return message


def _is_bare(text: str) -> bool:
    return text in ("true", "false") or (text.isascii() and text.isdigit())


def _limit(text: str) -> Callable[[ErrorDetails, FieldInfo | None], str]:
    def message(details: ErrorDetails, field: FieldInfo | None) -> str:
        bound = next(value for name, value in details["ctx"].items() if name in ("ge", "gt", "le", "lt"))
        return text.format(
            value=details["input"], bound=f"{bound:,}" if isinstance(bound, int) else str(bound)
        )

    return message


def _allowed(details: ErrorDetails, field: FieldInfo | None) -> str:
    expected = str(details["ctx"]["expected"])
    known = [part for part in expected.split("'") if part.strip(", or")]
    value = details["input"]
    if not isinstance(value, str):
        return f"expected {expected}, got {_got(value)}."
    return f"{quoted(value)} is not allowed. Expected {expected}.{did_you_mean(value, known)}"


def _length(details: ErrorDetails, field: FieldInfo | None) -> str:
    context = details["ctx"]
    if "max_length" in context:
        count = context.get("actual_length") or len(details["input"])
        return f"is too long: {count:,}, at most {context['max_length']:,} are allowed."
    return (
        f"is empty. Expected: {_described(field)}"
        if context["min_length"] == 1
        else _own_words(details, field)
    )


def _own_words(details: ErrorDetails, field: FieldInfo | None) -> str:
    """A validator's own message, ours or a stranger's."""
    error = details.get("ctx", {}).get("error")
    message = str(error) if error is not None else details["msg"]
    message = scrub(" ".join(message.split()))[:500]
    return message if message.endswith((".", "?")) else f"{message}."


def _form(details: ErrorDetails, field: FieldInfo | None) -> str:
    """Without the value: people write a password where its name is asked for."""
    return f"has not the right form. Expected: {_described(field)}"


_MESSAGES: dict[str, Callable[[ErrorDetails, FieldInfo | None], str]] = {
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _expected("a whole number")
    ),
    **dict.fromkeys(("float_type", "float_parsing"), _expected("a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), _expected("true or false")),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), _expected("a list")),
    **dict.fromkeys(
        ("dict_type", "model_type", "model_attributes_type", "mapping_type"),
        _expected("an object with fields"),
    ),
    **dict.fromkeys(("literal_error", "enum"), _allowed),
    **dict.fromkeys(("string_too_long", "string_too_short", "too_long", "too_short"), _length),
    "string_type": _expected("a text"),
    "string_pattern_mismatch": _form,
    "greater_than_equal": _limit("{value} is too small: at least {bound}."),
    "greater_than": _limit("{value} is too small: it must be more than {bound}."),
    "less_than_equal": _limit("{value} is too large: at most {bound}."),
    "less_than": _limit("{value} is too large: it must be less than {bound}."),
}
