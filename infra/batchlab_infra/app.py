"""The CDK app: from settings to the two stacks."""

from __future__ import annotations

from aws_cdk import App, Tags

from batchlab_infra.compute import ComputeStack
from batchlab_infra.foundation import FoundationStack
from batchlab_infra.settings import StackSettings

TAG = "batchlab"  # activate it as a cost-allocation tag, and bills tell what a stack costs


def add_stacks(app: App, settings: StackSettings, package: str | None) -> None:
    """The foundation, and the compute stack when there is an image; then `package` holds the functions' code."""
    foundation = FoundationStack(app, settings)
    if settings.image:
        if package is None:
            raise ValueError("The compute stack needs the functions' package.")
        ComputeStack(app, settings, package).add_stack_dependency(foundation)
    Tags.of(app).add(TAG, settings.name)
