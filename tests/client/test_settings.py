"""The environment is read in one place, completely, and its secrets stay there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

import batchlab
from batchlab.errors import UsageError
from batchlab.kinds import ItemError, Kind
from batchlab.named import SECRET_VARIABLES, SECTIONS
from batchlab.settings import PREFIX, VARIABLES, Settings

HOME = {"HOME": "/home/ana"}


def read(**environ: str) -> Settings:
    return Settings.from_environment(HOME | environ)


def problems(**environ: str) -> list[str]:
    with pytest.raises(UsageError) as raised:
        read(**environ)
    assert raised.value.exit_code == 2
    return raised.value.message.splitlines()


def test_an_empty_environment_allows_nothing() -> None:
    settings = read()
    assert settings.source_roots == settings.output_roots == settings.http_hosts == settings.job_types == ()
    assert not settings.allow_local and not settings.in_batch and settings.warnings == ()


@pytest.mark.parametrize(
    ("environ", "store"),
    [
        ({}, "file:///home/ana/.local/state/batchlab"),
        ({"XDG_STATE_HOME": "/var/state"}, "file:///var/state/batchlab"),
        ({"XDG_STATE_HOME": "relative"}, "file:///home/ana/.local/state/batchlab"),
        ({"BATCHLAB_STORE": "s3://jobs/batchlab/"}, "s3://jobs/batchlab"),
        ({"BATCHLAB_STORE": "/srv/batch lab"}, "file:///srv/batch%20lab"),
        ({"BATCHLAB_STORE": " "}, "file:///home/ana/.local/state/batchlab"),
    ],
)
def test_jobs_of_a_user_live_in_the_users_state_unless_said_otherwise(
    environ: dict[str, str], store: str
) -> None:
    assert read(**environ).store == store


def test_lists_are_read_normalised_and_without_doubles() -> None:
    settings = read(
        BATCHLAB_SOURCE_ROOTS="s3://gallery/photos, GS://events/a%20b\n r2://x23",
        BATCHLAB_OUTPUT_ROOTS="file:///srv/out,s3://delivery/zips/",
        BATCHLAB_HTTP_HOSTS="Photos.example, *.CDN.example photos.example [::1]:8080,Bücher.example",
        BATCHLAB_JOB_TYPES="zip-export,self-test",
        BATCHLAB_ALLOW_LOCAL="yes",
        BATCHLAB_LOG_LEVEL="DEBUG",
    )
    assert settings.source_roots == ("s3://gallery/photos", "gs://events/a%20b", "r2://x23/")
    assert settings.output_roots == ("file:///srv/out", "s3://delivery/zips/")
    assert settings.http_hosts == ("photos.example", "*.cdn.example", "[::1]:8080", "xn--bcher-kva.example")
    assert settings.job_types == ("zip-export", "self-test")
    assert settings.allow_local and settings.log_level == "debug"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BATCHLAB_SOURCE_ROOTS", "gallery/photos", "has no scheme"),
        ("BATCHLAB_SOURCE_ROOTS", "file:///photos", "file:// is never a source"),
        ("BATCHLAB_SOURCE_ROOTS", "https://photos.example/", "BATCHLAB_HTTP_HOSTS"),
        ("BATCHLAB_SOURCE_ROOTS", "s3://gallery/../x", ". or .."),
        ("BATCHLAB_OUTPUT_ROOTS", "memory://x", "for tests"),
        ("BATCHLAB_OUTPUT_ROOTS", "file:///", "whole machine"),
        ("BATCHLAB_HTTP_HOSTS", "https://photos.example", "without https://"),
        ("BATCHLAB_HTTP_HOSTS", "photos.example:0", "port"),
        ("BATCHLAB_HTTP_HOSTS", "*.com", "two or more"),
        ("BATCHLAB_HTTP_HOSTS", "ph*.example", "host name"),
        ("BATCHLAB_HTTP_HOSTS", "127.1", "number"),
        ("BATCHLAB_HTTP_HOSTS", "*.0.0.1", "number"),
        ("BATCHLAB_ALLOW_LOCAL", "maybe", "neither yes nor no"),
        ("BATCHLAB_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("BATCHLAB_STORE", "https://photos.example/", "keeps no jobs"),
        ("BATCHLAB_STORE", "jobs", "has no scheme"),
        ("BATCHLAB_CONFIG", "/nowhere/config.yaml", "cannot be read"),
        ("R2_ENDPOINT", "account.r2.cloudflarestorage.com", "https://"),
        ("AWS_BATCH_JOB_ATTEMPT", "first", "whole number"),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_setting(name: str, value: str, said: str) -> None:
    (line,) = problems(**{name: value})
    assert line.startswith(f"{name}: ") and said in line


def test_all_bad_values_are_told_at_once() -> None:
    lines = problems(
        BATCHLAB_SOURCE_ROOTS="a,b s3://good", BATCHLAB_LOG_LEVEL="loud", BATCHLAB_ALLOW_LOCAL="x"
    )
    assert [line.partition(":")[0] for line in lines] == [
        "BATCHLAB_SOURCE_ROOTS", "BATCHLAB_SOURCE_ROOTS", "BATCHLAB_ALLOW_LOCAL", "BATCHLAB_LOG_LEVEL",
    ]  # fmt: skip


def test_an_unknown_setting_is_a_warning_with_the_nearest_name() -> None:
    settings = read(BATCHLAB_SOURCE_ROOT="s3://x23", BATCHLAB_QQQQ="1", BATCHLAB_TEST_FAULTS="5")
    assert settings.warnings == (
        "BATCHLAB_QQQQ is no setting and has no effect.",
        "BATCHLAB_SOURCE_ROOT is no setting and has no effect. Did you mean BATCHLAB_SOURCE_ROOTS?",
    )


def test_a_firebase_account_goes_before_googles_own_variable() -> None:
    assert read(GOOGLE_APPLICATION_CREDENTIALS="/g.json").google_credentials == "/g.json"
    both = read(GOOGLE_APPLICATION_CREDENTIALS="/g.json", FIREBASE_SERVICE_ACCOUNT="/f.json")
    assert both.google_credentials == "/f.json"


def test_a_container_knows_that_it_is_in_batch() -> None:
    settings = read(
        AWS_BATCH_JOB_ID="1f", AWS_BATCH_JOB_ATTEMPT="2", AWS_BATCH_JOB_ARRAY_INDEX="0", AWS_BATCH_JQ_NAME="q"
    )
    assert settings.in_batch and settings.batch_attempt == 2 and settings.batch_array_index == 0


def test_a_child_of_an_array_job_is_a_shard() -> None:
    assert read(AWS_BATCH_JOB_ARRAY_INDEX="2", AWS_BATCH_JOB_ARRAY_SIZE="7").batch_shard == "3/7"
    assert read(AWS_BATCH_JOB_ID="1f").batch_shard == ""


CONFIG = """
passwords:
  plain: canary-plain
  kept: {env: KEPT}
  filed: {file: secret.txt}
  unset: {env: UNSET}
  gone: {file: gone.txt}
