"""What linters say of the templates: nothing that has no reason."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from batchlab_infra.findings import FINDINGS
from tests.infra.adapter import MISSING, adapted

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def findings(synthesized: Path) -> set[str]:
    """Ids of what cdk-nag found in the templates with everything in them."""
    report = json.loads((synthesized / "full" / "validation-report.json").read_text())
    return {each["ruleName"] for plugin in report["pluginReports"] for each in plugin["violations"]}


def test_every_finding_of_cdk_nag_that_stays_has_its_reason(findings: set[str]) -> None:
    assert findings  # it was looked at
    assert [each for each in sorted(findings) if not any(known.covers(each) for known in FINDINGS)] == []


def test_no_reason_outlives_its_finding(findings: set[str]) -> None:
    stale = [known.pattern for known in FINDINGS if not any(known.covers(each) for each in findings)]
    assert stale == []


def test_cfn_lint_finds_no_error_and_no_warning(synthesized: Path) -> None:
    # W3005: CDK names a dependency that a reference already makes
    templates = [
        str(path)
        for name in ("full", "none", "batch")
        for path in (synthesized / name).glob("*.template.json")
    ]
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--ignore-checks", "W3005", "--", *templates]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if line.startswith(("E", "W"))]
    assert errors == []
    assert done.returncode in (0, 8), done.stdout + done.stderr  # 8: informational only


def test_the_adapter_of_the_tests_takes_away_only_what_moto_lacks(synthesized: Path) -> None:
    template = json.loads((synthesized / "full" / "batchlab-stack.template.json").read_text())
    before, after = template["Resources"], adapted(template)["Resources"]
    assert {name for name in before if name not in after} == {
        name for name, each in before.items() if each["Type"] in MISSING
    }
