"""The addresses under /v1 as one ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from batchlab.backend import Backend
from batchlab.service.bodies import Bodies
from batchlab.service.doorkeeper import Doorkeeper
from batchlab.service.problem import answer_errors
from batchlab.service.routes import Desk, router
from batchlab.settings import Settings


def make_api(
    backend: Backend, settings: Settings, *, guarded: bool = True, bodies: Bodies | None = None
) -> ASGIApp:
    """`guarded`: the caller shows the token of the settings, or is on this machine."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    answer_errors(app, router.routes)
    app.state.desk = Desk(backend, settings, bodies or Bodies())
    app.include_router(router)
    return Doorkeeper(app, settings.token) if guarded else app
