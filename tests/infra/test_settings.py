"""batchlab_infra.settings"""

from __future__ import annotations

import pytest

from batchlab.errors import UsageError
from batchlab_infra.machines import machine
from batchlab_infra.settings import StackSettings, read

DIGEST = "sha256:" + "a" * 64


def refused(**values: str) -> str:
    with pytest.raises(UsageError) as caught:
        read(values, {})
    return caught.value.message


def test_the_defaults_are_complete_and_need_no_environment() -> None:
    assert read({}, {}) == StackSettings()


def test_a_setting_comes_from_the_context_before_the_environment() -> None:
    environment = {
        "BATCHLAB_STACK_NAME": "weddings",
        "BATCHLAB_STACK_MAX_VCPUS": "200",
        "AWS_REGION": "eu-west-1",
    }
    settings = read({"name": "galleries"}, environment)
    assert (settings.name, settings.max_vcpus, settings.region) == ("galleries", 200, "eu-west-1")


def test_lists_are_written_with_commas_or_spaces() -> None:
    settings = read({}, {"BATCHLAB_STACK_INSTANCE_TYPES": "c5n.large, m5n.large c5n.xlarge"})
    assert settings.instance_types == ("c5n.large", "m5n.large", "c5n.xlarge")


def test_a_misspelt_setting_stops_the_synth_and_the_right_spelling_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"BATCHLAB_STACK_MAX_VCPU is no setting .* BATCHLAB_STACK_MAX_VCPUS\?"
    ):
        read({}, {"BATCHLAB_STACK_MAX_VCPU": "200"})


def test_all_that_is_wrong_is_said_at_once_with_the_variable_to_set() -> None:
    said = refused(zones="9", attempts="11")
    assert "zones (BATCHLAB_STACK_ZONES)" in said
    assert "attempts (BATCHLAB_STACK_ATTEMPTS)" in said


@pytest.mark.parametrize("image", [DIGEST, f"123456789012.dkr.ecr.us-east-1.amazonaws.com/batchlab@{DIGEST}"])
def test_an_image_with_its_digest_is_taken(image: str) -> None:
    assert read({"image": image}, {}).image == image


@pytest.mark.parametrize("image", ["batchlab:latest", "batchlab", "sha256:abc", f"batchlab:1@{DIGEST}x"])
def test_an_unpinned_image_is_refused_unless_told(image: str) -> None:
    assert "is not pinned" in refused(image=image)
    assert read({"image": image, "allow_unpinned_image": "true"}, {}).image == image


def test_memory_that_fits_a_listed_machine_not_at_all_is_refused_with_the_cure() -> None:
    said = refused(memory_mib="5200", instance_types="c5n.large m5n.large")
    assert said == (
        "2 vCPUs and 5200 MiB do not fit c5n.large (2 vCPUs, 4838 MiB usable); such a job would wait for ever. "
        "Ask for at most 2 vCPUs and 4838 MiB, or leave small types out of instance_types."
    )


@pytest.mark.parametrize("name", StackSettings().instance_types)
def test_the_container_fits_every_listed_machine_and_fills_its_processors(name: str) -> None:
    settings = StackSettings()
    found = machine(name)
    assert found.holds(settings.vcpus, settings.memory_mib) == found.vcpus // settings.vcpus >= 1


def test_four_gibibytes_would_fit_no_machine_of_four() -> None:
    assert machine("c6in.large").holds(2, 4096) == 0


def test_an_unknown_machine_is_named_with_the_known_ones() -> None:
    assert "c5n.lorge is no instance type known here" in refused(instance_types="c5n.lorge")


def test_what_jobs_may_touch_is_checked_as_the_container_will() -> None:
    assert "file:// is never a source" in refused(source_roots="file:///etc")
    settings = read({}, {"BATCHLAB_SOURCE_ROOTS": "s3://gallery/photos", "BATCHLAB_JOB_TYPES": "zip-export"})
    assert settings.runtime().source_roots == ("s3://gallery/photos",)
    assert settings.runtime().job_types == ("zip-export", "self-test")


