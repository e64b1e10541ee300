"""The container image: built once for the same sources, pushed to the stack's repository, known by its digest."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchlab.errors import ServiceError, UsageError
from batchlab.streams import say
from batchlab_infra.deploy.account import Account
from batchlab_infra.deploy.commands import answer, run

ENGINES = ("docker", "podman", "finch")
# What the Dockerfile copies; .dockerignore lets nothing else in.
_INPUTS = (
    "Dockerfile",
    ".dockerignore",
    "requirements/image-build.lock",
    "requirements/processor.lock",
    "client/pyproject.toml",
    "client/batchlab",
    "processor/pyproject.toml",
    "processor/batchlab_processor",
)


def find_engine(wanted: str = "") -> str:
    """A container engine that is running; raises UsageError that says what to start."""
    there = [name for name in ((wanted,) if wanted else ENGINES) if shutil.which(name)]
    for name in there:
        if answer([name, "ps", "--quiet"]) is not None:
            return name
    if there:
        raise UsageError(
            f"{there[0]} is installed, but does not answer (`{there[0]} ps`). Start it: Docker Desktop, "
            "`sudo systemctl start docker`, `podman machine start` or `finch vm start`."
        )
    raise UsageError(
        f"No container engine was found ({', '.join((wanted,) if wanted else ENGINES)}), and the image is built "
        "by one. Install Docker, podman or finch."
    )


@dataclass(frozen=True)
class Recipe:
    """What an image is made from."""

    root: Path
    build_arguments: Mapping[str, str]

    def inputs(self) -> str:
        """Twelve hexadecimal digits that change when the image's content would."""
        found = hashlib.sha256(json.dumps(sorted(self.build_arguments.items())).encode())
        for path in _files(self.root):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            found.update(f"{path.relative_to(self.root).as_posix()} {content}\n".encode())
        return found.hexdigest()[:12]

    def commit(self) -> str:
        return answer(["git", "rev-parse", "--short=12", "HEAD"], folder=self.root) or "no-commit"


def _files(root: Path) -> Iterator[Path]:
    for name in _INPUTS:
        path = root / name
        inside = path.rglob("*") if path.is_dir() else [path]
        yield from sorted(each for each in inside if each.is_file() and "__pycache__" not in each.parts)


@dataclass(frozen=True)
class Repository:
    """The stack's ECR repository. Its tags are immutable: <commit>-<inputs>."""

    account: Account
    name: str
    uri: str

    def images(self) -> list[dict[str, Any]]:
        """All images, the newest first."""
        ecr = self.account.client("ecr")
        with self.account.asking(f"repository {self.name}"):
            pages = ecr.get_paginator("describe_images").paginate(repositoryName=self.name)
            found = [image for page in pages for image in page["imageDetails"]]
        return sorted(found, key=lambda image: str(image.get("imagePushedAt", "")), reverse=True)

    def digest(self, inputs: str) -> str | None:
        """The newest image made from these inputs."""
        for image in self.images():
            if any(inputs in tag.split("-") for tag in image.get("imageTags", ())):
                return str(image["imageDigest"])
        return None

    def check(self, digest: str) -> str:
        """`digest`, when an image has it; raises UsageError that lists those there are."""
        images = self.images()
        if digest in (image["imageDigest"] for image in images):
            return digest
        raise UsageError(
            f"--rollback {digest}: the repository {self.name} has no such image. {_listed(images)}"
        )

    def build_and_push(self, engine: str, recipe: Recipe, *, rebuild: bool = False) -> str:
        """The digest of the image that `recipe` gives; builds and pushes unless it is there already."""
        inputs, commit = recipe.inputs(), recipe.commit()
        there = None if rebuild else self.digest(inputs)
        if there is not None:
            say(f"image: {there} is already there, made from the same sources")
            return there
        place = f"{self.uri}:{commit}-{inputs}{f'-{int(time.time())}' if rebuild else ''}"
        arguments = {"REVISION": commit, **recipe.build_arguments}
        options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
        # Jobs run on x86-64, also when this is an ARM laptop. An attestation would make the image a list of images.
        options += ["--platform=linux/amd64", *(["--no-cache", "--pull"] if rebuild else [])]
        environment = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
        run([engine, "build", f"--tag={place}", *options, str(recipe.root)], environment=environment)
        self._log_in(engine)
        run([engine, "push", place])
        pushed = self.digest(inputs)
        if pushed is None:
            raise ServiceError(
                f"{place} was pushed, but the repository does not show it. Run ./deploy.sh again."
            )
        return pushed

    def _log_in(self, engine: str) -> None:
        ecr = self.account.client("ecr")
        with self.account.asking("ECR login"):
            [given] = ecr.get_authorization_token()["authorizationData"]
        user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
        host = self.uri.split("/")[0]
        run([engine, "login", "--username", user, "--password-stdin", host], said=password)


def _listed(images: Iterable[Mapping[str, Any]]) -> str:
    lines = [f"{image['imageDigest']} ({', '.join(image.get('imageTags', ['no tag']))})" for image in images]
    return "There are:\n  " + "\n  ".join(lines[:10]) if lines else "There is none at all."