databases:
  races: {url: {env: KEPT}, options: [{env: KEPT}, 5]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_text("canary-filed\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path / "config.yaml"


def test_a_password_is_found_by_name_wherever_it_is_kept(config: Path) -> None:
    settings = read(BATCHLAB_CONFIG=str(config), KEPT="canary-kept")
    found = [settings.password(name) for name in ("plain", "kept", "filed")]
    assert found == ["canary-plain", "canary-kept", "canary-filed"]
    assert settings.named.entry("databases", "races") == {"url": "canary-kept", "options": ["canary-kept", 5]}
    assert settings.named.names("passwords") == ("filed", "gone", "kept", "plain", "unset")


def test_an_entry_that_is_one_secret_may_be_a_variable_and_the_file_goes_before(config: Path) -> None:
    told = {"BATCHLAB_PASSWORD_PLAIN": "canary-other", "BATCHLAB_PASSWORD_ANA_BEN_2": "canary-variable"}
    for settings in (read(**told), read(**told, BATCHLAB_CONFIG=str(config))):
        assert settings.password("ana-ben.2") == "canary-variable"
        assert settings.warnings == () and "canary" not in repr(settings)
    assert read(**told).password("plain") == "canary-other"
    assert read(**told, BATCHLAB_CONFIG=str(config)).password("plain") == "canary-plain"
    shop = read(BATCHLAB_WEBHOOK_SECRET_SHOP="whsec_canary")
    assert shop.named.secret("webhook_secrets", "shop") == "whsec_canary"


def test_an_entry_of_more_than_a_secret_is_no_variable() -> None:
    with pytest.raises(ItemError, match=r"under databases\. Add it to the file") as raised:
        read(BATCHLAB_PASSWORD_RACES="canary").named.entry("databases", "races")
    assert raised.value.kind is Kind.VALIDATION


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plane", "Did you mean plain"),
        ("unset", "UNSET, which is not set"),
        ("gone", "gone.txt, which cannot be read"),
    ],
)
def test_a_password_that_is_not_there_says_what_to_add(config: Path, name: str, said: str) -> None:
    with pytest.raises(ItemError, match=said) as raised:
        read(BATCHLAB_CONFIG=str(config)).password(name)
    assert raised.value.kind is Kind.VALIDATION


