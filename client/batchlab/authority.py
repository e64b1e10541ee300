"""What a job may touch. It comes from the door a job came in by, never from the job's document.

Submitted documents get what the settings list (`Authority.of_settings`); a run on the command line also gets
what its user named (`Authority.granted`), kept as jobs/<id>/grant.json. The same check is made wherever a URL
is met: at submission, in the processor, at every redirect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

from batchlab.addresses import is_loopback, is_public, parse_address
from batchlab.errors import DocumentError
from batchlab.kinds import ItemError, Kind
from batchlab.locations import OBJECT_SCHEMES, WEB_SCHEMES, Location, blocked, locate
from batchlab.roots import Hosts, PathRoots, host_entry
from batchlab.settings import Settings

_WRITE = "deliver to s3://, r2://, gs:// or file://"


@dataclass(frozen=True)
class Authority:
    """Lists of what is allowed; an empty one allows nothing. JSON through `as_json` and `from_json`."""

    source_roots: tuple[str, ...] = ()  # s3://, r2://, gs:// prefixes; file:// for CLI runs only
    output_roots: tuple[str, ...] = ()
    http_hosts: tuple[str, ...] = ()  # example.com, example.com:8443, *.example.com
    job_types: tuple[str, ...] | None = ()  # None: all that are installed
    allow_local: bool = False  # listed hosts may be loopback, and plain http
    overwrite: bool = False  # an existing object at the target may be replaced
    exact_target: bool = False  # the output is the very key, not a prefix of <id>/g<n>/<name>
    file_sources: bool = False  # whether file:// may be read at all; never for submitted documents
    allow_memory: bool = False  # memory://, for tests
    store_url: str = ""  # where job documents live: neither source nor output

    @classmethod
    def of_settings(cls, settings: Settings, *, store_url: str | None = None) -> Authority:
        """What submitted documents may touch: the lists of the settings and nothing else."""
        return cls(
            source_roots=settings.source_roots,
            output_roots=settings.output_roots,
            http_hosts=settings.http_hosts,
            job_types=settings.job_types,
            allow_local=settings.allow_local,
            store_url=settings.store if store_url is None else store_url,
        )

    @classmethod
    def granted(
        cls,
        *,
        sources: Iterable[str] = (),
        outputs: Iterable[str] = (),
        allow_local: bool = False,
        overwrite: bool = False,
        exact_target: bool = True,
        settings: Settings | None = None,
        store_url: str = "",
        allow_memory: bool = False,
    ) -> Authority:
        """What a run on the command line may touch: what its user named, and the lists of `settings`.

        An s3://, r2://, gs:// or file:// URL grants itself and all below it; an https:// URL grants its host
        and port, so no token of a URL is kept. Raises ItemError(blocked_url) for a URL that is none.
        """
        places = [locate(url) for url in sources]
        targets = [locate(url) for url in outputs]
        for target in targets:
            _refuse_web_output(target)
        known = settings or Settings()
        return cls(
            source_roots=_unique(
                known.source_roots, (place.url for place in places if place.scheme not in WEB_SCHEMES)
            ),
            output_roots=_unique(known.output_roots, (target.url for target in targets)),
            http_hosts=_unique(
                known.http_hosts, (host_entry(place) for place in places if place.scheme in WEB_SCHEMES)
            ),
            job_types=None,
            allow_local=allow_local or known.allow_local,
            overwrite=overwrite,
            exact_target=exact_target,
            file_sources=True,
            allow_memory=allow_memory,
            store_url=store_url,
        )

    def as_json(self) -> dict[str, Any]:
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Authority:
        """The authority that `as_json` wrote; raises DocumentError for another kind of body."""
        known = {field.name for field in fields(cls)}
        if strange := sorted(set(body) - known):
            raise DocumentError(f"grant.json: no field {strange[0]}. Written by another version of batchlab?")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in body.items()
        }
        return cls(**values)

    def check_source(self, url: str) -> str:
        """`url`, normalised, when a job may read it or list below it; else ItemError(blocked_url)."""
        place = locate(url)
        if place.scheme in WEB_SCHEMES:
            self._check_web(place)
            return place.url
        if place.scheme == "file" and not self.file_sources:
            raise blocked(url, "a submitted job reads no file://; upload it to s3://, r2:// or gs:// first")
        self._check_memory(place)
        if self._store is not None and _reads(place, self._store):
            raise blocked(url, "job documents live there or below; choose a place outside BATCHLAB_STORE")
        if not self._sources.admit(place) and place.scheme == "file":  # the setting takes no file://
            raise blocked(
                url, "it lies in no place that the command or its document names. Name its folder there"
            )
        if not self._sources.admit(place):
            raise blocked(url, f"it lies in no listed place. Add {_folder(place)} to BATCHLAB_SOURCE_ROOTS")
        return place.url

    def check_output(self, url: str) -> str:
        """`url`, normalised, when a job may write it or below it; else ItemError(blocked_url)."""
        place = locate(url)
        _refuse_web_output(place)
        self._check_memory(place)
        if self._store is not None and _inside(place, self._store):
            raise blocked(url, "job documents live there; choose a place outside BATCHLAB_STORE")
        if not self._outputs.admit(place):
            raise blocked(url, f"it lies in no listed place. Add {_folder(place)} to BATCHLAB_OUTPUT_ROOTS")
        return place.url

    def check_type(self, name: str) -> str:
        """`name`, when jobs of this type may run; else ItemError(validation)."""
        if self.job_types is not None and name not in self.job_types:
            raise ItemError(Kind.VALIDATION, f"type: {name} is not allowed. Add it to BATCHLAB_JOB_TYPES.")
        return name

    def refusals(
        self, *, job_type: str | None = None, sources: Iterable[str] = (), outputs: Iterable[str] = ()
    ) -> list[str]:
        """Why a job may not run, a line for each thing that is not allowed; [] when it may."""
        types = () if job_type is None else (job_type,)
        lines = []
        for check, texts in (
            (self.check_type, types),
            (self.check_source, sources),
            (self.check_output, outputs),
        ):
            for text in texts:
                try:
                    check(text)
                except ItemError as refused:
                    lines.append(refused.message)
        return lines

    def allows_local(self, url: str) -> bool:
        """Whether this https:// or http:// URL may lead to this machine itself: its host is listed by name."""
        return self.allow_local and self._hosts.admit(locate(url), by_name=True)

    def _check_web(self, place: Location) -> None:
        address = parse_address(place.host)
        if address is not None and not is_public(address) and not is_loopback(address):
            raise blocked(place.url, "its host is an address inside the network, not a public server")
        if not self._hosts.admit(place):
            raise blocked(
                place.url, f"its host is not listed. Add {host_entry(place)} to BATCHLAB_HTTP_HOSTS"
            )
        if place.scheme == "http" and not self.allows_local(place.url):
            cure = "use https://, or --allow-local (BATCHLAB_ALLOW_LOCAL=1) with its host listed by name"
            raise blocked(place.url, f"plain http can be read and changed on its way; {cure}")

    def _check_memory(self, place: Location) -> None:
        if place.scheme == "memory" and not self.allow_memory:
            raise blocked(place.url, "memory:// is for tests; use s3://, r2://, gs:// or file://")

    @cached_property
    def _sources(self) -> PathRoots:
        return PathRoots(self.source_roots)

    @cached_property
    def _outputs(self) -> PathRoots:
        return PathRoots(self.output_roots)

    @cached_property
    def _hosts(self) -> Hosts:
        return Hosts(self.http_hosts)

    @cached_property
    def _store(self) -> Location | None:
        return locate(self.store_url) if self.store_url else None


