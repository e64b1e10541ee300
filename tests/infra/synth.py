"""Synthesizes the stacks of several settings in one process, for tests/infra/conftest.py: CDK takes seconds to start.

python -m tests.infra.synth DIRECTORY         DIRECTORY/<variant>/<stack>.template.json, and full/validation-report.json
python -m tests.infra.synth DIRECTORY JSON    DIRECTORY/asked/<stack>.template.json of these settings alone
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from batchlab_infra.__main__ import use_own_node

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "sha256:" + "a" * 64
# Everything that can be asked for; what cdk-nag and cfn-lint look at.
FULL = {
    "image": IMAGE,
    "secrets": "R2 FIREBASE_SERVICE_ACCOUNT DATABASE_URL BATCHLAB_WEBHOOK_SECRET "
    "BATCHLAB_WEBHOOK_SECRET_SHOP BATCHLAB_PASSWORD_WEDDING",
    "source_roots": "s3://gallery/photos gs://events",
    "output_roots": "s3://delivery/zips r2://zips",
    "http_hosts": "photos.example",
    "job_types": "zip-export cleanup",
    "warm_vcpus": 4,
    "time_zone": "Europe/Madrid",
    "mail_from": "photos@lab.example",
    "webhook_hosts": "shop.example",
    "contact": "photos@lab.example",
    "language": "de",
    "pages_root": "r2://zips/customers",
    "public_base_url": "https://photos.lab.example",
    "alarm_email": "ops@lab.example",
    "monthly_budget_usd": 50,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "foundation": {},
    "plain": {"image": IMAGE},
    "full": FULL,
    "wedding": {
        "image": IMAGE,
        "name": "wedding-photo-processor",
        "worker_access": "sqs",
        "secrets": "R2",
        "output_roots": "r2://zips",
    },
    "batch": {"image": IMAGE, "worker_access": "batch", "network": "nat", "zones": 2},
    "none": {
        "image": f"registry.example/lab@{IMAGE}",
        "worker_access": "none",
        "job_types": "zip-export",
        "network": "existing",
        "vpc_id": "vpc-0123456789",
        "subnet_ids": "subnet-01234567 subnet-12345678",
    },
}


def main(directory: Path, variants: dict[str, dict[str, Any]]) -> None:
    use_own_node()
    from aws_cdk import App, Validations
    from cdk_nag import AwsSolutionsChecks

    from batchlab_infra.app import add_stacks
    from batchlab_infra.settings import read

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    package = directory / "package"
    package.mkdir(parents=True)
    (package / "handlers.py").write_text("")
    for name, settings in variants.items():
        app = App(outdir=str(directory / name), context=context)
        add_stacks(app, read(settings, {}), str(package) if "image" in settings else None)
        if name == "full":
            Validations.of(app).add_plugins(AwsSolutionsChecks(app))
        try:
            app.synth()
        except Exception as error:  # cdk-nag has findings; jsii gives its errors no type
            if "validation-report.json" not in str(error):
                raise


if __name__ == "__main__":
    main(Path(sys.argv[1]), {"asked": json.loads(sys.argv[2])} if len(sys.argv) > 2 else VARIANTS)
