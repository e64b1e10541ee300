"""Named entries: what documents refer to by name because they may not bring it (BATCHLAB_CONFIG).

    passwords:
      wedding: {env: WEDDING_PASSWORD}
      archive: {file: /run/secrets/archive}     # relative paths: beside the configuration

`{env: NAME}` and `{file: PATH}` are looked up when the entry is used, so a machine needs only the secrets of
the jobs that it runs. An entry that is one secret needs no file: passwords.wedding is BATCHLAB_PASSWORD_WEDDING, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchlab.kinds import ItemError, Kind
from batchlab.nearest import did_you_mean

SECTIONS = ("databases", "queries", "mappings", "providers", "webhook_secrets", "passwords")
# Sections whose entries are one secret each, and how the variables begin that hold an entry where there is no file.
SECRET_VARIABLES = {"passwords": "BATCHLAB_PASSWORD_", "webhook_secrets": "BATCHLAB_WEBHOOK_SECRET_"}


@dataclass(frozen=True, repr=False)
class NamedEntries:
    """The entries of a configuration, section by section; its repr shows names only."""

    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    directory: Path = Path()

    def __repr__(self) -> str:
        return f"NamedEntries({ ({section: sorted(entries) for section, entries in self.sections.items()}) })"

    def names(self, section: str) -> tuple[str, ...]:
        return tuple(sorted(self.sections.get(section, {})))

    def entry(self, section: str, name: str) -> Any:
        """The entry with its secrets in place; raises ItemError(validation) saying what to add and where."""
        entries = self.sections.get(section, {})
        if name in entries:
            return self._filled(entries[name], f"{section}.{name}")
        variable = secret_variable(section, name)
        if variable and self.environ.get(variable):
            return self.environ[variable]
        guess = did_you_mean(name, entries)
        add = f"Set {variable}, or add it" if variable else "Add it"
        raise ItemError(
            Kind.VALIDATION,
            f"There is no entry {name!r} under {section}.{guess} {add} to the file that BATCHLAB_CONFIG names.",
        )

    def secret(self, section: str, name: str) -> str:
        """An entry that is one text; raises ItemError(validation) when it is missing, empty or no text."""
        value = self.entry(section, name)
        if not isinstance(value, str) or not value:
            raise ItemError(
                Kind.VALIDATION, f"{section}.{name} is empty or no text in BATCHLAB_CONFIG's file."
            )
        return value

    def _filled(self, value: Any, path: str) -> Any:
        if isinstance(value, dict) and len(value) == 1:
            where, what = next(iter(value.items()))
            if where == "env" and isinstance(what, str):
                if not self.environ.get(what):
                    raise ItemError(Kind.VALIDATION, f"{path} is read from {what}, which is not set. Set it.")
                return self.environ[what]
            if where == "file" and isinstance(what, str):
                try:
                    return (self.directory / what).read_text(encoding="utf-8").removesuffix("\n")
                except (OSError, UnicodeDecodeError) as error:
                    raise ItemError(
                        Kind.VALIDATION, f"{path} is read from {what}, which cannot be read."
                    ) from error
        if isinstance(value, dict):
            return {key: self._filled(inner, f"{path}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [self._filled(inner, f"{path}[{at}]") for at, inner in enumerate(value)]
        return value


def secret_variable(section: str, name: str) -> str:
    """The variable that holds this entry where no file does; "" when entries of the section are more than a secret."""
    prefix = SECRET_VARIABLES.get(section, "")
    return prefix and prefix + re.sub("[^A-Z0-9]", "_", name.upper())


def read_entries(path: Path, environ: Mapping[str, str]) -> NamedEntries:
    """The entries in the YAML or JSON file at `path`; raises ValueError, a line for each problem, no values."""
    import yaml  # takes 20 ms, and most runs have no such file

    try:
        text = path.read_text(encoding="utf-8")
        loaded = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {type(error).__name__}") from error
    except yaml.MarkedYAMLError as error:  # its text quotes the line, which may hold a secret
        mark = error.problem_mark
        raise ValueError(f"{path}, line {mark.line + 1 if mark else '?'}: this is no YAML") from None
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        line = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"{path}{line}: this is neither JSON nor YAML") from None
    if loaded is None:
        loaded = {}
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds no sections; the first line is, for instance, passwords:")
    problems = []
    for section, entries in loaded.items():
        if section not in SECTIONS:
            guess = did_you_mean(str(section), SECTIONS)
            problems.append(f"{section} is no section.{guess} There are {', '.join(SECTIONS)}.")
        elif not isinstance(entries, dict):
            problems.append(f"{section} takes entries by name")
        elif section in SECRET_VARIABLES:
            problems += [
                f"{section}.{name} is a text, {{env: NAME}} or {{file: PATH}}"
                for name, value in entries.items()
                if not _is_secret(value)
            ]
    if problems:
        raise ValueError("\n".join(problems))
    frozen = {
        section: MappingProxyType({str(name): value for name, value in entries.items()})
        for section, entries in loaded.items()
    }
    return NamedEntries(MappingProxyType(frozen), environ, path.parent)


def _is_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return (
            len(value) == 1
            and next(iter(value)) in ("env", "file")
            and isinstance(next(iter(value.values())), str)
        )
    return isinstance(value, str)
