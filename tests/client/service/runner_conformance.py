"""What holds for everybody who runs jobs: a runner's tests inherit it and bring the fixtures `runner` and `store`."""

from __future__ import annotations

from batchlab.backend import Hope, Runner
from batchlab.document import load_document
from batchlab.records import JobRecords, submit_locally
from batchlab.service.ending import end_without_a_run
from batchlab.status import State
from batchlab.store import Store


class RunnerConformance:
    """Subclass it as `Test...`; a started job may run or not, as the runner's fixture likes."""

    @staticmethod
    def accepted(store: Store) -> JobRecords:
        """A job as a submission leaves it to the runner."""
        document = load_document({"type": "self-test"})
        records = submit_locally(store, document)
        records.create_pending()
        return records

    def test_of_a_job_that_nobody_was_asked_to_run_nothing_is_known(
        self, runner: Runner, store: Store
    ) -> None:
        assert runner.hope(self.accepted(store)) is Hope.UNKNOWN

    def test_a_started_job_has_not_been_given_up(self, runner: Runner, store: Store) -> None:
        records = self.accepted(store)
        runner.start(records)
        assert runner.hope(records) in (Hope.WAITING, Hope.RUNNING) or records.status().ended

    def test_starting_it_again_and_again_is_starting_it_once(self, runner: Runner, store: Store) -> None:
        records = self.accepted(store)
        for _ in range(3):
            runner.start(records)
        assert runner.hope(records) in (Hope.WAITING, Hope.RUNNING) or records.status().ended
        assert records.status().generation == 1

    def test_a_job_that_has_ended_is_not_started(self, runner: Runner, store: Store) -> None:
        records = self.accepted(store)
        records.ask_to_cancel(1)
        assert end_without_a_run(records)
        runner.start(records)
        assert records.status().state is State.CANCELLED

    def test_stopping_what_never_started_leaves_nothing_to_wait_for(
        self, runner: Runner, store: Store
    ) -> None:
        records = self.accepted(store)
        records.ask_to_cancel(1)
        for _ in range(2):
            runner.stop(records)
        assert runner.hope(records) in (Hope.UNKNOWN, Hope.OVER)

    def test_a_job_that_never_started_has_no_log_and_may_have_one_yet(
        self, runner: Runner, store: Store
    ) -> None:
        records = self.accepted(store)
        page = runner.logs(records, None)
        assert (page.lines, page.ended) == ((), False)
        assert runner.logs(records, page.next).lines == ()

    def test_a_job_that_ended_without_a_log_says_so(self, runner: Runner, store: Store) -> None:
        records = self.accepted(store)
        records.ask_to_cancel(1)
        end_without_a_run(records)
        page = runner.logs(records, None)
        assert (page.lines, page.ended) == ((), True)
