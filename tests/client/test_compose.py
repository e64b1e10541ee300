"""compose.yaml: without an engine, at least that what it tells the container is what the container reads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import yaml

from batchlab.settings import VARIABLES, Settings

ROOT = Path(__file__).parents[2]
SERVICE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]["batchlab"]


def test_every_variable_is_a_setting_and_every_default_one_that_is_read() -> None:
    assert set(SERVICE["environment"]) <= {name for variable in VARIABLES for name in variable.names}
    defaults = {
        name: found[1]
        for name, text in SERVICE["environment"].items()
        if text and (found := re.fullmatch(r"\$\{\w+:-(.*)\}", text))
    }
    settings = Settings.from_environment(defaults)
    assert settings.warnings == ()
    assert settings.output_roots and settings.public_base_url.endswith(SERVICE["ports"][0].split(":")[1])


def test_the_image_has_what_the_command_needs() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = {re.split("[<>=]", each)[0] for extra in ("cli", "service") for each in extras[extra]}
    assert set(SERVICE["build"]["args"]["EXTRA_PACKAGES"].split()) == needed
    assert SERVICE["entrypoint"][0] in project["scripts"]
