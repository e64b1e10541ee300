"""What is looked at before anything is changed. Each finding says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from batchlab.errors import BatchlabError, UsageError
from batchlab.nearest import did_you_mean
from batchlab.streams import say
from batchlab_infra.deploy import services
from batchlab_infra.deploy.account import Account, Stack
from batchlab_infra.deploy.image import find_engine
from batchlab_infra.names import Names
from batchlab_infra.settings import StackSettings

DISK_GB = 4  # the image's layers while it is built, and room to breathe
TAG = "batchlab"  # what the app puts on its stacks (batchlab_infra/app.py), read without importing aws_cdk
_BROKEN = ("ROLLBACK_FAILED", "DELETE_FAILED", "UPDATE_ROLLBACK_FAILED")


@dataclass(frozen=True)
class Preflight:
    """Everything that the checks look at."""

    account: Account
    settings: StackSettings
    environ: dict[str, str]
    engine: str = ""
    root: Path = Path()


def check(flight: Preflight, *, image: bool = True) -> None:
    """Nothing stands in the way of a deployment; raises the first error after all have been said.

    `image`: an image may have to be built, so the engine is looked at too.
    """
    local = {"container engine": _engine, "disk": _disk} if image else {}
    remote = {
        "credentials": _credentials,
        "name": _name,
        "quota": services.quota,
        "mail": services.mail,
    }
    keys = {"R2": services.r2, "Firebase": services.firebase}
    failed: list[BatchlabError] = []
    _region(flight)
    for name, look in {**local, **remote, **keys}.items():
        failed += _outcome(name, look, flight)
        if name == "credentials" and failed and failed[-1].exit_code in (6, 7):
            break  # nothing more can be asked of AWS
    if failed:
        raise _summary(failed)


def _outcome(name: str, look: Callable[[Preflight], str], flight: Preflight) -> list[BatchlabError]:
    try:
        found = look(flight)
    except BatchlabError as error:
        say(f"  {name:<17} NO   {error.message}")
        return [error]
    if found:
        say(f"  {name:<17} {'' if found.startswith('note: ') else 'ok'}   {found}")
    return []


def _summary(failed: list[BatchlabError]) -> BatchlabError:
    many = "s" if len(failed) > 1 else ""
    return type(failed[0])(f"Nothing was changed: {len(failed)} check{many} failed, see above.")


def _region(flight: Preflight) -> None:
    """Not a question to AWS: a wrong region is an endpoint that does not exist."""
    import boto3

    session = boto3.session.Session()
    known = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("batch", partition_name=partition)
    ]
    region = flight.account.region
    if region not in known:
        raise UsageError(f"region: AWS Batch is in no region {region}.{did_you_mean(region, known)}")


def _engine(flight: Preflight) -> str:
    return f"{find_engine(flight.engine)} is running"


def _disk(flight: Preflight) -> str:
    places = [flight.root, *(Path(name) for name in ("/var/lib/docker", "/var/lib/containers"))]
    free = {place: shutil.disk_usage(place).free / 1e9 for place in places if place.exists()}
    place = min(free, key=lambda each: free[each])
    if free[place] < DISK_GB:
        raise UsageError(
            f"{free[place]:.1f} GB are free at {place}, and building needs {DISK_GB}. Free some: `docker system prune`."
        )
    return f"{free[place]:.0f} GB free"


def _credentials(flight: Preflight) -> str:
    return f"account {flight.account.id}, {flight.account.region}"


def own_stacks(account: Account, names: Names) -> tuple[Stack | None, Stack | None]:
    """The foundation and the compute stack, as far as they exist; raises UsageError when one is somebody else's."""
    foundation, compute = account.stack(names.foundation_stack), account.stack(names.compute_stack)
    for stack in (foundation, compute):
        if stack is not None and stack.tags.get(TAG) != names.name:
            raise UsageError(
                f"A stack {stack.name} exists that batchlab did not make. Choose another name with --name."
            )
    return foundation, compute


def _name(flight: Preflight) -> str:
    """The names are free, or ours."""
    names = Names(flight.settings.name)
    stacks = own_stacks(flight.account, names)
    for stack in stacks:
        if stack is not None and stack.status in _BROKEN:
            raise UsageError(
                f"The stack {stack.name} is {stack.status}. Look at its events in CloudFormation, and delete it there "
                f"or continue its rollback; then run ./deploy.sh again."
            )
    if stacks[0] is None:
        _nobody_has(flight, names)
        return f"{names.name} is free"
    return f"{names.name} is there and will be brought up to date"


def _nobody_has(flight: Preflight, names: Names) -> None:
    """What the foundation makes under a fixed name is not there yet; CloudFormation would say so 5 minutes later."""
    ecr = flight.account.client("ecr")
    with flight.account.asking("ECR", absent=("RepositoryNotFoundException",)):
        ecr.describe_repositories(repositoryNames=[names.repository])
        raise UsageError(
            f"A repository {names.repository} exists that no stack of this name made. "
            "Choose another name with --name, or delete it."
        )
