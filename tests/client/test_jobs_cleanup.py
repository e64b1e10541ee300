"""The params of cleanup."""

from datetime import timedelta

import pytest

from batchlab.document import load_document
from batchlab.errors import DocumentError


def test_a_bare_document_is_enough_for_the_nightly_schedule() -> None:
    params = load_document("type: cleanup").typed_params
    assert (params.dry_run, params.keep_documents, params.uploads_older_than) == (
        False,
        timedelta(days=90),
        timedelta(days=7),
    )


def test_documents_may_be_kept_for_ever() -> None:
    document = load_document("type: cleanup\nparams: {keepDocuments: null}")
    assert document.typed_params.keep_documents is None


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ("keep_documents: 23h", "params.keep_documents: is too short: at least 1d"),
        ("uploads_older_than: 59m", "params.uploads_older_than: is too short: at least 1h"),
        ("keep_document: 90d", "params.keep_document: unknown field. Did you mean keep_documents?"),
        ("keep_documents: 90", "params.keep_documents: expected a duration"),
    ],
)
def test_nobody_deletes_what_is_of_today_by_a_slip(params: str, said: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load_document(f"type: cleanup\nparams: {{{params}}}")
    assert said in str(refused.value)


def test_one_machine_looks_at_the_store() -> None:
    with pytest.raises(DocumentError, match="shards"):
        load_document("type: cleanup\nshards: 2")
