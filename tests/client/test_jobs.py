"""Which job types are known, ours and strangers'."""

from importlib.metadata import EntryPoint

import pytest

import batchlab.jobs
from batchlab.document import load_document
from batchlab.errors import DocumentError
from batchlab.jobs import built_in_types, known_types, params_model
from batchlab.jobs.self_test import SelfTestParams
from batchlab.jobs.zip_export import ZipExportParams


def install(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    entries = {name: EntryPoint(name, value, batchlab.jobs.GROUP) for name, value in values.items()}
    monkeypatch.setattr(batchlab.jobs, "_strangers", lambda: entries)


def test_our_own_types_are_always_known() -> None:
    assert built_in_types() == ("cleanup", "contact-sheets", "self-test", "zip-export")
    assert set(built_in_types()) <= set(known_types())
    assert params_model("zip-export") is ZipExportParams
    assert params_model("self-test") is SelfTestParams
    assert params_model("shout") is None


def test_a_strangers_params_come_by_an_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, shout="batchlab.jobs.self_test:SelfTestParams")
    assert "shout" in known_types()
    assert load_document("type: shout\nparams: {network: false}").typed_params == SelfTestParams(
        network=False
    )
    with pytest.raises(DocumentError, match=r"params.netwrk: unknown field. Did you mean network\?"):
        load_document("type: shout\nparams: {netwrk: false}")


def test_nobody_takes_the_name_of_one_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        batchlab.jobs, "_strangers", lambda: {"zip-export": EntryPoint("zip-export", "evil:Params", "")}
    )
    assert params_model("zip-export") is ZipExportParams


@pytest.mark.parametrize(
    ("value", "said"),
    [("batchlab.nowhere:Params", "cannot be imported"), ("batchlab.ids:new_id", "is no pydantic model")],
)
def test_a_broken_stranger_is_named(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    install(monkeypatch, shout=value)
    with pytest.raises(DocumentError, match=f"type: shout is installed, but {value} {said}"):
        load_document("type: shout")
