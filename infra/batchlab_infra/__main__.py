"""What `cdk` runs (cdk.json): synthesizes the stacks of the settings into cdk.out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from batchlab.errors import BatchlabError
from batchlab.streams import say


def main() -> int:
    """0, or 2 with a line for each setting that is wrong."""
    from batchlab_infra.settings import StackSettings, read

    root = Path(__file__).resolve().parent.parent.parent
    try:
        from aws_cdk import App

        app = App()
        settings = read(
            {field: app.node.try_get_context(field) for field in StackSettings.model_fields}, os.environ
        )
        package = None
        from batchlab_infra.app import add_stacks

        if settings.image:
            from batchlab_infra.package import build

            package = str(build(root, root / "build" / "functions"))
        add_stacks(app, settings, package)
        app.synth()
    except BatchlabError as error:
        for line in error.message.splitlines():
            say(f"batchlab: {line}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
