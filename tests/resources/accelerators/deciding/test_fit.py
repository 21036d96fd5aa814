"""Guards against leases that overlap, gangs in parts, and devices given to those who cannot use them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resources.accelerators.devices import Device
from resources.accelerators.requests import Request
from resources.accelerators.units import GB
from tests.resources.accelerators.deciding.cluster import Cluster, asks, gpu, overcommitted, server


def test_a_device_that_is_not_shared_is_held_with_all_of_its_memory() -> None:
    lease = Cluster([gpu(0)]).run("a", asks(60))
    assert [(share.device, share.memory) for share in lease.shares] == [("h0/gpu0", 80 * GB)]


def test_shares_lie_on_one_device_until_it_is_full() -> None:
    cluster = Cluster([gpu(0)])
    for name in range(21):
        cluster.wait(f"r{name:02}", asks(4, share=True))
    assert len(cluster.decide().grants) == 20
    assert overcommitted(cluster.state) == []


def test_compute_limits_shares_as_memory_does() -> None:
    cluster = Cluster([gpu(0)])
    cluster.wait("any", asks(4, share=True), submitted=0.0)
    for name in "abc":
        cluster.wait(name, asks(4, share=True, compute=0.4))
    cluster.decide()
    assert sorted(cluster.state.leases) == ["a", "any", "b"]


def test_tenths_of_compute_add_up_to_a_whole() -> None:
    cluster = Cluster([gpu(0)])
    for name in range(10):
        cluster.wait(f"r{name}", asks(4, share=True, compute=0.1))
    assert len(cluster.decide().grants) == 10


def test_a_share_and_a_whole_lease_exclude_each_other() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("small", asks(4, share=True))
    cluster.wait("whole", asks(4))
    assert cluster.decide().grants == ()
    cluster.end("small")
    assert len(cluster.decide().grants) == 1
    cluster.wait("late", asks(4, share=True))
    assert cluster.decide().grants == ()


def test_memory_of_processes_without_a_lease_is_not_given_away() -> None:
    cluster = Cluster([gpu(0, foreign=30 * GB)])
    cluster.wait("a", asks(60))
    cluster.wait("b", asks(60, share=True))
    assert cluster.decide().grants == ()
    cluster.state.put_device(gpu(0))
    assert len(cluster.decide().grants) == 1


def test_a_device_that_cannot_be_shared_is_not() -> None:
    cluster = Cluster([gpu(0, shareable=False)])
    cluster.wait("a", asks(4, share=True))
    assert cluster.decide().grants == ()
    assert cluster.run("b", asks(4)).shares


@pytest.mark.parametrize("state", ["drained", "lost"])
def test_nothing_new_starts_on_a_device_that_is_not_ok(state: str) -> None:
    cluster = Cluster([gpu(0, state=state)])
    cluster.wait("a", asks(4))
    assert cluster.decide().grants == ()


def test_only_devices_that_the_launcher_reaches_are_given() -> None:
    cluster = Cluster([gpu(0, host="far"), gpu(1)])
    cluster.wait("a", asks(4))
    cluster.wait("b", asks(4))
    cluster.decide()
    assert cluster.held("a") == ["h0/gpu1"]
    assert cluster.held("b") == []


def test_every_launcher_reaches_pretended_devices() -> None:
    assert Cluster([gpu(0, host="far", pretended=True)]).run("a", asks(4)).shares


def test_a_device_kept_for_a_tenant_is_given_to_nobody_else() -> None:
    cluster = Cluster([gpu(0, tenants=frozenset({"x"}))])
    cluster.wait("a", asks(4))
    cluster.wait("b", asks(4, tenant="x"))
    assert [grant.waiting_id for grant in cluster.decide().grants] == ["b/step"]


def test_only_the_models_that_are_asked_for_are_given() -> None:
    cluster = Cluster([gpu(0), gpu(1, model="h100-sxm")])
    assert cluster.run("a", asks(4, models=frozenset({"h100-sxm"}))).shares[0].device == "h0/gpu1"


def test_without_a_kind_the_cpu_serves_only_where_no_accelerator_is_reached() -> None:
    cpu = Device("h0/cpu0", "h0", "cpu", "cpu", 64 * GB)
    assert Cluster([cpu]).run("a", asks(4, share=True)).shares[0].device == "h0/cpu0"
    both = Cluster([cpu, gpu(0, state="lost")])
    both.wait("b", asks(4, share=True))
    assert both.decide().grants == ()
    assert both.run("c", asks(4, share=True, kind="cpu")).shares


def test_a_gang_is_granted_whole_or_not_at_all() -> None:
    cluster = Cluster(server(4))
    cluster.run("a", asks(60))
    cluster.wait("gang", asks(320, linked="nvlink"))
    assert cluster.decide().grants == ()
    cluster.end("a")
    cluster.decide()
    assert len(cluster.held("gang")) == 4


def test_a_linked_request_takes_the_fewest_devices_that_hold_it() -> None:
    assert len(Cluster(server(8)).run("full", asks(180, linked="nvlink")).shares) == 3


def test_linked_devices_are_of_one_group() -> None:
    devices = [gpu(i, host="a", pretended=True) for i in range(2)] + [
        gpu(i, host="b", pretended=True) for i in range(2)
    ]
    cluster = Cluster(devices)
    cluster.wait("gang", asks(180, linked="nvlink"))
    assert cluster.decide().grants == ()


def test_a_weaker_link_may_be_met_by_a_stronger_one() -> None:
    far = [gpu(i, host=host, rdma="fabric", pretended=True) for host in "ab" for i in range(4)]
    cluster = Cluster(far)
    assert {name[0] for name in _devices(cluster, "small", asks(300, linked="rdma"))} in ({"a"}, {"b"})
    assert {name[0] for name in _devices(cluster, "large", asks(300, linked="rdma"))} in ({"a"}, {"b"})
    cluster.end("small")
    cluster.end("large")
    assert len(_devices(cluster, "both", asks(500, linked="rdma"))) == 7


def test_a_gang_lands_in_the_tightest_group_that_holds_it() -> None:
    cluster = Cluster(
        [gpu(i, host=host, pretended=True) for host, n in (("a", 8), ("b", 3), ("c", 4)) for i in range(n)]
    )
    assert {name[0] for name in _devices(cluster, "full", asks(180, linked="nvlink"))} == {"b"}


def test_single_devices_leave_whole_groups_to_gangs() -> None:
    cluster = Cluster([gpu(i, host=host, pretended=True) for host in "ab" for i in range(4)])
    for name in range(4):
        cluster.run(f"r{name}", asks(60))
    assert len(_devices(cluster, "gang", asks(320, linked="nvlink"))) == 4


def test_several_devices_without_a_link_are_taken_on_one_host_where_that_is_possible() -> None:
    devices = [gpu(i, host=host, pretended=True, nvlink=None) for host in "ab" for i in range(2)]
    cluster = Cluster(devices)
    assert len({name[0] for name in _devices(cluster, "two", asks(100, devices=2))}) == 1
    assert len({name[0] for name in _devices(cluster, "more", asks(100, devices=2))}) == 1
    cluster.end("two")
    cluster.end("more")
    assert len(_devices(cluster, "three", asks(100, devices=3))) == 3


def test_chips_of_a_tpu_are_taken_as_the_runtime_can_use_them() -> None:
    chips = [gpu(i, kind="tpu", model="v5e", memory=16) for i in range(8)]
    cluster = Cluster(chips)
    assert _devices(cluster, "a", asks(10)) == ["h0/gpu0"]
    assert _devices(cluster, "b", asks(30, linked="nvlink")) == ["h0/gpu2", "h0/gpu3"]
    assert _devices(cluster, "c", asks(40, linked="nvlink")) == ["h0/gpu4", "h0/gpu5", "h0/gpu6", "h0/gpu7"]


def test_an_instance_and_its_device_exclude_each_other() -> None:
    parts = [gpu(i, memory=20, parent="h0/gpu0", nvlink=None) for i in (10, 11)]
    cluster = Cluster([gpu(0), *parts])
    cluster.run("part", asks(15))
    cluster.wait("whole", asks(60), submitted=0.0)
    assert cluster.decide().grants == ()
    assert cluster.held("part") == ["h0/gpu10"]
    cluster.wait("other", asks(15))
    assert cluster.decide().grants == ()  # it would delay the one that waits for the whole device
    cluster.end("part")
    cluster.decide()
    assert cluster.held("whole") == ["h0/gpu0"]
    cluster.wait("late", asks(15))
    assert cluster.decide().grants == ()


def test_explicit_cores_and_main_memory_are_conditions() -> None:
    cluster = Cluster(server(2))
    cluster.run("a", asks(4, cpus=40.0))
    cluster.wait("b", asks(4, cpus=40.0))
    assert cluster.decide().grants == ()
    cluster.end("a")
    assert len(cluster.decide().grants) == 1
    cluster.wait("c", asks(4, host_memory=600 * GB))
    assert cluster.decide().grants == ()


def test_cores_by_default_are_in_proportion_and_never_block() -> None:
    cluster = Cluster(server(4))
    first = cluster.run("a", asks(4))
    assert (first.cpus, first.host_memory) == (16.0, 128 * GB)
    cluster.run("b", asks(4, cpus=60.0))
    cluster.run("c", asks(4, cpus=4.0))
    assert cluster.run("d", asks(4)).cpus == 0.0  # nothing is free, and it starts all the same


def test_main_memory_is_not_given_twice_through_the_cpu_device() -> None:
    cluster = Cluster([gpu(0), Device("h0/cpu0", "h0", "cpu", "cpu", 512 * GB, shareable=True)])
    cluster.run("gpu", asks(4, host_memory=400 * GB))
    cluster.wait("cpu", asks(200, kind="cpu", share=True))
    assert cluster.decide().grants == ()
    assert cluster.run("less", asks(100, kind="cpu", share=True, priority=5)).shares


def test_an_inventory_that_shrinks_below_what_is_leased_gets_no_new_lease() -> None:
    cluster = Cluster(server(2))
    for name in "ab":
        cluster.run(name, asks(30, share=True))
    cluster.state.put_device(gpu(0, memory=20))
    cluster.state.drop_device("h0/gpu1")
    cluster.wait("c", asks(4, share=True))
    assert cluster.decide().grants == ()
    cluster.end("a")
    cluster.end("b")
    assert cluster.decide().grants[0].shares[0].device == "h0/gpu0"


def test_a_device_that_comes_back_still_carries_its_leases() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("a", asks(60))
    cluster.state.drop_device("h0/gpu0")
    cluster.state.put_device(gpu(0))
    cluster.wait("b", asks(4, share=True))
    assert cluster.decide().grants == ()


def test_a_lease_that_shrinks_makes_room() -> None:
    cluster = Cluster([gpu(0)])
    lease = cluster.run("a", asks(70, share=True))
    cluster.wait("b", asks(40, share=True))
    assert cluster.decide().grants == ()
    cluster.state.put_lease(replace(lease, shares=(replace(lease.shares[0], memory=30 * GB),)))
    assert len(cluster.decide().grants) == 1


@pytest.mark.parametrize(
    "request_",
    [asks(0), asks(-5), asks(10**9), asks(4, devices=0), asks(4, share=True, devices=3), asks(4, devices=10**5)],
)
def test_absurd_requests_get_nothing_and_stop_nobody(request_: Request) -> None:
    cluster = Cluster(server(2))
    cluster.wait("absurd", request_)
    cluster.wait("b", asks(4))
    assert [grant.waiting_id for grant in cluster.decide().grants] == ["b/step"]


def _devices(cluster: Cluster, name: str, request: Request) -> list[str]:
    return [share.device for share in cluster.run(name, request).shares]
