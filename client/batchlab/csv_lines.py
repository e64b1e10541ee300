"""CSV as spreadsheets write it: for lists on this machine and for manifests."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from itertools import chain


def read_table(lines: Iterable[str]) -> csv.DictReader[str]:
    """The rows below the header line, each by its words.

    The separator is the one that the header line shows: Excel writes ";" where a comma is the decimal point.
    """
    rest = iter(lines)
    header = next(rest, "")
    separator = max(",;\t", key=header.count)
    return csv.DictReader(chain([header] if header else [], rest), delimiter=separator, strict=True)
