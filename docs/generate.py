"""Write the parts of the docs that come from the code, so that they cannot drift from it.

A generated part stands between two lines in any page of docs/ or in README.md:

    <!-- generated: NAME -->
    <!-- end -->

Add a part: write a function that returns its Markdown and name it in PARTS.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(?<=<!-- generated: )(?P<name>[\w-]+) -->\n(?P<body>.*?)(?=<!-- end -->)", re.DOTALL)

PARTS: dict[str, Callable[[], str]] = {}


def rendered(page: str, path: Path) -> str:
    """The page with each generated part as the code says it now."""

    def part(block: re.Match[str]) -> str:
        name = block["name"]
        if name not in PARTS:
            sys.exit(f"{path.relative_to(ROOT)}: no generated part {name!r}; there are: {sorted(PARTS)}")
        return f"{name} -->\n{PARTS[name]().strip()}\n"

    return BLOCK.sub(part, page)


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print("usage: scripts/docs [--check]", file=sys.stderr)
        return 2
    stale = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        before = path.read_text(encoding="utf-8")
        after = rendered(before, path)
        if after != before:
            stale.append(str(path.relative_to(ROOT)))
            if not arguments:
                path.write_text(after, encoding="utf-8")
    if stale:
        print("written again:" if not arguments else "out of date, run scripts/docs:", *stale)
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
