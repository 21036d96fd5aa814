"""Guards against a gang that starves, a tenant that crowds out another, and offers that hold devices for ever."""

from __future__ import annotations

import pytest

from resources.accelerators.deciding.limits import check_limits
from resources.accelerators.deciding.offers import offered_since
from resources.accelerators.deciding.rules import Rules
from resources.accelerators.errors import RequestError
from tests.resources.accelerators.deciding.cluster import Cluster, asks, gpu, overcommitted, server


def test_a_gang_starts_in_bounded_time_under_a_steady_stream_of_small_shares() -> None:
    """A stream that keeps all devices busy, each share for 30 s; the gang must start as soon as these have ended."""
    cluster = Cluster(server(8))
    ends: dict[str, float] = {}
    asked = started = None
    for second in range(300):
        cluster.now += 1
        for number in range(5):
            cluster.wait(f"s{second:03}.{number}", asks(4, share=True))
        if second == 60:
            assert len({share.device for lease in cluster.state.leases.values() for share in lease.shares}) == 8
            asked = cluster.now
            cluster.wait("gang", asks(180, linked="nvlink"))
        for name in [name for name, end in ends.items() if end <= cluster.now]:
            del ends[name]
            cluster.end(name)
        for grant in cluster.decide().grants:
            ends.setdefault(grant.waiting_id.split("/")[0], cluster.now + 30)
        assert overcommitted(cluster.state) == []
        if started is None and cluster.held("gang"):
            started = cluster.now
    assert asked is not None
    assert started is not None
    assert started - asked <= 31
    assert sum(name != "gang" for name in cluster.state.leases) > 50  # and the stream went on beside it


def test_a_later_request_passes_only_if_it_will_be_over_in_time() -> None:
    cluster = Cluster(server(3))
    cluster.run("a", asks(60, expected=600.0))
    cluster.wait("gang", asks(180, linked="nvlink"))
    cluster.wait("unknown", asks(60))
    cluster.wait("long", asks(60, expected=700.0))
    cluster.wait("short", asks(60, expected=500.0))
    assert [grant.waiting_id for grant in cluster.decide().grants] == ["short/step"]
    cluster.now += 500
    cluster.end("short")
    cluster.now += 100
    cluster.end("a")
    cluster.decide()
    assert len(cluster.held("gang")) == 3


def test_nobody_passes_where_no_end_is_known() -> None:
    cluster = Cluster(server(3))
    cluster.run("a", asks(60))
    cluster.wait("gang", asks(180, linked="nvlink"))
    cluster.wait("short", asks(60, expected=1.0))
    assert cluster.decide().grants == ()


def test_what_is_not_kept_may_be_used_by_those_behind() -> None:
    cluster = Cluster([*server(3), gpu(9, nvlink=None)])
    for name in "xa":
        cluster.run(name, asks(60))
    cluster.end("x")
    assert cluster.held("a") == ["h0/gpu0"]
    cluster.wait("gang", asks(240, linked="nvlink"), submitted=0.0)
    cluster.wait("b", asks(60))
    cluster.decide()
    assert cluster.held("b") == ["h0/gpu9"]


def test_the_kept_devices_stay_the_same() -> None:
    cluster = Cluster([gpu(i, host=host, pretended=True) for host in "ab" for i in range(2)])
    for name in "wxyz":
        cluster.run(name, asks(60))
    cluster.wait("gang", asks(160, linked="nvlink"))
    cluster.decide()
    kept = cluster.last.reservations["gang/step"]
    busy = next(name for name in "wxyz" if cluster.held(name)[0] not in kept)
    cluster.end(busy)
    assert cluster.decide().reservations["gang/step"] == kept


def test_tenants_below_their_share_go_before_those_above_it() -> None:
    cluster = Cluster(server(8))
    for number in range(16):
        cluster.wait(f"a{number:02}", asks(80, tenant="a", priority=5), submitted=0.0)
        cluster.wait(f"b{number:02}", asks(80, tenant="b"), submitted=100.0)
    cluster.decide()
    assert sorted(name[0] for name in cluster.state.leases) == ["a"] * 4 + ["b"] * 4


def test_shares_of_tenants_are_weighted() -> None:
    cluster = Cluster(server(8), Rules(shares={"a": 3.0}))
    for number in range(16):
        cluster.wait(f"a{number:02}", asks(80, tenant="a"))
        cluster.wait(f"b{number:02}", asks(80, tenant="b"))
    cluster.decide()
    assert sorted(name[0] for name in cluster.state.leases) == ["a"] * 6 + ["b"] * 2


