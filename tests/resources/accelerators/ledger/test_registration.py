"""Guards against: a vanished device that is granted, an operator's drain that is forgotten, an unreported lease."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.units import GB
from tests.resources.accelerators.ledger.claimant import asks
from tests.resources.accelerators.ledger.scenes import gpus, host, ledger_of


def test_what_is_registered_is_read_back_as_it_was(state_url: str) -> None:
    odd = replace(
        gpus(1)[0],
        rdma="fabric",
        site="tokyo",
        shareable=False,
        foreign=3,
        tenants=frozenset({"a", "b"}),
        parent="GPU-1",
        pretended=True,
    )
    machine = replace(host(), site="tokyo", labels=frozenset({"x", "y"}))
    registration = ledger_of(state_url, 0).register(machine, [odd])
    assert registration.added == (odd.id,)
    other = Ledger(state_url, ledger_of(state_url, 0).accelerators)
    other.register(machine, [odd])
    assert other.view().devices[odd.id] == odd
    found = other.registered(machine.name)
    assert found is not None
    assert replace(found, registered_at=0.0) == machine


def test_an_unchanged_inventory_changes_nothing_but_its_time(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    again = ledger.register(host(), gpus(2))
    assert (again.added, again.changed, again.lost, again.leases) == ((), (), (), ())


def test_a_device_that_is_missing_is_lost_and_its_lease_reported_not_ended(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    leases = [ledger.claim(asks("a")), ledger.claim(asks("b"))]
    gone = next(one for one in leases if one and one.shares[0].device == gpus(2)[1].id)
    found = ledger.register(host(), gpus(1))
    assert (found.lost, found.leases) == ((gpus(2)[1].id,), (gone,))
    ledger.release(gone.run_id)
    assert ledger.claim(asks("c")) is None, "it is not there any more"
    ledger.register(host(), gpus(2))
    assert ledger.claim(asks("c")) is not None


def test_a_device_that_shrinks_below_what_is_leased_is_reported(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    for run_id in ("a", "b"):
        assert ledger.claim(asks(run_id, 30, share=True))
    found = ledger.register(host(), gpus(1, 40 * GB))
    assert {lease.run_id for lease in found.leases} == {"a", "b"}
    assert ledger.claim(asks("c", 5, share=True)) is None


def test_a_drained_device_stays_so_when_its_host_registers_again(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    device = gpus(1)[0].id
    ledger.drain(device, "a fan is broken")
    ledger.register(host(), gpus(1))
    found = ledger.view().devices[device]
    assert (found.state, found.reason) == ("drained", "a fan is broken")
    assert ledger.claim(asks("a")) is None
    ledger.undrain(device)
    assert ledger.claim(asks("a")) is not None


def test_a_drained_device_that_is_lost_and_found_is_drained(state_url: str) -> None:
    ledger = ledger_of(state_url, 2)
    device = gpus(2)[1].id
    ledger.drain(device, "old")
    ledger.register(host(), gpus(1))
    assert ledger.view().devices[device].state == "lost"
    ledger.register(host(), gpus(2))
    assert ledger.view().devices[device].state == "drained"


def test_memory_of_processes_without_a_lease_is_not_granted(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    ledger.set_foreign(gpus(1)[0].id, 30 * GB)
    assert ledger.claim(asks("a", 60, share=True)) is None
    ledger.set_foreign(gpus(1)[0].id, 0)
    assert ledger.claim(asks("a", 60, share=True)) is not None


def test_another_hosts_inventory_is_left_alone(state_url: str) -> None:
    ledger = ledger_of(state_url, 1)
    elsewhere = replace(gpus(1)[0], id="other/gpu0", host="other")
    assert ledger.register(host("other"), [elsewhere]).lost == ()
    assert ledger.register(host(), gpus(1)).lost == ()
    assert set(ledger.view().hosts) == {this_host(), "other"}


def test_an_unknown_device_is_named_with_those_that_are_known(state_url: str) -> None:
    with pytest.raises(LookupError, match=rf"no device 'gpu9'; registered: {this_host()}/gpu0"):
        ledger_of(state_url, 1).drain("gpu9", "")
