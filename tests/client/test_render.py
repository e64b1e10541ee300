from typing import Any

from batchlab.kinds import Kind
from batchlab.outcome import Done, Failed, Outcome
from batchlab.report import render
from tests.client.test_report import ALBUM, ID, done, figures, missing, report


def test_a_success_takes_four_lines() -> None:
    text = render(report([done(1), done(2)], figures=figures(2, peak_rss_mib=98.2)))
    assert text.splitlines() == [
        f"zip-export {ID} succeeded: 2 photos done.",
        "  Smith",
        "  4.0 MB in 2.0 s, 2.0 MB/s, peak memory 98 MiB",
        "  album.zip (100 B, 3 files): s3://bucket/out/album.zip",
    ]


def test_missing_photos_are_grouped_with_examples() -> None:
    outcomes: list[Outcome] = [done(0), *(missing(n) for n in range(1, 6))]
    outcomes.append(Failed(key="z.jpg", kind=Kind.CORRUPT, message="Not an image.", attempts=2))
    lines = render(report(outcomes)).splitlines()
    assert "6 photos are missing:" in lines
    assert "  missing (5): 1.jpg, 2.jpg, and 3 more. Not there (404)." in lines
    assert "  corrupt (1): z.jpg. Not an image." in lines
    assert lines.index("6 photos are missing:") + 1 == lines.index(
        "  missing (5): 1.jpg, 2.jpg, and 3 more. Not there (404)."
    ), "the most frequent first"


def test_one_missing_photo_is_one() -> None:
    assert "1 photo is missing:" in render(report([done(1), missing(2)]))


def test_an_archive_of_one_file_has_one() -> None:
    assert "album.zip (100 B, 1 file)" in render(
        report([done(1)], artifacts=[ALBUM.model_copy(update={"members": 1})])
    )


def test_it_stays_short_whatever_happened() -> None:
    kinds = [Failed(key=f"{n}-{kind}", kind=kind, message="x" * 50) for n in range(50) for kind in Kind]
    text = render(report([done(0), *kinds], artifacts=[ALBUM] * 40))
    assert len(text.splitlines()) <= 16, text
    assert "and 37 more" in text


def test_interrupted_runs_are_told() -> None:
    assert "3 runs, 2 interrupted" in render(report([done(1)], figures=figures(runs=3, interrupted=2)))


def test_what_stopped_the_job_is_told() -> None:
    assert "  The disk is full." in render(report([done(1)], error="The disk is full.")).splitlines()


def test_names_cannot_command_the_terminal() -> None:
    outcomes: list[Any] = [
        Done(key="ok"),
        Failed(key="\x1b[2J\x07.jpg", kind=Kind.MISSING, message="line\nbreak\r\x9b1A"),
    ]
    text = render(report(outcomes))
    assert not any(ord(c) < 32 and c != "\n" for c in text) and "\x9b" not in text
