from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.client.cli.conftest import Command
from tests.client.cli.test_main import COMMANDS

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_is_documented(batchlab: Command, command: str) -> None:
    assert f"\n| `{command} " in PAGE or f"\n| `{command}`" in PAGE
    options = set(re.findall(r"--[a-z][a-z-]+", batchlab(command, "--help").out)) - {"--help"}
    assert {option for option in options if f"`{option}" not in PAGE} == set()


def test_no_option_is_documented_that_does_not_exist(batchlab: Command) -> None:
    helps = "".join(batchlab(*([command] if command else []), "--help").out for command in ["", *COMMANDS])
    documented = set(re.findall(r"(?<=`)--[a-z][a-z-]+", PAGE)) | {"--version", "--install-completion"}
    assert {option for option in documented if option not in helps} == set()


def test_every_exit_code_is_documented() -> None:
    from batchlab import errors, status

    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    codes = {each.exit_code for each in classes if issubclass(each, errors.BatchlabError)}
    codes |= {0} | {status.exit_code(state) for state in status.ENDED}
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert documented == codes
