"""Instance types and what a container may take of them, so that a job that fits none is refused at synth.

A job that asks for more memory than any machine registers stays RUNNABLE for ever, without an error.
"""

from __future__ import annotations

from dataclasses import dataclass

# GiB of memory for each vCPU. Source: Amazon EC2 User Guide, "Instance types", specifications of each family.
# The n types have 25 Gbit/s bursts; the network, not the processor, bounds an export.
_GIB_PER_VCPU = {
    "c5": 2.0,
    "c5n": 2.625,
    "c6i": 2.0,
    "c6in": 2.0,
    "c7i": 2.0,
    "m5": 4.0,
    "m5n": 4.0,
    "m6i": 4.0,
    "m6in": 4.0,
    "m7i": 4.0,
    "r5n": 8.0,
}
_VCPUS = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16}
# Kernel, ECS agent and platform keep some: a machine of 4,096 MiB registers about 3,800. A tenth is never too little.
# Source: AWS Batch User Guide, "Compute resource memory management".
_REGISTERED_SHARE = 0.9


@dataclass(frozen=True)
class Machine:
    """One instance type."""

    name: str
    vcpus: int
    memory_mib: int  # as sold
    usable_mib: int  # what containers of this machine may take together, at least

    def holds(self, vcpus: int, memory_mib: int) -> int:
        """How many containers of this size run on it at once; 0: none ever starts."""
        return min(self.vcpus // vcpus, self.usable_mib // memory_mib)


def machine(name: str) -> Machine:
    """The instance type `name`, such as c5n.large; raises ValueError with the known ones for another."""
    family, _, size = name.partition(".")
    if family not in _GIB_PER_VCPU or size not in _VCPUS:
        raise ValueError(
            f"{name} is no instance type known here. Families: {', '.join(_GIB_PER_VCPU)}; "
            f"sizes: {', '.join(_VCPUS)}. Add others to batchlab_infra/machines.py."
        )
    vcpus = _VCPUS[size]
    memory_mib = int(_GIB_PER_VCPU[family] * vcpus * 1024)
    return Machine(name, vcpus, memory_mib, int(memory_mib * _REGISTERED_SHARE))


def misfit(instance_types: tuple[str, ...], vcpus: int, memory_mib: int) -> str | None:
    """Why a container of this size does not fit each of the listed types, with the cure; None when it does."""
    machines = [machine(name) for name in instance_types]
    small = [each for each in machines if not each.holds(vcpus, memory_mib)]
    if not small:
        return None
    most_vcpus, most_mib = min(each.vcpus for each in machines), min(each.usable_mib for each in machines)
    names = ", ".join(f"{each.name} ({each.vcpus} vCPUs, {each.usable_mib} MiB usable)" for each in small)
    return (
        f"{vcpus} vCPUs and {memory_mib} MiB do not fit {names}; such a job would wait for ever. "
        f"Ask for at most {most_vcpus} vCPUs and {most_mib} MiB, or leave small types out of instance_types."
    )
