"""A small photo marathon in a Postgres of its own, for `batchlab demo contact-sheets`.

`batchlab-processor demo contact-sheets` serves until its standard input is closed. Its first line on stdout says, as
JSON, what it serves; nothing else is ever written there.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from batchlab.errors import UsageError
from batchlab_processor.databases import Database
from batchlab_processor.demo import find_gallery
from batchlab_processor.jobs.contact_sheets.database import ours
from batchlab_processor.postgres import INSTALL, postgres

DOMAIN = "city"


@dataclass(frozen=True)
class Served:
    """What the first line says."""

    database_url: str
    domain: str
    photos: str  # the directory that keys are below
    logo: str  # path of the sponsor's logo


def main() -> int:
    """Serves the marathon until standard input is closed; returns the exit code."""
    if sys.stdin.isatty():
        raise UsageError("this is only the database of the demo. Type: batchlab demo contact-sheets")
    if missing := [name for name in ("psycopg", "pyvips") if find_spec(name) is None]:
        raise UsageError(f"contact sheets need {' and '.join(missing)}. Install them: {INSTALL}")
    gallery = find_gallery()
    example = gallery.parent / "contact-sheets"
    people = json.loads((example / "participants.json").read_text(encoding="utf-8"))["participants"]
    logo = example / "logo.svg"
    with postgres(database_url=os.environ.get("DATABASE_URL", "")) as url:
        fill(Database("demo", url), people, logo)
        served = Served(url, DOMAIN, str(gallery), str(logo))
        sys.stdout.write(json.dumps(asdict(served)) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


def fill(database: Database, people: list[dict[str, Any]], logo: Path) -> None:
    """Makes the tables, and puts the marathon and `people`, as a manifest has them, into them."""
    topics = {photo["number"]: photo["topic"] for person in people for photo in person["photos"]}
    with database.connection() as connection:
        connection.execute(ours("schema"))
        connection.execute(
            "INSERT INTO marathons (domain, name) VALUES (%s, 'City photo marathon')", (DOMAIN,)
        )
        connection.execute(
            "INSERT INTO sponsors (marathon_id, name, key) VALUES (1, 'Lens & Light', %s)", (logo.as_uri(),)
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO topics (marathon_id, position, name) VALUES (1, %s, %s)", sorted(topics.items())
            )
            cursor.executemany(
                "INSERT INTO participants (marathon_id, reference, firstname, verified) VALUES (1, %s, %s, %s)",
                [(person["reference"], person["name"], person["verified"]) for person in people],
            )
            cursor.executemany(
                "INSERT INTO submissions (participant_id, topic_id, key) VALUES ("
                "(SELECT id FROM participants WHERE reference = %s), "
                "(SELECT id FROM topics WHERE position = %s), %s)",
                [
                    (person["reference"], photo["number"], photo["key"])
                    for person in people
                    for photo in person["photos"]
                ],
            )