def _unique(first: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *more)))


def _refuse_web_output(place: Location) -> None:
    if place.scheme in WEB_SCHEMES:
        cure = "deliver to s3://, r2://, gs:// or file://"
        raise blocked(place.url, f"{place.scheme}:// cannot be written; {cure}")


def _folder(place: Location) -> str:
    """The place's directory: the setting most likely meant."""
    url = place.url
    return url if url.endswith("/") or not place.segments else url.rpartition("/")[0] + "/"


def _inside(place: Location, store: Location) -> bool:
    """Whether `place` is the store or in it. One bucket may be reached as s3, r2 and gs: these count as one."""
    alike = place.scheme == store.scheme or {place.scheme, store.scheme} <= set(OBJECT_SCHEMES)
    depth = len(store.segments)
    return alike and place.host == store.host and place.segments[:depth] == store.segments


def _reads(place: Location, store: Location) -> bool:
    """Whether reading `place`, or listing what begins with it, shows job documents.

    A listing takes every key that begins with its text: "s3://bucket/ba" lists s3://bucket/batchlab/.
    """
    if _inside(place, store):
        return True
    bucket = Location(place.scheme, place.host, 0, "")
    around = "/".join(store.segments).startswith("/".join(place.segments))
    return place.scheme in OBJECT_SCHEMES and _inside(store, bucket) and around
