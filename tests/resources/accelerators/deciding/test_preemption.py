"""Guards against leases that are ended in vain: taken back too early, too many, or without room for anybody."""

from __future__ import annotations

import pytest

from resources.accelerators.deciding.rules import Rules
from resources.accelerators.requests import Request
from tests.resources.accelerators.deciding.cluster import Cluster, asks, gpu, server

OLD = 1000.0


def victims(cluster: Cluster) -> set[str]:
    return {preemption.lease_id for preemption in cluster.decide().preemptions}


def full(count: int, request: Request) -> Cluster:
    cluster = Cluster(server(count))
    for number in range(count):
        cluster.run(f"r{number}", request)
    cluster.now += OLD
    return cluster


def test_a_higher_priority_takes_back_the_fewest_leases() -> None:
    cluster = Cluster(server(3))
    cluster.run("one", asks(60, preemptible=True))
    cluster.run("two", asks(160, linked="nvlink", preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(160, linked="nvlink", priority=1))
    assert victims(cluster) == {"two"}


def test_among_equally_many_the_youngest_is_taken() -> None:
    cluster = Cluster(server(2))
    cluster.run("old", asks(60, preemptible=True))
    cluster.now += 10
    cluster.run("young", asks(60, preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(60, priority=1))
    assert victims(cluster) == {"young"}


def test_the_freed_devices_go_to_the_one_they_were_taken_for() -> None:
    cluster = full(2, asks(60, preemptible=True))
    cluster.wait("high", asks(60, priority=1))
    (taken,) = victims(cluster)
    assert cluster.last.reservations["high/step"] == tuple(cluster.held(taken))
    cluster.wait("other", asks(60))
    cluster.end(taken)
    cluster.decide()
    assert cluster.held("high")
    assert not cluster.held("other")


def test_no_more_are_taken_while_enough_are_on_their_way_out() -> None:
    cluster = full(4, asks(60, preemptible=True))
    cluster.wait("high", asks(60, priority=1))
    assert len(victims(cluster)) == 1
    cluster.now += 5
    assert victims(cluster) == set()


@pytest.mark.parametrize(
    ("holder", "priority", "age"),
    [
        (asks(60), 1, OLD),  # not preemptible
        (asks(60, preemptible=True), 0, OLD),  # not of a lower priority
        (asks(60, preemptible=True, priority=3), 2, OLD),
        (asks(60, preemptible=True), 1, 299.0),  # too young
    ],
)
def test_a_lease_is_left_alone(holder: Request, priority: int, age: float) -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("r", holder)
    cluster.now += age
    cluster.wait("high", asks(60, priority=priority))
    assert victims(cluster) == set()


def test_a_priority_raised_by_waiting_takes_nothing_back() -> None:
    cluster = full(1, asks(60, preemptible=True))
    cluster.wait("patient", asks(60), submitted=-100_000.0)
    assert victims(cluster) == set()


def test_nothing_is_taken_back_that_would_not_be_enough() -> None:
    cluster = Cluster(server(2))
    cluster.run("soft", asks(60, preemptible=True))
    cluster.run("hard", asks(60))
    cluster.now += OLD
    cluster.wait("gang", asks(160, linked="nvlink", priority=1))
    assert victims(cluster) == set()


def test_shares_are_taken_back_until_there_is_room() -> None:
    cluster = Cluster([gpu(0)])
    for name, size in (("small", 10), ("large", 40), ("middle", 20)):
        cluster.run(name, asks(size, share=True, preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(45, share=True, priority=1))
    assert victims(cluster) == {"large"}


def test_a_device_with_shares_is_freed_for_a_whole_lease_only_if_all_may_go() -> None:
    cluster = Cluster([gpu(0), gpu(1)])
    cluster.run("fixed", asks(60, share=True))
    cluster.run("soft", asks(15, share=True, preemptible=True))
    cluster.run("apart", asks(30, share=True, preemptible=True))
    cluster.run("beside", asks(40, share=True, preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(60, priority=1))
    assert victims(cluster) == {"apart", "beside"}


def test_cores_are_part_of_the_proof() -> None:
    cluster = Cluster(server(2))
    cluster.run("cores", asks(60, cpus=60.0))
    cluster.run("soft", asks(60, preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(60, cpus=30.0, priority=1))
    assert victims(cluster) == set()


def test_it_can_be_switched_off() -> None:
    cluster = Cluster([gpu(0)], Rules(preemption=False))
    cluster.run("r", asks(60, preemptible=True))
    cluster.now += OLD
    cluster.wait("high", asks(60, priority=1))
    assert victims(cluster) == set()
