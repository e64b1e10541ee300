"""Every setting of the AWS stack in one typed value; docs/aws.md lists them, from here.

A setting comes from `cdk -c FIELD=VALUE` or cdk.json's context, else from its environment variable, else it is
the default. Nothing here is a secret: those are named, and their values are put into AWS Secrets Manager.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from batchlab.errors import UsageError
from batchlab.jobs import built_in_types
from batchlab.nearest import did_you_mean
from batchlab.settings import Settings
from batchlab_infra.machines import misfit

PREFIX = "BATCHLAB_STACK_"
# What a job may touch is set under the names that the container itself reads (docs/settings.md).
RUNTIME_FIELDS = (
    *("source_roots", "output_roots", "http_hosts", "job_types", "log_level"),
    *("pages_root", "webhook_hosts", "mail_from", "contact", "language"),
)
_OTHER_VARIABLES = {
    **{field: (f"BATCHLAB_{field.upper()}",) for field in RUNTIME_FIELDS},
    "region": ("BATCHLAB_STACK_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"),
    "public_base_url": ("BATCHLAB_PUBLIC_BASE_URL",),
}
_DIGEST = r"sha256:[0-9a-f]{64}"
_PINNED = re.compile(rf"({_DIGEST}|[a-z0-9][^\s@]*@{_DIGEST})\Z")
_SUBNET = re.compile("subnet-[0-9a-f]+")
_SECRET_NAME = r"^[A-Z][A-Z0-9_]{0,62}$"  # noqa: S105  the form of a name
_EXPRESS = "-express"  # names.Names.express_job_queue
_NO_BUCKETS = ("sthree-", "amzn-s3-demo-")  # Source: Amazon S3 User Guide, "Bucket naming rules"
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
_DAY = "(MON|TUE|WED|THU|FRI|SAT|SUN)"
_DAYS = rf"^{_DAY}(-{_DAY})?(,{_DAY}(-{_DAY})?)*$"

# Source: AWS Global Infrastructure, "Regions and Availability Zones"; every other region shows three or more.
_TWO_ZONES = ("us-west-1",)
# A secret named R2 holds a JSON object of these four; any other holds the value of the variable it is named for.
R2 = "R2"
R2_VARIABLES = ("R2_ENDPOINT", "R2_ACCESS_KEY", "R2_SECRET_KEY", "R2_BUCKET")
_TAKEN = {  # what the container is told otherwise
    *(f"BATCHLAB_{field.upper()}" for field in (*RUNTIME_FIELDS, "store", "public_base_url")),
    *("HOME", "PATH", "TMPDIR"),
}
# Its name, and with _SHOP behind it that of the entry `shop` (batchlab.named): for functions, and for no job.
WEBHOOK_SECRET = "BATCHLAB_WEBHOOK_SECRET"  # noqa: S105


def _words(value: Any) -> Any:
    """Each once, in the order given."""
    return tuple(dict.fromkeys(value.replace(",", " ").split())) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


class StackSettings(BaseModel):
    """What the two stacks are made from. Raises ValidationError; `read` raises UsageError with plain lines."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str,
        Field(
            pattern=r"^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$",
            description="Stands in front of every name, as in `<name>-job-queue`. At most 30 of a-z, 0-9 and -.",
        ),
    ] = "batchlab"  # the bucket is <name>-<account>-<region>, and a bucket's name has at most 63 characters
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$", description="The AWS region.")] = (
        "us-east-1"  # what the Worker's BATCH_AWS_REGION has always been by default
    )

    image: Annotated[
        str,
        Field(
            description="The image that jobs run: `sha256:...` of the stack's own repository, or another's "
            "`host/name@sha256:...`. Empty: only the foundation is made. `deploy.sh` sets it."
        ),
    ] = ""
    allow_unpinned_image: Annotated[
        bool, Field(description="Takes an image by tag. The same job may then run different code tomorrow.")
    ] = False

    network: Annotated[
        Literal["public", "nat", "existing"],
        Field(
            description="`public`: public subnets, nothing may come in, no NAT to pay. `nat`: private subnets behind "
            "one NAT gateway (about $33 a month and $0.045 per GB). `existing`: yours, see `vpc_id`."
        ),
    ] = "public"
    zones: Annotated[
        int, Field(ge=1, le=3, description="Availability zones; more are more Spot capacity.")
    ] = 3  # more are more pools of Spot machines; most regions have no fourth
    vpc_id: Annotated[
        str, Field(pattern=r"^(vpc-[0-9a-f]+)?$", description="The network's VPC, for `existing`.")
    ] = ""
    subnet_ids: Annotated[
        Words,
        Field(description="Its subnets, for `existing`: with a way out to ECR, S3, ECS and the photos."),
    ] = ()

    instance_types: Annotated[
        Words, Field(min_length=1, description="Where jobs may run; every type must hold the container.")
    ] = (
        # Many small machines move more than one big one: below 32 vCPUs all traffic to the internet is capped
        # at 5 Gbit/s (Amazon EC2 User Guide, "Instance network bandwidth").
        *("c5n.large", "c5n.xlarge", "c5n.2xlarge"),
        *("m5n.large", "m5n.xlarge", "m5n.2xlarge"),
    )
    vcpus: Annotated[int, Field(ge=1, le=16, description="vCPUs of a job's container.")] = 2
    memory_mib: Annotated[
        int, Field(ge=512, le=131_072, description="Memory of a job's container in MiB.")
    ] = 3_584  # 4,096 fits no machine of 4 GiB, and such jobs wait for ever; an export needs about 350
    disk_gib: Annotated[
        int, Field(ge=30, le=1_000, description="Encrypted gp3 disk of each machine in GiB.")
    ] = 50  # 30 for the system and the image; the rest for members too large for memory
    max_vcpus: Annotated[int, Field(ge=2, le=5_000, description="vCPUs on Spot at most.")] = 100
    max_on_demand_vcpus: Annotated[
        int,
        Field(
            ge=2, le=5_000, description="vCPUs on demand at most, for express jobs and when Spot is short."
        ),
    ] = 100
    attempts: Annotated[
        int,
        Field(
            ge=1, le=10, description="Starts that Batch gives a job; each goes on where the last one ended."
        ),
    ] = 10  # the most that Batch allows: a Spot reclaim uses up one, and a start that only resumes is cheap
    timeout_hours: Annotated[
        int, Field(ge=1, le=336, description="Hours after which Batch ends one start of a job, for good.")
    ] = 12  # Batch has no default, and one hung job would cost money for ever

    warm_vcpus: Annotated[
        int,
        Field(ge=0, le=100, description="vCPUs kept running in warm hours, so that jobs start in seconds."),
    ] = 0  # a c5n.large for 60 hours a week costs about $14 a month on Spot
    warm_from: Annotated[str, Field(pattern=_TIME, description="When the warm hours begin.")] = "08:00"
    warm_to: Annotated[str, Field(pattern=_TIME, description="When they end.")] = "20:00"
    warm_days: Annotated[
        str, Field(pattern=_DAYS, description="On which days, as in cron: MON-FRI or SAT,SUN.")
    ] = "MON-FRI"
    time_zone: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z_]+(/[A-Za-z_+0-9-]+)*$", description="Of these times, such as Europe/Madrid."
        ),
    ] = "UTC"

    source_roots: Annotated[Words, Field(description="Prefixes that jobs may read (docs/settings.md).")] = ()
    output_roots: Annotated[
        Words, Field(description="Prefixes that jobs may write, besides `exports/` of the job bucket.")
    ] = ()
    http_hosts: Annotated[Words, Field(description="Hosts that jobs may fetch from (docs/settings.md).")] = ()
    job_types: Annotated[Words, Field(description="Job types that may be submitted; self-test always.")] = (
        built_in_types()
    )
    log_level: Annotated[str, Field(description="debug, info, warning or error.")] = "info"
    secrets: Annotated[
        Annotated[tuple[Annotated[str, Field(pattern=_SECRET_NAME)], ...], BeforeValidator(_words)],
        Field(
            description="Secrets that jobs are given, by name: `R2`, `FIREBASE_SERVICE_ACCOUNT`, `DATABASE_URL`, "
            "`GEMINI_API_KEY` or any variable of your own. Each is `<name>/<SECRET>` in AWS Secrets Manager. "
            "`BATCHLAB_PASSWORD_WEDDING` is the password that documents call `wedding`. `BATCHLAB_WEBHOOK_SECRET`, and "
            "`BATCHLAB_WEBHOOK_SECRET_SHOP` for `secret_ref: shop`, are for the functions; no job sees them."
        ),
    ] = ()  # $0.40 a month each, so none that nobody uses; a container does not start when one is missing

    worker_access: Annotated[
        Literal["url", "sqs", "batch", "none"],
        Field(
            description="The one right of the Worker's user: `url`: call the endpoint; `sqs`: send to the intake "
            "queue; `batch`: submit jobs; `none`: no user."
        ),
    ] = "url"
    mail_from: Annotated[
        str,
        Field(
            pattern=r"^([^@\s]+@[^@\s]+)?$", description="The verified sender of mail. Empty: none is sent."
        ),
    ] = ""
    webhook_hosts: Annotated[
        Words, Field(description="Hosts that may be told of a job's end (docs/settings.md).")
    ] = ()
    contact: Annotated[
        str,
        Field(description="Whom customers ask: an e-mail address or an https URL. Empty: nobody is named."),
    ] = ""
    language: Annotated[
        Literal["en", "de"],
        Field(description="What pages and e-mails are written in when the document does not say."),
    ] = "en"
    pages_root: Annotated[
        str,
        Field(
            pattern=r"^(r2://.+)?$",
            description="Where customers' pages are kept when a Worker serves them: `r2://bucket/prefix`. "
            "Empty: the job bucket, and the function URL serves them.",
        ),
    ] = ""
    public_base_url: Annotated[
        str,
        Field(
            pattern=r"^(https://[^\s?#]+[^/\s?#])?$",
            description="Where customers' pages are served, such as the Worker's domain. Empty: the function URL.",
        ),
    ] = ""
    alarm_email: Annotated[
        str, Field(pattern=r"^([^@\s]+@[^@\s]+)?$", description="Who is told of alarms. Empty: nobody.")
    ] = ""
    monthly_budget_usd: Annotated[
        int,
        Field(
            ge=0, description="Mail to `alarm_email` at 80 % of this and when it is forecast. 0: no budget."
        ),
    ] = 0
    log_retention_days: Annotated[
        Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365],  # CloudWatch Logs knows no others
        Field(description="Days that logs are kept."),
        BeforeValidator(lambda value: int(value) if isinstance(value, str) and value.isdigit() else value),
    ] = 30
    exports_days: Annotated[
        int,
        Field(
            ge=1,
            le=36_500,
            description="Days after which what lies under `exports/` of the job bucket is deleted.",
        ),
    ] = 30  # the net below `expires` of a job, which the cleanup job keeps

    @model_validator(mode="after")
    def _together(self) -> Self:
        problems = [
            *self._name_problems(),
            *self._image_problems(),
            *self._network_problems(),
            *self._machine_problems(),
        ]
        problems += self._secret_problems()
        try:
            wrong = misfit(self.instance_types, self.vcpus, self.memory_mib)
        except ValueError as error:
            wrong = str(error)
        problems += [wrong] if wrong else []
        if self.pages_root and not self.public_base_url:
            problems.append(
                "pages_root: what lies in R2 is served by your Worker. Set public_base_url to its address."
            )
        if self.monthly_budget_usd and not self.alarm_email:
            problems.append("monthly_budget_usd needs alarm_email, to whom the mail goes.")
        try:
            self.runtime()
        except UsageError as error:
            problems += error.message.splitlines()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _name_problems(self) -> list[str]:
        """Names that AWS would refuse half way through a deployment, or that are another stack's."""
        if len(self.name) < 2 or "--" in self.name:
            return [f"name: {self.name}: Amazon ECR takes two letters or more, and no -- among them."]
        if f"{self.name}-".startswith(_NO_BUCKETS):
            return [
                f"name: Amazon S3 makes no bucket whose name begins with {self.name}-. Choose another name."
            ]
        if self.name.endswith(_EXPRESS):
            other = self.name.removesuffix(_EXPRESS)
            return [
                f"name: {self.name}-job-queue is the express queue of a stack {other}. Choose another name."
            ]
        return []

    def _image_problems(self) -> list[str]:
        if not self.image or self.allow_unpinned_image or _PINNED.match(self.image):
            return []
        cure = "Give its digest (sha256:...), as deploy.sh does, or set allow_unpinned_image."
        return [f"image: {self.image} is not pinned, and a tag may be moved. {cure}"]

    def _network_problems(self) -> list[str]:
        given = bool(self.vpc_id), bool(self.subnet_ids)
        if self.network == "existing" and not all(given):
            return ["network existing needs vpc_id and subnet_ids."]
        if self.network != "existing" and any(given):
            return [f"vpc_id and subnet_ids are for network existing, not for {self.network}."]
        if wrong := [each for each in self.subnet_ids if not _SUBNET.fullmatch(each)]:
            return [f"subnet_ids: {', '.join(wrong)}: a subnet is written subnet-0123456789abcdef0."]
        if self.region in _TWO_ZONES and self.zones > 2 and self.network != "existing":
            return [f"zones: {self.region} shows each account two zones. Set zones to 2."]
        return []

    def _machine_problems(self) -> list[str]:
        """What a deployment would take, and no job ever run with, or AWS refuse half way."""
        problems = [
            f"{name}: {most} vCPUs hold no container of {self.vcpus}; such a job would wait for ever."
            for name in ("max_vcpus", "max_on_demand_vcpus")
            if (most := getattr(self, name)) < self.vcpus
        ]
        if self.warm_vcpus > self.max_vcpus:
            problems.append(f"warm_vcpus: {self.warm_vcpus} are more than max_vcpus, {self.max_vcpus}.")
        if self.warm_vcpus and self.warm_from == self.warm_to:
            problems.append(f"warm_from and warm_to are both {self.warm_to}: no hours lie between them.")
        zones = available_timezones()  # empty on a machine without any; then AWS tells
        if zones and self.time_zone not in zones:
            problems.append(
                f"time_zone: {self.time_zone!r} is no time zone.{did_you_mean(self.time_zone, zones)}"
            )
        return problems

    def _secret_problems(self) -> list[str]:
        """A container does not start when a secret and a variable have one name, and AWS_ names are its own."""
        taken = [name for name in self.secrets if name in _TAKEN or name.startswith("AWS_")]
        taken += [name for name in self.secrets if R2 in self.secrets and name in R2_VARIABLES]
        return [
            f"secrets: {name} is set by the stack itself. Give the secret another name." for name in taken
        ]

    def runtime(self) -> Settings:
        """What the container is told, checked as it will check it; raises UsageError."""
        values = {field: getattr(self, field) for field in RUNTIME_FIELDS}
        values["job_types"] = tuple(dict.fromkeys((*self.job_types, "self-test")))
        return Settings.from_environment(
            {
                f"BATCHLAB_{field.upper()}": value if isinstance(value, str) else ", ".join(value)
                for field, value in values.items()
            }
        )


