"""One image for all tests of this folder; it takes two minutes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.containers import podman
from tests.containers.stranger import stranger_wheel

CHINESE = "fonts-wqy-microhei"  # EXTRA_FONTS of the image under test: 5 MB, where fonts-noto-cjk has 90


@dataclass(frozen=True)
class Built:
    """The image under test."""

    podman: podman.Podman
    base: str
    image: str  # name@sha256:...


@pytest.fixture(scope="session")
def built() -> Iterator[Built]:
    """The real Dockerfile on a base made here, with a stranger's job type and font in it."""
    if reason := podman.missing():
        pytest.skip(reason)
    with podman.own_podman() as engine:
        base = podman.make_base(engine)
        wheels = engine.folder / "wheels"
        wheels.mkdir()
        packages = stranger_wheel(wheels)
        yield Built(engine, base, podman.build(engine, base, wheels=wheels, packages=packages, fonts=CHINESE))
