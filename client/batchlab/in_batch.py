"""Jobs handed to AWS Batch from here: what they may touch is for their container's settings to say, not for ours."""

from __future__ import annotations

import random
import time

from batchlab.api import Estimate, JobInfo
from batchlab.authority import Authority
from batchlab.document import JobDocument
from batchlab.errors import DocumentError
from batchlab.kinds import ItemError
from batchlab.service import submission
from batchlab.service.admission import sources_of
from batchlab.service.dispatch import NotYet
from batchlab.service.jobs import Jobs

_PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 4.0)  # seconds; then it is said


class JobsInBatch(Jobs):
    """The jobs of a bucket that AWS Batch runs. Who may write there may submit; the container checks what for."""

    def submit(self, document: JobDocument) -> JobInfo:
        places = [*sources_of(document), document.output or ""]
        here = [place for place in places if place.startswith("file:")]
        if here:
            raise DocumentError(
                f"{here[0]} is on this machine, and the job runs elsewhere. Upload it, or: batchlab run"
            )
        for pause in _PAUSES:
            try:
                return self.get(submission.submit(self.service, document).id)
            except NotYet:  # somebody else submits the same job at this very moment, or AWS is busy
                time.sleep(random.uniform(pause / 2, pause))
        return self.get(submission.submit(self.service, document).id)

    def estimate(self, document: JobDocument) -> Estimate:
        """Some of the sources that the document names are looked at from here."""
        from batchlab.estimate import estimate

        settings = self.service.settings
        try:
            allowed = Authority.granted(
                sources=sources_of(document), settings=settings, store_url=settings.store
            )
        except ItemError as error:
            raise DocumentError(error.message) from None
        return estimate(document, settings, authority=allowed)
