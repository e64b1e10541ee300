import platform
import subprocess
import sys

from batchlab.settings import Settings
from batchlab_processor.environment import cpus, describe, memory_mib, peak_rss_mib


def test_it_names_what_the_job_ran_on() -> None:
    found = describe(Settings())
    assert found.python == platform.python_version() and platform.system() in found.platform
    assert found.versions["batchlab-processor"] and found.versions["pydantic"]
    assert found.cpus == cpus() >= 1 and found.memory_mib == memory_mib()
    assert found.batch is None


def test_in_batch_it_names_job_and_attempt() -> None:
    batch = describe(Settings(batch_job_id="b7", batch_attempt=2, batch_array_index=3)).batch
    assert batch is not None
    assert (batch.job_id, batch.attempt, batch.array_index) == ("b7", 2, 3)


def test_no_secret_of_the_settings_is_in_it() -> None:
    settings = Settings(batch_job_id="b7", r2_secret_key="CANARY", google_credentials="CANARY")
    assert "CANARY" not in describe(settings).model_dump_json()


def test_the_memory_is_that_of_a_machine() -> None:
    found = memory_mib()
    assert found is None or 16 < found < 100_000_000


def test_the_peak_is_in_mib_and_counts_children_that_ended() -> None:
    assert 10 < peak_rss_mib() < 100_000
    code = (
        "import subprocess, sys\n"
        "from batchlab_processor.environment import peak_rss_mib\n"
        "before = peak_rss_mib()\n"
        "subprocess.run([sys.executable, '-c', 'b = bytearray(b\"x\") * 300_000_000'])\n"
        "print(before, peak_rss_mib())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, after = map(float, ended.stdout.split())
    assert before < 250 and 280 < after < 600