def variables(field: str) -> tuple[str, ...]:
    """The environment variables of a setting; the first that is set counts."""
    return _OTHER_VARIABLES.get(field, (PREFIX + field.upper(),))


def read(context: Mapping[str, Any], environ: Mapping[str, str]) -> StackSettings:
    """The settings of this synth; raises UsageError with a line for each thing that is wrong."""
    values: dict[str, Any] = {}
    for field in StackSettings.model_fields:
        given = [context[field]] if context.get(field) not in (None, "") else []
        given += [environ[name] for name in variables(field) if environ.get(name, "").strip()]
        if given:
            values[field] = given[0].strip() if isinstance(given[0], str) else given[0]
    problems = _strangers(environ)
    try:
        settings = StackSettings(**values)
    except ValidationError as error:
        problems += [line for details in error.errors(include_url=False) for line in _lines(details)]
    else:
        if not problems:
            return settings
    raise UsageError("\n".join(problems))


def _lines(details: Any) -> list[str]:
    message = details["msg"].removeprefix("Value error, ")
    if not details["loc"]:
        return str(message).splitlines()
    field = str(details["loc"][0])
    if details["type"] == "string_pattern_mismatch":
        message = f"not understood. {StackSettings.model_fields[field].description}"
    return [f"{field} ({variables(field)[0]}): {details['input']!r}: {message}"]


def _strangers(environ: Mapping[str, str]) -> list[str]:
    """A misspelt setting would deploy something else than was meant, so it stops the synth."""
    known = {name for field in StackSettings.model_fields for name in variables(field)}
    return [
        f"{name} is no setting of the stack.{did_you_mean(name, known)}"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    ]
