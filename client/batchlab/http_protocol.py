"""Asking the endpoint until it answers, without sending anything: HttpBackend and AsyncClient send.

steps = exchange(ask, ...)         a generator: yields Send and Sleep, is sent the response or the httpx error
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from batchlab.api import Problem
from batchlab.errors import BatchlabError, Denied, DocumentError, KeyTaken, NotFound, ServiceError
from batchlab.http_asks import Ask, retry_after, values_of
from batchlab.redact import shown

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

LONGEST_PAUSE_SECONDS = 60.0  # a Retry-After between two attempts counts up to here; then the caller is told
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNTOUCHED = frozenset({425, 429, 503})  # refused before anything was done
_KEY_TAKEN = re.compile("idempotency_key: .* already")  # records.create_job
_DOCUMENT = frozenset({400, 409, 410, 413, 415, 422})


@dataclass(frozen=True)
class Patience:
    """How often a request is sent, and how long is waited in between."""

    attempts: int = 5
    first_seconds: float = 0.5  # then twice as long each time, and at least half of it at random
    longest_seconds: float = 20.0

    def pause(self, attempt: int, asked_seconds: float | None) -> float:
        """Before the next one after `attempt` (from 1): what the service asked for, else the back-off."""
        longest = min(self.longest_seconds, self.first_seconds * 2 ** (attempt - 1))
        drawn = random.uniform(longest / 2, longest)
        return drawn if asked_seconds is None else max(drawn, asked_seconds)


@dataclass(frozen=True)
class Sleep:
    """Nothing is to be sent for so long."""

    seconds: float


class Send:
    """The request is to be sent; the response is wanted, or the httpx.HTTPError that came instead."""


def exchange(
    ask: Ask[T], base: str, patience: Patience, left: Callable[[], float]
) -> Generator[Send | Sleep, httpx.Response | httpx.HTTPError | None, T]:
    """What to do, step by step, until the answer is there; returns it or raises the error it means.

    Nothing is repeated once `left()` seconds do not last for the pause before it.
    """
    import httpx

    attempt = 0
    while True:
        attempt += 1
        came = yield Send()
        if isinstance(came, httpx.Response):
            if came.status_code < 300 or came.status_code == 304:
                return _read(ask, came, base)
            failure, asked = error_of(came, base), retry_after(came.headers)
            again = _worth_repeating(ask, came.status_code)
        else:
            assert isinstance(came, httpx.HTTPError)
            failure, asked = _unreachable(came, base, ask), None
            never_sent = isinstance(came, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            again = isinstance(came, httpx.TransportError) and (ask.repeatable or never_sent)
            again = again and not isinstance(came, httpx.UnsupportedProtocol) and not _untrusted(came)
        if not again or attempt >= patience.attempts or (asked or 0) > LONGEST_PAUSE_SECONDS:
            raise failure
        pause = patience.pause(attempt, asked)
        if pause >= left():
            raise failure
        yield Sleep(pause)


def error_of(answer: httpx.Response, base: str) -> BatchlabError:
    """The error of ours that an answer of 300 and more means."""
    status, problem = answer.status_code, _problem(answer)
    said = problem.detail or problem.title
    if 300 <= status < 400:
        there = shown(answer.headers.get("location", "another address"))
        return ServiceError(
            f"{base} sends us on to {there}. Put that address in BATCHLAB_URL if you trust it."
        )
    if status in (401, 403):
        cure = "Check BATCHLAB_TOKEN, or the AWS credentials and whether they may call the function URL."
        return Denied(f"{base} refuses access ({status}). {said} {cure}".replace("  ", " "))
    if status == 404:
        return NotFound(
            said if problem.detail else f"{base} has nothing at this address. Check BATCHLAB_URL."
        )
    if status in _DOCUMENT and not (status == 409 and "retry-after" in answer.headers):
        problems = list(problem.problems) or [said]
        taken = any(_KEY_TAKEN.match(each) for each in problems)
        return KeyTaken(problems) if taken else DocumentError(problems)
    cure = "Try again in a while." if status in _PASSING or status == 409 else "Its log says more."
    return ServiceError(f"{base} answered {status}: {said.rstrip('.')}. {cure}")


def _worth_repeating(ask: Ask[Any], status: int) -> bool:
    if status == 409:
        return ask.in_flight
    return status in (_PASSING if ask.repeatable else _UNTOUCHED)


def _unreachable(error: httpx.HTTPError, base: str, ask: Ask[Any]) -> ServiceError:
    what = f"{type(error).__name__}: {error}".rstrip(": ")
    if _untrusted(error):
        return ServiceError(
            f"{base} shows a certificate that this machine does not trust ({error}). "
            "Name your authority's certificates in SSL_CERT_FILE."
        )
    doubt = (
        "" if ask.repeatable else " Whether it was done is not known: look at the job before you repeat it."
    )
    return ServiceError(f"{base} did not answer ({what}). Check BATCHLAB_URL and the network.{doubt}")


def _untrusted(error: Exception) -> bool:
    return "CERTIFICATE_VERIFY_FAILED" in str(error)


def _read(ask: Ask[T], answer: httpx.Response, base: str) -> T:
    try:
        return ask.read(answer)
    except (ValueError, KeyError, TypeError) as error:  # ValidationError is a ValueError
        why = error.errors(include_url=False)[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise ServiceError(
            f"{base} gave an answer that is none of batchlab's ({why}). Check BATCHLAB_URL."
        ) from None


def _problem(answer: httpx.Response) -> Problem:
    try:
        return Problem.model_validate(values_of(answer))
    except (ValueError, TypeError):  # a gateway's own words
        return Problem(title=answer.reason_phrase or "no words", status=answer.status_code)
