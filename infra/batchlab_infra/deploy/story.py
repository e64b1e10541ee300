"""The four things ./deploy.sh can do, step by step."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property

from batchlab.errors import NotFound, UsageError
from batchlab.streams import say
from batchlab_infra.deploy import removal, secret_values, worker
from batchlab_infra.deploy.account import Account, Stack
from batchlab_infra.deploy.cdk import Cdk
from batchlab_infra.deploy.checks import Preflight, check, own_stacks
from batchlab_infra.deploy.command_line import ROOT
from batchlab_infra.deploy.image import Recipe, Repository, find_engine
from batchlab_infra.deploy.options import Options
from batchlab_infra.deploy.smoke import smoke
from batchlab_infra.deploy.spot_role import make_spot_role
from batchlab_infra.names import Names
from batchlab_infra.settings import StackSettings


@dataclass(frozen=True)
class Deployment:
    """One call of ./deploy.sh."""

    options: Options
    settings: StackSettings
    environ: dict[str, str]
    account: Account

    @cached_property
    def names(self) -> Names:
        return Names(self.settings.name)

    @cached_property
    def cdk(self) -> Cdk:
        return Cdk(
            root=ROOT,
            out=self.options.out,
            region=self.account.region,
            context={**self.options.given, "name": self.settings.name, "region": self.account.region},
            command=self.options.cdk,
        )

    def run(self) -> None:
        """Does what was asked."""
        actions = {
            "deploy": self.deploy,
            "diff": self.diff,
            "rollback": self.rollback,
            "destroy": self.destroy,
        }
        actions[self.options.action]()

    def deploy(self) -> None:
        """The stacks are as the settings say, the image is that of these sources, and a job has run on it."""
        self._check(image=not self.settings.image)
        self._ask(f"Deploy {self.names.name} to account {self.account.id} in {self.account.region}?")
        if self.cdk.bootstrap(self.account):
            say("bootstrap: made")
        make_spot_role(self.account)
        self._step(f"foundation ({self.names.foundation_stack})")
        # The image that runs now stays in the templates, so that nothing the compute stack needs is taken away.
        before = self.account.stack(self.names.compute_stack)
        self.cdk.synth(image=_digest(before), secrets=self.settings.secrets)
        self.cdk.deploy(self.names.foundation_stack)
        self._step("secrets")
        secrets = self._store_secrets()
        self._step("image")
        self._compute(self.settings.image or self._build(), secrets)

    def _build(self) -> str:
        """The digest of the image that is made from these sources."""
        engine = find_engine(self.options.engine)
        recipe = Recipe(ROOT, self.options.build_arguments)
        return self._repository().build_and_push(engine, recipe, rebuild=self.options.rebuild)

    def rollback(self) -> None:
        """Jobs that start from now on run the image `digest`. Settings and sources stay as they are."""
        self._check(image=False)
        digest = self._repository().check(self.options.digest)
        self._ask(f"Run {digest} again on {self.names.name} in account {self.account.id}?")
        self._compute(digest, self._store_secrets())

    def diff(self) -> None:
        """Says what a deployment would change; changes nothing."""
        self._check(image=False)
        before = self.account.stack(self.names.compute_stack)
        digest = _digest(before)
        if self.account.stack(self.names.foundation_stack) is not None:
            inputs = Recipe(ROOT, self.options.build_arguments).inputs()
            made = self._repository().digest(inputs)
            if made is None:
                say("image: these sources have no image yet; a deployment would build one")
            digest = made or digest
        if not digest:
            say("image: none runs yet, so only the foundation is compared")
        values = secret_values.given(self.environ, self.settings.secrets)
        there = secret_values.there(self.account, self.names)
        self.cdk.synth(image=digest, secrets=tuple(sorted({*values, *there, *self.settings.secrets})))
        self.cdk.diff()

    def destroy(self) -> None:
        """Nothing of this name is left, after its data has been listed and the question answered."""
        foundation, compute = own_stacks(self.account, self.names)
        if foundation is None and compute is None and not secret_values.there(self.account, self.names):
            raise NotFound(
                f"There is no {self.names.name} in account {self.account.id}, {self.account.region}."
            )
        say(removal.losses(self.account, self.names, foundation))
        self._ask("Delete all of it?", word=self.names.name)
        self.cdk.synth(image=_digest(compute), secrets=self.settings.secrets)
        if compute is not None:
            worker.delete_keys(self.account, self.names.worker_user)
            self.cdk.destroy(self.names.compute_stack)
        if foundation is not None:
            removal.empty(self.account, foundation)
            self.cdk.destroy(self.names.foundation_stack)
            removal.delete_leftovers(self.account, foundation)
        secret_values.delete(self.account, self.names)
        say(
            f"{self.names.name} is gone. Its secrets can be restored for seven days; logs stay until they are deleted."
        )

    def _check(self, *, image: bool = True) -> None:
        say(f"batchlab on AWS: {self.names.name}, {self.account.region}")
        check(Preflight(self.account, self.settings, self.environ, self.options.engine, ROOT), image=image)

    def _compute(self, digest: str, secrets: tuple[str, ...]) -> None:
        self._step(f"compute ({self.names.compute_stack}), image {digest}")
        self.cdk.synth(image=digest, secrets=secrets)
        self.cdk.deploy(self.names.compute_stack)
        stack = self._stack(self.names.compute_stack)
        self._step("worker")
        found = worker.variables(self.account, dict(stack.outputs))
        exports = self._stack(self.names.foundation_stack).outputs.get("ExportsUrl", "")
        output = next((root for root in self.settings.output_roots if root.startswith("r2://")), exports)
        worker.write_file(self.options.worker_dir, self.settings.worker_access, found, output)
        found |= {"BATCH_WORKER_ACCESS": self.settings.worker_access, "BATCHLAB_OUTPUT": output}
        user = stack.outputs.get("WorkerUserName", "")
        if user:
            found |= worker.key(self.account, user, rotate=self.options.rotate_worker_key)
        worker.show(found)  # before the job, which may take minutes: a key that was made is not shown again
        self._step("smoke job")
        smoke(self.account, stack, self.names.job_definition)
        self._close(stack)

    def _store_secrets(self) -> tuple[str, ...]:
        values = secret_values.given(self.environ, self.settings.secrets)
        return secret_values.store(self.account, self.names, values, self.settings.secrets)

    def _repository(self) -> Repository:
        outputs = self._stack(self.names.foundation_stack).outputs
        return Repository(self.account, outputs["RepositoryName"], outputs["RepositoryUri"])

    def _stack(self, name: str) -> Stack:
        found = self.account.stack(name)
        if found is None:
            raise NotFound(f"There is no stack {name} yet. Run ./deploy.sh first.")
        return found

    def _ask(self, question: str, *, word: str = "yes") -> None:
        if self.options.yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} There is nobody to ask here; add --yes.")
        say(f"{question} Type {word} to go on.")
        if sys.stdin.readline().strip() != word:
            raise UsageError("Nothing was changed.")

    def _step(self, text: str) -> None:
        say(f"== {text}")

    def _close(self, stack: Stack) -> None:
        """What there is, and what to type next."""
        names, outputs, region = self.names, stack.outputs, self.account.region
        here = f"--region {region}"
        store = self._stack(names.foundation_stack).outputs.get("StoreUrl", "")
        say(
            f"""
{names.name} is up to date.
  environments  {outputs.get("SpotEnvironment", "")} (Spot), {outputs.get("OnDemandEnvironment", "")} (on demand)
  store         {store}
  dashboard     {outputs.get("DashboardUrl", "")}
Next:
  aws batch submit-job {here} --job-name test --job-queue {names.job_queue} --job-definition {names.job_definition}
  aws batch list-jobs {here} --job-queue {names.job_queue} --job-status SUCCEEDED
  aws batch submit-job {here} --job-name first --job-queue {names.job_queue} --job-definition {names.job_definition} \\
    --parameters job=s3://your-bucket/job.json        (which source_roots must name)
  aws logs tail {here} --follow {outputs.get("LogGroupName", names.log_group)}
Temporary files that exports leave in R2 after a crash are not seen by AWS. Set this rule on the R2 bucket once:
  npx wrangler r2 bucket lifecycle add {self.environ.get("R2_BUCKET", "YOUR-BUCKET")} abort-uploads \
--abort-multipart-days 7
Operations: docs/operations.md. Back to an earlier image: ./deploy.sh --rollback DIGEST. All of it gone: --destroy."""
        )


def _digest(stack: Stack | None) -> str:
    """The image that the stack runs, as the setting `image` says it; "" when there is none."""
    return stack.outputs.get("Image", "") if stack else ""
