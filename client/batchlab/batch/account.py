"""Questions to an AWS account whose answers may be refused: most people may not ask everything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from batchlab import aws
from batchlab.batch.jobs import asking as must_answer
from batchlab.errors import Denied

_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/(?P<repository>[^@:]+)"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64})|:(?P<tag>[\w.-]+))?\Z"
)
_ABSENT = ("ImageNotFoundException", "RepositoryNotFoundException")


class Asking:
    """One look at an account; what could not be asked is gathered in `unknown`."""

    def __init__(self, region: str = "", clients: Mapping[str, Any] | None = None) -> None:
        """`clients` of services are used as they are; others are made when they are needed."""
        self._region = region
        self._clients: dict[tuple[str, str], Any] = {
            (service, region): client for service, client in (clients or {}).items()
        }
        self.unknown: list[str] = []

    @property
    def region(self) -> str:
        return str(self.client("batch").meta.region_name)

    def client(self, service: str, region: str = "") -> Any:
        """A client of that service, made once."""
        key = service, region or self._region
        if key not in self._clients:
            with must_answer(service):
                self._clients[key] = aws.service_client(*key)
        return self._clients[key]

    def must(self, service: str, operation: str, **arguments: Any) -> Any:
        """The answer; raises Denied and ServiceError."""
        with must_answer(f"{service}: {operation.replace('_', ' ')}"):
            return getattr(self.client(service), operation)(**arguments)

    def may(
        self,
        what: str,
        service: str,
        operation: str,
        *,
        region: str = "",
        absent: tuple[str, ...] = (),
        **arguments: Any,
    ) -> Any:
        """The answer; None when there is none, which `unknown` then says; {} for an error code in `absent`."""
        try:
            return getattr(self.client(service, region), operation)(**arguments)
        except Exception as error:  # noqa: BLE001  a question less is no reason to answer none
            code, _ = aws.code_and_status(error)
            if code and code in absent:
                return {}
            told = aws.explained(error, what)
            why = (
                f"{code or 'access'} was refused"
                if isinstance(told, Denied)
                else code or type(error).__name__
            )
            self.unknown.append(f"{what}: {why} ({service}:{operation.replace('_', '-')})")
            return None

    def has_image(self, image: str) -> bool | None:
        """Whether ECR has the image; None when it is elsewhere, or nobody may ask."""
        place = _ECR.match(image)
        if place is None:
            return None
        wanted = (
            {"imageDigest": place["digest"]} if place["digest"] else {"imageTag": place["tag"] or "latest"}
        )
        found = self.may(
            "the image",
            "ecr",
            "describe_images",
            region=place["region"],
            absent=_ABSENT,
            registryId=place["account"],
            repositoryName=place["repository"],
            imageIds=[wanted],
        )
        return None if found is None else bool(found.get("imageDetails"))
