"""The endpoint as an ASGI application: the same under `batchlab serve`, in AWS Lambda and in tests."""

from __future__ import annotations

from typing import Literal

from starlette.types import ASGIApp

from batchlab.backend import Backend
from batchlab.page import Pages
from batchlab.service.public_door import PublicDoor
from batchlab.settings import Settings

Part = Literal["api", "public", "both"]


def make_app(
    settings: Settings,
    *,
    part: Part = "both",
    backend: Backend | None = None,
    pages: Pages | None = None,
    in_lambda: bool = False,
) -> ASGIApp:
    """The addresses under /v1, answered by `backend`, and those that customers open, answered from `pages`.

    `in_lambda`: IAM has looked at who calls before it comes here, and AWS bounds how much does.
    """
    app: ASGIApp | None = None
    if part != "public":
        assert backend is not None, "the addresses under /v1 need a backend"
        from batchlab.service.api_app import make_api

        app = make_api(backend, settings, guarded=not in_lambda)
    if part != "api":
        assert pages is not None, "customers' addresses need their pages"
        app = PublicDoor(pages, settings, app)
    assert app is not None
    if in_lambda:
        return app
    from batchlab.service.framing import Framing
    from batchlab.service.rate_limit import RateLimit

    return Framing(RateLimit(app))