def test_every_device_of_a_gang_counts_towards_the_share() -> None:
    cluster = Cluster(server(8))
    cluster.run("gang", asks(300, linked="nvlink", tenant="a"))
    cluster.wait("a", asks(80, tenant="a", priority=9))
    cluster.wait("b", asks(80, tenant="b"))
    assert cluster.decide().order == ("b/step", "a/step")


def test_within_a_tenant_priority_then_deadline_then_age_decide() -> None:
    cluster = Cluster([])
    cluster.wait("old", asks(1), submitted=900.0)
    cluster.wait("older", asks(1), submitted=800.0)
    cluster.wait("late", asks(1, deadline=9000.0))
    cluster.wait("soon", asks(1, deadline=5000.0))
    cluster.wait("high", asks(1, priority=1))
    assert [name.split("/")[0] for name in cluster.decide().order] == ["high", "soon", "late", "older", "old"]


def test_waiting_raises_the_priority() -> None:
    cluster = Cluster([])
    cluster.wait("low", asks(1))
    cluster.now += 599
    cluster.wait("high", asks(1, priority=1))
    assert cluster.decide().order[0] == "high/step"
    cluster.now += 1
    assert cluster.decide().order[0] == "low/step"  # as high now, and older


def test_a_low_priority_overtakes_a_higher_one_that_comes_later() -> None:
    cluster = Cluster([])
    cluster.wait("low", asks(1))
    cluster.now += 1200
    cluster.wait("high", asks(1, priority=1))
    assert cluster.decide().order[0] == "low/step"


def test_a_clock_that_goes_back_changes_nothing_for_good() -> None:
    cluster = Cluster([])
    cluster.wait("low", asks(1))
    cluster.wait("high", asks(1, priority=1))
    before = cluster.decide().order
    cluster.now += 10_000
    cluster.decide()
    cluster.now = -5000.0
    assert cluster.decide().order == before


def test_a_queued_run_is_offered_and_holds_its_room() -> None:
    cluster = Cluster([gpu(0)])
    cluster.wait("queued", asks(60), "queued", submitted=0.0)
    cluster.wait("live", asks(60))
    decision = cluster.decide()
    assert decision.offered == ("queued/step",)
    assert decision.grants == ()


def test_an_offer_that_dagster_does_not_take_lapses_and_comes_back() -> None:
    cluster = Cluster([gpu(0)])
    cluster.wait("queued", asks(60), "queued")
    cluster.decide()
    cluster.now += 61
    cluster.wait("live", asks(60))
    cluster.decide()
    assert cluster.held("live")
    cluster.end("live")
    assert cluster.decide().offered == ("queued/step",)  # it may start, but keeps nothing from others
    cluster.wait("another", asks(60))
    assert [grant.waiting_id for grant in cluster.decide().grants] == ["another/step"]
    cluster.end("another")
    cluster.now += 600
    cluster.wait("third", asks(60))
    assert cluster.decide().offered == ("queued/step",)
    assert not cluster.held("third")


def test_a_clock_that_goes_back_does_not_make_an_offer_last_for_ever() -> None:
    cluster = Cluster([gpu(0)])
    cluster.wait("queued", asks(60), "queued", offered=cluster.now + 9000)
    waiting = cluster.state.waiting["queued/step"]
    assert offered_since(waiting, cluster.now, cluster.state.rules) == cluster.now


def test_offers_are_limited_in_number_and_claims_go_on() -> None:
    cluster = Cluster(server(8), Rules(offers=3))
    for number in range(6):
        cluster.wait(f"q{number}", asks(60), "queued", submitted=0.0)
    cluster.wait("live", asks(60))
    decision = cluster.decide()
    assert len(decision.offered) == 3
    assert len(decision.grants) == 1


def test_a_priority_above_the_tenants_limit_is_refused_with_the_limit() -> None:
    rules = Rules(max_priorities={"x": 2})
    check_limits(asks(1, tenant="x", priority=2), rules)
    check_limits(asks(1, tenant="y", priority=999), rules)
    with pytest.raises(RequestError, match=r"priority 3 is above the limit of tenant 'x', 2"):
        check_limits(asks(1, tenant="x", priority=3), rules)
