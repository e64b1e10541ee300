"""A PDF whose pages are finished JPEGs. libvips' wheel writes none, and this is all there is to it."""

from __future__ import annotations

from collections.abc import Sequence

from batchlab_processor.jobs.contact_sheets.grid import Size


def pdf(jpegs: Sequence[bytes], size: Size, dpi: int) -> bytes:
    """One page for each JPEG (RGB, `size` pixels), without dates: the same pages give the same bytes.

    Source: ISO 32000-1, 7.5 "File structure" and 7.4.8 "DCTDecode filter".
    """
    width, height = (f"{pixels / dpi * 72:.3f}" for pixels in (size.width, size.height))
    pages = " ".join(f"{3 + 3 * number} 0 R" for number in range(len(jpegs)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(jpegs)} /Kids [{pages}] >>".encode(),
    ]
    for number, jpeg in enumerate(jpegs):
        page = 3 + 3 * number
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents {page + 1} 0 R "
            f"/Resources << /XObject << /Sheet {page + 2} 0 R >> >> >>".encode()
        )
        objects.append(_stream("", f"{width} 0 0 {height} 0 0 cm /Sheet Do".encode()))
        objects.append(
            _stream(
                f"/Type /XObject /Subtype /Image /Width {size.width} /Height {size.height} "
                "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode ",
                jpeg,
            )
        )
    body = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    start = len(body)
    body += b"xref\n0 %d\n0000000000 65535 f \n%b" % (len(objects) + 1, table)
    body += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(body)


def _stream(entries: str, content: bytes) -> bytes:
    return b"<< %b/Length %d >>\nstream\n%b\nendstream" % (entries.encode(), len(content), content)
