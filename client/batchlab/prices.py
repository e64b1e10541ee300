"""What things cost, in US dollars: a dated table that anybody may correct, and the sum of one job."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from batchlab.errors import UsageError

OURS = Path(__file__).with_name("prices.json")
_HOURS_A_MONTH = 730.0
_GB = 1e9

Dollars = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Prices(BaseModel):
    """A price table. GB are 10^9 bytes, as AWS bills them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    priced_at: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    region: str
    source: str
    spot_vcpu_hour: Dollars  # mean of c5n and m5n
    on_demand_vcpu_hour: Dollars
    machine_vcpus: Annotated[
        int, Field(ge=1)
    ]  # of the smallest machine: disk and address are shared by these
    disk_gib: Dollars
    disk_gib_month: Dollars
    public_address_hour: Dollars
    s3_put_1000: Dollars
    s3_get_1000: Dollars
    r2_put_1000: Dollars
    r2_get_1000: Dollars
    egress_gb: Dollars  # from AWS to anywhere that is not AWS


@dataclass(frozen=True)
class Usage:
    """What one job uses."""

    vcpu_hours: float
    on_demand: bool
    gets: dict[str, int]  # requests to read, by scheme
    puts: dict[str, int]
    egress_bytes: float


def read_prices(path: Path = OURS) -> Prices:
    """Raises UsageError for a file that cannot be read or is no price table."""
    try:
        return Prices.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"{path}: {place}: {first['msg']}. Copy {OURS} and change the numbers.") from None


def cost(usage: Usage, prices: Prices) -> float:
    """Dollars: machines with their disks and addresses, requests, and what leaves AWS."""
    vcpu_hour = prices.on_demand_vcpu_hour if usage.on_demand else prices.spot_vcpu_hour
    machine_hours = usage.vcpu_hours / prices.machine_vcpus
    beside = prices.disk_gib * prices.disk_gib_month / _HOURS_A_MONTH + prices.public_address_hour
    requests = sum(
        count / 1000 * getattr(prices, f"{scheme}_{verb}_1000", 0.0)
        for verb, counts in (("get", usage.gets), ("put", usage.puts))
        for scheme, count in counts.items()
    )
    return (
        usage.vcpu_hours * vcpu_hour
        + machine_hours * beside
        + requests
        + usage.egress_bytes / _GB * prices.egress_gb
    )
