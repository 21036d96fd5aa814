"""Guards against a request that waits for ever without a word, and a refusal that does not say what to change."""

from __future__ import annotations

import pytest

from resources.accelerators.deciding.explain import admits, check_possible, why
from resources.accelerators.errors import ImpossibleRequest, RequestError
from resources.accelerators.requests import Request
from resources.accelerators.units import GB
from tests.resources.accelerators.deciding.cluster import Cluster, asks, gpu, server


def test_why_names_the_kept_devices_their_holders_and_the_time() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("first", asks(60, expected=600.0))
    waiting = cluster.wait("second", asks(60))
    reason = why(cluster.state, waiting, cluster.now, cluster.policy)
    assert (reason.position, reason.devices, reason.leases) == (1, ("h0/gpu0",), ("first",))
    assert reason.until == cluster.now + 600
    assert reason.sentence == "asks for 60 GB; h0/gpu0 kept for it, held by run first, free in about 10 min"


def test_why_gives_no_time_where_none_is_known() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("first", asks(60))
    waiting = cluster.wait("second", asks(60))
    assert why(cluster.state, waiting, cluster.now, cluster.policy).until is None


def test_why_counts_who_is_ahead() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("first", asks(60))
    cluster.wait("second", asks(60), submitted=0.0)
    waiting = cluster.wait("third", asks(60))
    reason = why(cluster.state, waiting, cluster.now, cluster.policy)
    assert (reason.position, reason.ahead) == (2, ("second/step",))
    assert "1 request is before it" in reason.sentence


def test_why_says_that_free_devices_are_kept_for_others() -> None:
    cluster = Cluster(server(2))
    cluster.run("first", asks(60))
    cluster.wait("gang", asks(160, linked="nvlink"), submitted=0.0)
    waiting = cluster.wait("small", asks(60))
    assert "what is free is kept for 1 request" in why(cluster.state, waiting, cluster.now, cluster.policy).sentence


def test_why_says_that_a_request_may_start() -> None:
    cluster = Cluster([gpu(0)])
    waiting = cluster.wait("first", asks(60), "queued")
    assert why(cluster.state, waiting, cluster.now, cluster.policy).sentence == "may start now"


def test_why_of_an_unknown_request_is_a_key_error() -> None:
    cluster = Cluster([gpu(0)])
    with pytest.raises(KeyError):
        why(cluster.state, "no/one", cluster.now, cluster.policy)


def test_why_does_not_change_the_state() -> None:
    cluster = Cluster([gpu(0)])
    cluster.run("first", asks(60))
    waiting = cluster.wait("second", asks(60))
    first = why(cluster.state, waiting, cluster.now, cluster.policy)
    assert why(cluster.state, waiting, cluster.now, cluster.policy) == first


def test_each_device_says_what_excludes_it() -> None:
    cluster = Cluster(
        [
            gpu(0),
            gpu(1, state="drained", reason="fan"),
            gpu(2, memory=16, model="v100-16"),
            gpu(3, foreign=50 * GB),
            gpu(4, host="far"),
            gpu(5, tenants=frozenset({"x"})),
            gpu(6),
        ]
    )
    cluster.run("holder", asks(60))
    found = {device.index: reason for device, reason in admits(cluster.state, asks(60))}
    assert found == {
        0: "is held alone by another lease",
        1: "is drained: fan",
        2: "has 16 GB; 60 GB is asked for",
        3: "has 30 GB free of 80 GB, 50 GB taken by processes without a lease; 60 GB is asked for",
        4: "is on host far; the launcher reaches only h0",
        5: "is kept for x; the tenant is default",
        6: None,
    }


def test_a_group_that_is_too_small_says_so() -> None:
    found = dict(admits(Cluster(server(2)).state, asks(200, linked="nvlink")))
    assert all(
        "nvlink group 'h0' has 2 free devices with 160 GB; 200 GB is asked for" in str(r) for r in found.values()
    )


def test_free_devices_of_a_group_that_holds_a_gang_are_admitted() -> None:
    assert {reason for _, reason in admits(Cluster(server(4)).state, asks(180, linked="nvlink"))} == {None}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asks(100), "has 80 GB; 100 GB is asked for"),
        (asks(180, linked="nvlink"), "nvlink group 'h0' has 2 free devices with 160 GB"),
        (asks(4, devices=3), "3 devices of"),
        (asks(4, models=frozenset({"b200"})), "is a a100-sxm-80; b200 is asked for"),
        (asks(4, kind="tpu"), "is a gpu; tpu is asked for"),
        (asks(4, cpus=65.0), "has 64 cores free, 65 are asked for"),
        (asks(4, host_memory=600 * GB), "600.0 are asked for"),
        (asks(10**6), "is asked for"),
    ],
)
def test_what_can_never_be_is_refused_with_the_constraint_of_each_device(request_: Request, words: str) -> None:
    with pytest.raises(ImpossibleRequest) as caught:
        check_possible(Cluster(server(2)).state, request_)
    assert set(caught.value.excluded) == {"h0/gpu0", "h0/gpu1"}
    assert all(words in reason for reason in caught.value.excluded.values())
    assert "Ask for less, or add devices." in str(caught.value)


def test_what_only_waits_is_possible() -> None:
    cluster = Cluster([gpu(0, foreign=70 * GB, state="drained")])
    check_possible(cluster.state, asks(60))
    busy = Cluster(server(3))
    busy.run("all", asks(240, linked="nvlink"))
    check_possible(busy.state, asks(240, linked="nvlink"))


def test_a_lost_device_makes_nothing_possible() -> None:
    with pytest.raises(ImpossibleRequest) as caught:
        check_possible(Cluster([gpu(0, state="lost", reason="Xid 79")]).state, asks(60))
    assert caught.value.excluded == {"h0/gpu0": "is lost: Xid 79"}


def test_a_launcher_whose_host_is_not_registered_may_wait() -> None:
    check_possible(Cluster([gpu(0)]).state, asks(60, launcher="elsewhere"))


def test_without_any_device_it_says_what_to_do() -> None:
    with pytest.raises(ImpossibleRequest, match="no device is registered"):
        check_possible(Cluster([]).state, asks(60))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (asks(0), "more than nothing"),
        (asks(4, share=True, linked="nvlink"), "share is for one device"),
        (asks(4, compute=0.5), "goes with share"),
        (asks(4, share=True, compute=1.5), "at most 1"),
        (asks(4, cpus=-1.0), "cannot be negative"),
    ],
)
def test_a_request_that_contradicts_itself_is_refused(request_: Request, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        check_possible(Cluster([gpu(0)]).state, request_)


def test_the_three_sizes_of_the_field_meet_the_devices_that_hold_them() -> None:
    sizes = {
        "v100-16": (16.9, True, False, False),
        "a100-sxm-40": (42.4, True, False, False),
        "a100-sxm-80": (85.9, True, True, False),
        "h100-sxm": (85.5, True, True, False),
        "b200": (192.3, True, True, True),
    }
    for model, (memory, *fits) in sizes.items():
        cluster = Cluster([gpu(0, memory=memory, model=model)])
        asked = (asks(16, share=True), asks(60), asks(180, linked="nvlink"))
        assert [reason is None for request in asked for _, reason in admits(cluster.state, request)] == fits
