import pytest

from batchlab.words import counted, duration, printable, size


@pytest.mark.parametrize(
    ("count", "job_type", "said"),
    [
        (1, "zip-export", "1 photo"),
        (5000, "zip-export", "5,000 photos"),
        (0, "x", "0 items"),
        (1, "csv-import", "1 batch"),
    ],
)
def test_items_are_called_what_the_reader_calls_them(count: int, job_type: str, said: str) -> None:
    assert counted(count, job_type) == said


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (12_345_678, "12.3 MB"),
        (999_950, "1.0 MB"),
        (5e12, "5.0 TB"),
    ],
)
def test_sizes_are_decimal(size_bytes: float, said: str) -> None:
    assert size(size_bytes) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (11_240, "3 h 7 min")],
)
def test_durations_are_read_at_a_glance(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_name_cannot_command_the_terminal() -> None:
    assert "\x1b" not in printable("\x1b[2Jgone") and "\n" not in printable("a\nb")
    assert "\u202e" not in printable("gpj.\u202eexe")
    assert printable("Zoë – 写真 👩‍👧.jpg") == "Zoë – 写真 👩‍👧.jpg"
