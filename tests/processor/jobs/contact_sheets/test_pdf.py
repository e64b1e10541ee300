from __future__ import annotations

import re

from batchlab_processor.jobs.contact_sheets.grid import Size
from batchlab_processor.jobs.contact_sheets.pdf import pdf
from tests.processor.jobs.contact_sheets.golden import GALLERY

JPEGS = [path.read_bytes() for path in GALLERY[:3]]


def test_every_offset_of_the_table_leads_to_its_object() -> None:
    body = pdf(JPEGS, Size(4961, 3508), 300)

    start = int(body.rsplit(b"startxref\n", 1)[1].split(b"\n")[0])
    table = body[start:].split(b"\n")
    assert table[:2] == [b"xref", b"0 12"]
    for number, line in enumerate(table[3:14], start=1):
        place = int(line[:10])
        assert len(line) + 1 == 20
        assert body[place:].startswith(b"%d 0 obj\n" % number)


def test_pages_have_the_size_of_the_paper_and_hold_the_jpegs_unchanged() -> None:
    body = pdf(JPEGS, Size(4961, 3508), 300)

    assert re.findall(rb"/MediaBox \[0 0 ([0-9.]+) ([0-9.]+)\]", body) == [(b"1190.640", b"841.920")] * 3
    for jpeg in JPEGS:
        assert b"/Length %d >>\nstream\n%b\nendstream" % (len(jpeg), jpeg) in body