def test_secrets_are_not_shown(config: Path) -> None:
    settings = read(
        BATCHLAB_CONFIG=str(config), KEPT="canary", R2_ACCESS_KEY="canary", R2_SECRET_KEY="canary",
        FIREBASE_SERVICE_ACCOUNT='{"private_key": "canary"}', R2_ENDPOINT="https://a.example",
        AWS_SECRET_ACCESS_KEY="canary",
    )  # fmt: skip
    for shown in (repr(settings), str(settings), repr(settings.named)):
        assert "canary" not in shown
    assert settings.r2_secret_key == "canary"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("passwords: {a: 5}", "passwords.a is a text"),
        ("passwords: {a: {url: x}}", "passwords.a is a text"),
        ("passwords: [canary]", "takes entries by name"),
        ("pasword: {}", "Did you mean passwords"),
        ("- canary", "no sections"),
        ("passwords: {a: canary", "line 1: this is no YAML"),
        ("a: !!python/object/apply:os.system [canary]", "this is n"),
    ],
)
def test_a_bad_configuration_is_told_without_its_values(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    (line,) = problems(BATCHLAB_CONFIG=str(tmp_path / "config.yaml"))
    assert said in line and "canary" not in line


def test_json_serves_as_well_and_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"passwords": {"a": "b"}}')
    assert read(BATCHLAB_CONFIG=str(tmp_path / "config.json")).password("a") == "b"
    (tmp_path / "bad.json").write_text('{"passwords": canary')
    assert "canary" not in "".join(problems(BATCHLAB_CONFIG=str(tmp_path / "bad.json")))
    (tmp_path / "empty.yaml").write_text("")
    assert read(BATCHLAB_CONFIG=str(tmp_path / "empty.yaml")).named.names("passwords") == ()


def test_every_setting_is_a_field_and_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    known = {field.name for field in fields(Settings)}
    for variable in VARIABLES:
        assert variable.field in known
        for name in variable.names:
            assert f"`{name}`" in page, f"{name} is missing in docs/settings.md"
    for section in SECTIONS:
        assert f"`{section}`" in page


def test_the_page_documents_no_setting_that_is_none() -> None:
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
    named = {
        word
        for word in page.replace("`", " ").replace(",", " ").split()
        if word.startswith(PREFIX) and word != PREFIX
    }
    known = {name for variable in VARIABLES for name in variable.names}
    assert {name for name in named - known if not name.startswith(tuple(SECRET_VARIABLES.values()))} == set()
    for prefix in SECRET_VARIABLES.values():
        assert any(name.startswith(prefix) for name in named)


def test_nothing_else_in_the_client_reads_a_variable() -> None:
    """Passing the whole environment on to a process is no reading; the command line is not looked at here."""
    single = re.compile(r"\bos\.(?:getenv\(|environ(?:\.get\(|\[))")
    texts = {
        path.name: path.read_text(encoding="utf-8")
        for path in Path(batchlab.__path__[0]).rglob("*.py")
        if "cli" not in path.parts
    }
    assert [name for name, text in texts.items() if single.search(text)] == []


def test_settings_of_the_stack_are_not_warned_about() -> None:
    told = {"BATCHLAB_STACK_NAME": "weddings", "BATCHLAB_MAIL_FROM": "ana@photos.example"}
    assert Settings.from_environment(told).warnings == ()
