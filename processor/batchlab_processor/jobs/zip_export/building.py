"""The archives of a job while its photos come in: what was planned, what earlier runs sent, what is lost.

jobs/<id>/g<n>/lost/<round>-<volume>-<member>.json   a photo that is lost, written before its filler is sent: lost
                                                     once, lost for this generation, whoever works on it
"""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Any

from batchlab.errors import ServiceError
from batchlab.kinds import ItemError, Kind
from batchlab.outcome import Failed, Skipped
from batchlab.store import AlreadyExists
from batchlab_processor.job import Context, Entry
from batchlab_processor.jobs.zip_export.assembly import Assembly, Origin, Ready
from batchlab_processor.jobs.zip_export.buffers import LOOK_SECONDS, Buffers
from batchlab_processor.jobs.zip_export.copying import plan_copies
from batchlab_processor.jobs.zip_export.fetching import fetch, fill
from batchlab_processor.jobs.zip_export.notes import NOTE, part_note, reset_note, restore
from batchlab_processor.jobs.zip_export.photo import Member, Photo
from batchlab_processor.jobs.zip_export.receive import changed, look_again
from batchlab_processor.jobs.zip_export.volume import Volume, layout_of, options_for, target, trouble
from batchlab_processor.storage.parts import CannotCopy

_ANEW = (Kind.CHANGED, Kind.CORRUPT)  # after these nothing of an earlier attempt counts


