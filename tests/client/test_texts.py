"""Short texts: lines and file names."""

import pytest

from batchlab.texts import file_name_problem, is_line


@pytest.mark.parametrize(
    "name", ["album.zip", "Ana & Ben.zip", "küste 2026.ZIP", "写真.zip", "a.b.c.zip", "common.zip"]
)
def test_a_file_name_may_be_what_people_write(name: str) -> None:
    assert file_name_problem(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "../album.zip",
        "a/b.zip",
        "a\\b.zip",
        "a:b.zip",
        "con.zip",
        "LPT1.zip",
        ".zip",
        " a.zip",
        "a\n.zip",
        "a?.zip",
        "a\x00.zip",
        "ü" * 99 + ".zip",
        "a.zip.",
    ],
)
def test_what_is_no_file_name_everywhere_is_refused(name: str) -> None:
    assert file_name_problem(name)


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "\x1b[31m", "a\u2028b", "\x85", "\ud800"])
def test_a_line_has_no_control_characters(text: str) -> None:
    assert not is_line(text)
    assert is_line("Ana & Ben 💍 – 写真")
