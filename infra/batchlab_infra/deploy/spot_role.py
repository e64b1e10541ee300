"""The role with which EC2 starts Spot machines. An account that never had one has no such role."""

from __future__ import annotations

from batchlab.streams import say
from batchlab_infra.deploy.account import Account

_ROLE = "AWSServiceRoleForEC2Spot"  # Source: Amazon EC2 User Guide, "Service-linked role for Spot Instance requests"


def make_spot_role(account: Account) -> None:
    """It exists; without it Spot environments turn INVALID."""
    iam = account.client("iam")
    found = None
    with account.asking(f"role {_ROLE}", absent=("NoSuchEntity",)):
        found = iam.get_role(RoleName=_ROLE)
    if found is not None:
        return
    # "Taken" is InvalidInput to IAM: somebody else was quicker. The other is moto's word, whose role has another name.
    with account.asking(f"role {_ROLE}", absent=("InvalidInput", "EntityAlreadyExists")):
        iam.create_service_linked_role(AWSServiceName="spot.amazonaws.com")
        say(f"role {_ROLE}: made")