class Building:
    """See the module's text; one instance for each round of work. Thread-safe."""

    def __init__(self, ctx: Context, facts: dict[str, Any], *, fresh: bool) -> None:
        """`facts`: those of the sink's plan. `fresh`: it was made in this very run, so nothing was sent yet."""
        self._ctx = ctx
        self._facts = facts
        self._round = 2 if "left_out" in facts else 1
        self._broken: BaseException | None = None
        self._lock = threading.Lock()
        self._uploads: set[Future[None]] = set()
        self._failed: dict[str, Kind] = {}  # by key: how the last attempt of this run ended
        self._again: dict[str, Photo] = {}  # by key: as its source describes it by now
        self._server_copies = True  # as far as is known
        self._tells_crc32 = True  # of what it copies; as far as is known
        self.copied_bytes = 0  # by the server, in any run of this round
        self.lost: dict[str, ItemError] = {}
        self.places: dict[str, tuple[Volume, int]] = {}
        workers = ctx.document.limits.workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="upload")
        self.buffers = Buffers(facts["part_bytes"], 2 * workers, self.check)
        self.volumes = list(self._volumes())
        if not fresh:
            self._look_back()
        for volume in self.volumes:
            photos = [self.photo(volume, member) for member in range(len(volume.photos))]
            plan_copies(volume.assembly, photos, volume.url, told=volume.options.crc32)

    # -- photos --------------------------------------------------------------------------------------------

    def settled(self, key: str) -> Member | None:
        """The photo, when earlier runs brought all its bytes to the target."""
        if key not in self.places or key in self.lost:
            return None
        volume, member = self.places[key]
        there = volume.completed is not None or volume.assembly.crcs[member] is not None
        return volume.member(member) if there else None

    def work(self, key: str, ctx: Context) -> Member:
        """Fetches what is not sent of a photo. Raises ItemError; JobFailed or ServiceError when the target is gone."""
        if key in self.lost:
            raise self.lost[key]
        volume, member = self.places[key]
        assembly = volume.assembly
        with self.buffers.at_work():
            self.check()
            try:
                photo = self._as_it_is_now(key, volume, member, ctx)
                for number, origin in assembly.copies(member):
                    self._copy(volume, number, origin, photo, ctx)
                fetch(photo, member, assembly, ctx)
                crc32, known = assembly.crc32(member), assembly.known[member]
                if None not in (crc32, known) and crc32 != known:
                    raise ItemError(Kind.CORRUPT, f"{photo.name} does not match the CRC-32 of its source.")
            except ItemError as error:
                self._failed[key] = error.kind
                raise
            found = known if crc32 is None else crc32
            assert found is not None  # only pieces of a photo with a known CRC-32 are copied without one
            assembly.finish(member, found)
        return volume.member(member)

    def photo(self, volume: Volume, member: int) -> Photo:
        """The version of it that is in the archive, or is to be."""
        return self._again.get(volume.keys[member]) or volume.photos[member]

    def lose(self, outcome: Failed | Skipped) -> None:
        """The photo's place is a filler's from now on; again is no error."""
        if isinstance(outcome, Failed):
            self.lose_key(outcome.key, outcome.kind, outcome.message)
        else:
            self.lose_key(outcome.key, Kind.TIMEOUT, "The job ended before this photo was started.")

    def lose_key(self, key: str, kind: Kind, message: str) -> None:
        """See lose."""
        if key not in self.places or key in self.lost:
            return
        volume, member = self.places[key]
        try:
            body = {"key": key, "kind": kind, "message": message}
            self._ctx.store.create(f"{self._lost_prefix}{self._round}-{volume.number}-{member}.json", body)
        except AlreadyExists:
            pass  # an earlier run lost it
        self.lost[key] = ItemError(kind, message)
        volume.assembly.lose(member)

    # -- parts ---------------------------------------------------------------------------------------------

    def send(self, volume: Volume, ready: Ready) -> str:
        """The ETag of the part, which is at the target now, and in the ledger soon."""
        etag = volume.parts.send(ready.part + 1, memoryview(ready.buffer)[: ready.size_bytes])
        self._ctx.uploaded(ready.size_bytes)
        self.note(volume, ready, etag)
        return etag

    def note(self, volume: Volume, ready: Ready, etag: str, *, copied: bool = False) -> None:
        """Keeps what a part is, so that a later run knows it. `copied`: by the server."""
        self._note(volume, part_note(ready, etag, copied=copied), flush=False)

    def _note(self, volume: Volume, body: dict[str, Any], *, flush: bool) -> None:
        self._ctx.note(NOTE, {"round": self._round, "volume": volume.number, **body}, flush=flush)

    def drain(self) -> None:
        """Returns when every part that was complete is at the target; raises as `check` does."""
        while True:
            if self._ctx.stop.is_set():
                self._ctx.confirm()
            self.check()
            with self._lock:
                uploads = set(self._uploads)
            if not uploads:
                return
            wait(uploads, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)

    def check(self) -> None:
        """Raises what broke the delivery, and ItemError when the run stops."""
        if self._broken is not None:
            raise self._broken
        if self._ctx.stop.is_set():
            raise ItemError(Kind.NETWORK, "The run stopped before the photo had come whole.")

    def close(self) -> None:
        """No thread is left, and nothing is sent any more."""
        self._broken = self._broken or ServiceError("The run has ended.")
        self._pool.shutdown(wait=True, cancel_futures=True)

    def abort(self) -> None:
        """Nothing is left at the target but archives that are visible."""
        self.close()
        for volume in self.volumes:
            volume.parts.abort()

    def _copy(self, volume: Volume, number: int, origin: Origin, photo: Photo, ctx: Context) -> None:
        """Makes a part by the server's own copy; by reading, when the server cannot."""
        assembly, etag, crc32 = volume.assembly, None, None
        if self._server_copies and (photo.crc32 is not None or self._tells_crc32):
            try:
                etag, crc32 = ctx.storage.copy_part(
                    volume.parts,
                    number + 1,
                    origin.url,
                    origin.start,
                    origin.end,
                    origin.validator,
                    delivered=origin.delivered,
                )
            except CannotCopy as cannot:
                self._server_copies = False
                ctx.log.info("%s It is read and sent instead.", cannot)
        size_bytes = origin.end - origin.start
        copied = etag is not None and not (crc32 is None and photo.crc32 is None)
        if not copied:
            self._tells_crc32 = self._tells_crc32 and etag is None
            buffer = self.buffers.take()
            try:
                view = memoryview(buffer)[:size_bytes]
                with ctx.storage.open(
                    origin.url,
                    start=origin.start,
                    end=origin.end,
                    validator=origin.validator,
                    delivered=origin.delivered,
                ) as reader:
                    crc32 = fill(view, photo, reader, ctx)
                etag = volume.parts.send(number + 1, view)
            finally:
                self.buffers.give_back(buffer, sent=False)
            ctx.uploaded(size_bytes)
        else:
            with self._lock:
                self.copied_bytes += size_bytes
        assert etag is not None
        self.note(volume, assembly.copied(number, etag, crc32), etag, copied=copied)

    def _ready(self, volume: Volume, ready: Ready) -> None:
        try:
            future = self._pool.submit(self._upload, volume, ready)
        except RuntimeError:  # closed meanwhile: no fault of the photo's
            self.check()
            raise
        with self._lock:
            self._uploads.add(future)
        future.add_done_callback(self._uploads.discard)

    def _upload(self, volume: Volume, ready: Ready) -> None:
        try:
            if self._broken is None:
                volume.assembly.sent(ready, self.send(volume, ready))
        except BaseException as error:  # noqa: BLE001  whoever works on a photo next raises it
            self._broken = self._broken or trouble(error)
        finally:
            self.buffers.give_back(ready.buffer, sent=True)

    # -- beginning -----------------------------------------------------------------------------------------

    @property
    def _lost_prefix(self) -> str:
        return f"jobs/{self._ctx.document.id}/g{self._ctx.generation}/lost/"

    def _volumes(self) -> Any:
        left_out = frozenset(self._facts.get("left_out", ()))
        entries = (
            entry for entry in self._ctx.planned if isinstance(entry, Entry) and entry.key not in left_out
        )
        for number, planned in enumerate(self._facts["volumes"]):
            keys, photos = [], []
            for entry in islice(entries, planned["count"]):
                keys.append(entry.key)
                photos.append(entry.item)
            yield self._volume(number, planned, keys, photos)

    def _volume(self, number: int, planned: dict[str, Any], keys: list[str], photos: list[Photo]) -> Volume:
        layout = layout_of(photos, self._facts["part_bytes"])
        name = planned["name"]
        url = target(self._ctx, name, self._facts)
        options = options_for(self._ctx, url, layout, photos, number)
        parts = self._ctx.storage.resume_parts(url, planned["upload"], options, layout.part_bytes)
        assembly = Assembly(
            layout, [photo.crc32 for photo in photos], self.buffers, lambda ready: self._ready(volume, ready)
        )
        shared = "shared" in self._facts
        volume = Volume(number, name, url, keys, photos, options, parts, assembly, shared)
        self.places |= {key: (volume, member) for member, key in enumerate(keys)}
        return volume

    def _look_back(self) -> None:
        for name in self._ctx.store.names(self._lost_prefix):
            stored = self._ctx.store.read(name)
            if stored is not None and (key := stored.body["key"]) in self.places:
                self.lost[key] = ItemError(Kind(stored.body["kind"]), stored.body["message"])
                volume, member = self.places[key]
                volume.assembly.lose(member)
        notes = self._ctx.notes(NOTE)
        for volume in self.volumes:
            of_volume = (self._round, volume.number)
            self._resume(volume, [note for note in notes if (note["round"], note["volume"]) == of_volume])

    def _resume(self, volume: Volume, notes: list[dict[str, Any]]) -> None:
        uploads = [note["upload"] for note in notes if "upload" in note]
        if uploads:
            volume.parts = self._ctx.storage.resume_parts(
                volume.url, uploads[-1], volume.options, volume.layout.part_bytes
            )
        try:
            there = volume.parts.sent()
        except ItemError as error:
            if error.kind is not Kind.MISSING:
                raise trouble(error) from error
            volume.completed = volume.parts.completed()
            if volume.completed is None:
                self._begin_again(volume)
            return
        self.copied_bytes += restore(volume, notes, there, self._again)

    def _begin_again(self, volume: Volume) -> None:
        """The server has forgotten the upload, by its lifecycle rules or by somebody's hand."""
        if self._ctx.phase == "work":  # other shards are at work: only a run that is alone may begin again
            raise ServiceError("The unfinished upload is gone. The phase `collect` begins it again.")
        self._ctx.storage.abort_uploads(volume.url)
        volume.parts = self._ctx.storage.begin_parts(volume.url, volume.options, volume.layout.part_bytes)
        self._note(volume, {"upload": volume.parts.id}, flush=True)

    def _as_it_is_now(self, key: str, volume: Volume, member: int, ctx: Context) -> Photo:
        """The photo as it is to be fetched; another version of it than planned, when nothing forbids that."""
        photo, assembly = self.photo(volume, member), volume.assembly
        if photo.delivered is not None or assembly.committed(member):
            return photo
        if self._failed.get(key) in _ANEW:
            photo = look_again(photo, ctx)
            if photo.size_bytes != volume.photos[member].size_bytes:
                raise changed(volume.photos[member], photo.size_bytes)
            self._reset(volume, member, photo)
        elif photo.validator is None and assembly.begun(member):
            self._reset(volume, member, photo)  # nobody can tell whether the rest is of the same version
        return photo

    def _reset(self, volume: Volume, member: int, photo: Photo) -> None:
        """Nothing that came of the photo counts any more, in this run or a later one."""
        volume.assembly.forget(member)  # returns when its parts have arrived, and their notes are written
        self._note(volume, reset_note(member, photo), flush=True)
        volume.assembly.known[member] = photo.crc32
        self._again[volume.keys[member]] = photo
