"""Guards against a tag that is misread or silently ignored: the step would then run with too little."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from resources.accelerators.configuration import Accelerators
from resources.accelerators.dagster_plans import Plan, PooledStep
from resources.accelerators.dagster_requests import request_of
from resources.accelerators.errors import RequestError
from resources.accelerators.requests import Request

ACCELERATORS = Accelerators.model_validate(
    {
        "pools": {
            "embed": {"memory_gb": 4, "share": True, "compute": 0.5},
            "lora": {"memory_gb": 60, "priority": 2},
        }
    }
)
NOON = 1_900_000_000.0


def asked(
    run_tags: Mapping[str, str] | None = None,
    op_tags: Mapping[str, str] | None = None,
    pool: str = "lora",
    others: tuple[PooledStep, ...] = (),
) -> Request:
    step = PooledStep("acme__adapt", pool, op_tags or {}, ("acme/adapt",), root=True)
    steps = {one.key: one for one in (step, *others)}
    names = frozenset({*steps, "acme/adapt", pool})
    return request_of(ACCELERATORS, Plan(steps, names), step, pool, step.key, run_tags or {}, NOON)


def test_without_tags_the_pool_says_everything() -> None:
    request = asked()
    assert (request.memory, request.priority, request.tenant, request.share) == (60 * 10**9, 2, "default", False)


def test_every_field_can_be_refined() -> None:
    request = asked(
        op_tags={
            "accelerator/memory_gb": "120.5",
            "accelerator/devices": "2",
            "accelerator/linked": "true",
            "accelerator/kind": "gpu",
            "accelerator/models": "a100-sxm-80, h100-sxm-80",
            "accelerator/cpus": "8",
            "accelerator/host_memory_gb": "64",
            "accelerator/priority": "-3",
            "accelerator/deadline": "3600",
            "accelerator/tenant": "acme",
            "accelerator/preemptible": "true",
            "accelerator/expected_minutes": "90",
            "accelerator/pool": "lora",
        }
    )
    assert (request.memory, request.devices, request.linked, request.kind) == (120_500_000_000, 2, "nvlink", "gpu")
    assert request.models == {"a100-sxm-80", "h100-sxm-80"}
    assert (request.cpus, request.host_memory, request.priority) == (8, 64 * 10**9, -3)
    assert (request.deadline, request.tenant, request.preemptible, request.expected) == (
        NOON + 3600,
        "acme",
        True,
        5400,
    )


def test_the_narrower_tag_wins() -> None:
    tags = {"accelerator/lora/memory_gb": "20", "accelerator/acme/adapt/memory_gb": "30"}
    assert asked(tags, {"accelerator/memory_gb": "10"}).memory == 30 * 10**9
    assert asked({"accelerator/memory_gb": "15"}, {"accelerator/memory_gb": "10"}).memory == 15 * 10**9


def test_a_deadline_may_be_a_time() -> None:
    assert asked({"accelerator/deadline": "2030-03-17T18:46:40+01:00"}).deadline == NOON
    assert asked({"accelerator/deadline": "2030-03-17T17:46:40"}).deadline == NOON


@pytest.mark.parametrize(
    ("tag", "value", "told"),
    [
        ("memory_gb", "plenty", "decimal GB"),
        ("memory_gb", "-1", "above 0"),
        ("memory_gb", "nan", "above 0"),
        ("memory_gb", "1e400", "at most 1000000"),
        ("memory_gb", "", "decimal GB"),
        ("devices", "0", "from 1"),
        ("devices", "1.5", "whole number"),
        ("priority", "5000", "-1000 to 1000"),
        ("linked", "ethernet", "nvlink, rdma, site"),
        ("deadline", "soon", "seconds after submission"),
        ("share", "maybe", "true or false"),
        ("kind", "npu", "gpu, tpu or cpu"),
        ("models", "[" * 100_000, "names of the catalogue"),
        ("memory", "", "there is no 'memory'; permitted are compute, cpus"),
    ],
)
def test_what_is_not_permitted_is_refused_with_the_tag_the_value_and_what_is(tag: str, value: str, told: str) -> None:
    with pytest.raises(RequestError) as refused:
        asked({f"accelerator/{tag}": value})
    message = str(refused.value)
    assert f"accelerator/{tag}" in message
    assert value[:100] in message
    assert told in message


def test_fields_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(RequestError, match="pool 'embed' with the tags accelerator/devices: share is for one device"):
        asked({"accelerator/devices": "2"}, pool="embed")


def test_a_pools_part_of_a_device_is_dropped_with_sharing() -> None:
    assert asked({"accelerator/share": "false"}, pool="embed").compute is None


def test_the_short_form_is_refused_where_it_could_mean_several_steps() -> None:
    other = (PooledStep("acme__embed", "embed"),)
    with pytest.raises(RequestError, match=r"2 steps in pools \(acme__adapt, acme__embed\); say which is meant"):
        asked({"accelerator/memory_gb": "20"}, others=other)
    assert asked({"accelerator/priority": "7", "tenant": "acme"}, others=other).priority == 7


def test_a_tag_for_a_step_that_is_not_there_is_refused_but_not_where_tags_are_inherited() -> None:
    with pytest.raises(RequestError, match="no pool, asset or step 'typo'"):
        asked({"accelerator/typo/memory_gb": "20"})
    assert asked({"accelerator/typo/memory_gb": "20", "dagster/backfill": "b"}).memory == 60 * 10**9


def test_dagsters_priority_counts_where_ours_is_not_given() -> None:
    assert asked({"dagster/priority": "4"}, {"dagster/priority": "3"}).priority == 7
    assert asked({"dagster/priority": "4", "accelerator/priority": "1"}).priority == 1
    assert asked({"dagster/priority": "high"}).priority == 0


def test_an_unknown_pool_is_named_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match=r"pool 'lorra' is not in .*accelerators\.yml; pools there: embed, lora"):
        asked(pool="lorra")