def test_a_network_of_ones_own_needs_its_subnets() -> None:
    assert "needs vpc_id and subnet_ids" in refused(network="existing", vpc_id="vpc-0123")
    assert "are for network existing" in refused(vpc_id="vpc-0123")


def test_a_region_of_two_zones_is_not_asked_for_a_third() -> None:
    assert "Set zones to 2" in refused(region="us-west-1")
    assert read({"region": "us-west-1", "zones": "2"}, {}).zones == 2


def test_a_budget_needs_somebody_to_tell() -> None:
    assert "alarm_email" in refused(monthly_budget_usd="50")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a", "Amazon ECR takes two letters or more"),
        ("a--b", "no -- among them"),
        ("sthree", "no bucket whose name begins with sthree-"),
        ("amzn-s3-demo-lab", "no bucket"),
        ("lab-express", "lab-express-job-queue is the express queue of a stack lab"),
    ],
)
def test_a_name_that_would_end_a_deployment_half_way_is_refused_before(name: str, said: str) -> None:
    assert said in refused(name=name)


def test_names_that_only_resemble_those_are_taken() -> None:
    for name in ("ab", "a-b-c", "express", "sthreehouse", "lab-express-2", "a" * 30):
        assert read({"name": name}, {}).name == name


@pytest.mark.parametrize("name", ["Batchlab", "1lab", "a" * 31, "lab-", "my lab"])
def test_a_name_that_aws_would_refuse_is_refused_here(name: str) -> None:
    assert "BATCHLAB_STACK_NAME" in refused(name=name)


def test_pages_in_r2_need_the_address_at_which_a_worker_serves_them() -> None:
    assert "Set public_base_url" in refused(pages_root="r2://zips/customers")
    assert read({"pages_root": "r2://zips", "public_base_url": "https://photos.example"}, {})
    assert "pages_root" in refused(pages_root="s3://nobody-may-write-there")


def test_whom_to_tell_is_checked_as_the_functions_will() -> None:
    assert "BATCHLAB_CONTACT" in refused(contact="nobody")
    assert "BATCHLAB_WEBHOOK_HOSTS" in refused(webhook_hosts="https://shop.example/x")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {"max_vcpus": "2", "vcpus": "4", "instance_types": "c5n.xlarge"},
            "max_vcpus: 2 vCPUs hold no container",
        ),
        (
            {"max_on_demand_vcpus": "2", "vcpus": "4", "instance_types": "c5n.xlarge"},
            "max_on_demand_vcpus: 2",
        ),
        ({"warm_vcpus": "50", "max_vcpus": "10"}, "more than max_vcpus, 10"),
        ({"warm_vcpus": "2", "warm_from": "08:00", "warm_to": "08:00"}, "no hours lie between"),
        ({"warm_days": "MON-FRI,"}, "as in cron"),
        ({"warm_days": "FOO"}, "as in cron"),
        ({"time_zone": "Europe/Berln"}, "Did you mean Europe/Berlin?"),
        ({"subnet_ids": "sub-1", "vpc_id": "vpc-0123", "network": "existing"}, "sub-1: a subnet is written"),
        ({"secrets": "BATCHLAB_STORE"}, "BATCHLAB_STORE is set by the stack itself"),
        ({"secrets": "AWS_ACCESS_KEY_ID"}, "AWS_ACCESS_KEY_ID is set by the stack itself"),
        ({"secrets": "R2,R2_BUCKET"}, "R2_BUCKET is set by the stack itself"),
        ({"exports_days": "99999999999"}, "36500"),
    ],
)
def test_what_aws_would_refuse_half_way_or_run_never_is_refused_here(
    values: dict[str, str], says: str
) -> None:
    assert says in refused(**values)


def test_a_form_that_is_missed_is_told_in_words_and_not_as_a_pattern() -> None:
    assert "At most 30 of a-z, 0-9 and -." in refused(name="Bad_Name")
    assert "match pattern" not in refused(name="Bad_Name", region="moon", warm_from="8:00")


def test_a_secret_that_is_named_twice_is_given_once() -> None:
    assert read({"secrets": "R2, R2"}, {}).secrets == ("R2",)
