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


def stack_settings() -> str:
    """The settings of the AWS stack, from their one typed value."""
    from batchlab_infra.settings import StackSettings, variables

    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in StackSettings.model_fields.items():
        default = field.default
        shown = (
            ", ".join(default) if isinstance(default, tuple) else "no" if default is False else str(default)
        )
        called = f"`{name}`<br>`{variables(name)[0]}`"
        rows.append(f"| {called} | {shown} | {field.description} |")
    return "\n".join(rows)


def stack_outputs() -> str:
    """The outputs of both stacks."""
    from batchlab_infra.names import COMPUTE_OUTPUTS, FOUNDATION_OUTPUTS

    rows = ["| stack | output | what it is |", "|---|---|---|"]
    for stack, outputs in (("foundation", FOUNDATION_OUTPUTS), ("stack", COMPUTE_OUTPUTS)):
        rows += [f"| `<name>-{stack}` | `{name}` | {meaning} |" for name, meaning in outputs.items()]
    return "\n".join(rows)


def stack_findings() -> str:
    """What cdk-nag finds and why it stays, and the actions without a resource."""
    from batchlab_infra.findings import FINDINGS, WITHOUT_RESOURCE

    rows = ["| finding of cdk-nag (AwsSolutions) | why it stays |", "|---|---|"]
    for known in FINDINGS:
        rule = re.match(r"AwsSolutions-(\w+)", known.pattern)
        assert rule is not None
        rows.append(f"| {rule[1]} | {known.reason} |")
    rows += ["", "| action whose resource is `*` | why |", "|---|---|"]
    rows += [
        f"| `{action}` | {reason} It takes no resource. |" for action, reason in WITHOUT_RESOURCE.items()
    ]
    return "\n".join(rows)


PARTS: dict[str, Callable[[], str]] = {
    "stack-settings": stack_settings,
    "stack-outputs": stack_outputs,
    "stack-findings": stack_findings,
}


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
