"""Guards against a bill that counts a lease twice, forgets one that still runs, or invents a price."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import pytest

from resources.accelerators.catalogue import catalogue
from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device
from resources.accelerators.leases import Lease, Share
from resources.accelerators.ledger.records import Past
from resources.accelerators.requests import Request
from resources.accelerators.usage_by import Prices, usage_by
from tests.resources.accelerators.seen.conftest import Cluster

HOUR = 3600.0
GPU = Device("node/gpu0", "node", "gpu", "h100-sxm-80", 80)
OTHER = Device("node/gpu1", "node", "gpu", "unheard-of", 80)
PRICES = Prices(
    {GPU.id: GPU, OTHER.id: OTHER}, catalogue(), Accelerators(usd_per_hour={"h100-sxm-80": 2.0}, usd_per_kwh=0.5)
)


def past(
    name: str, granted: float, ended: float | None, *shares: Share, tenant: str = "acme", waited: float = 0.0
) -> Past:
    request = Request(pool="lora", memory=60, tenant=tenant)
    return Past(Lease(name, name, "step", request, shares, granted, waited, asset=name), ended)


def test_a_lease_counts_with_its_part_inside_the_period() -> None:
    whole = Share(GPU.id, 80)
    found = usage_by([past("a", 0, 2 * HOUR, whole)], "tenant", HOUR, 3 * HOUR, PRICES)
    assert [(one.name, one.device_hours) for one in found] == [("acme", 1.0)]


def test_a_live_lease_counts_up_to_the_end_of_the_period() -> None:
    found = usage_by([past("a", 0, None, Share(GPU.id, 80))], "asset", 0, 3 * HOUR, PRICES)
    assert (found[0].device_hours, found[0].live) == (3.0, 1)


def test_a_shared_quarter_of_a_device_is_a_quarter_of_time_energy_and_cost() -> None:
    [one] = usage_by([past("a", 0, HOUR, Share(GPU.id, 20))], "pool", 0, HOUR, PRICES)
    watts = catalogue()["h100-sxm-80"].watts
    assert watts is not None
    assert one.device_hours == 0.25
    assert math.isclose(one.kwh, 0.25 * watts / 1000)
    assert math.isclose(one.usd, 0.25 * 2.0 + one.kwh * 0.5)


def test_a_gang_counts_each_of_its_devices_and_each_device_itself() -> None:
    gang = past("a", 0, HOUR, Share(GPU.id, 80), Share(OTHER.id, 80))
    [total] = usage_by([gang], "tenant", 0, HOUR, PRICES)
    assert (total.leases, total.device_hours) == (1, 2.0)
    assert {one.name: one.device_hours for one in usage_by([gang], "device", 0, HOUR, PRICES)} == {
        GPU.id: 1.0,
        OTHER.id: 1.0,
    }


def test_what_has_no_known_power_or_price_is_left_out_and_said() -> None:
    gang = past("a", 0, HOUR, Share(GPU.id, 80), Share(OTHER.id, 80))
    [total] = usage_by([gang], "tenant", 0, HOUR, PRICES)
    assert (total.kwh_known, total.usd_known) == (0.5, 0.5)
    watts = catalogue()["h100-sxm-80"].watts
    assert watts is not None
    assert math.isclose(total.kwh, watts / 1000)


def test_waits_are_of_leases_granted_in_the_period() -> None:
    whole = Share(GPU.id, 80)
    leases = [
        past("before", 0, 2 * HOUR, whole, waited=999.0),
        past("in", 1.5 * HOUR, 2 * HOUR, whole, waited=10.0),
        past("too", 1.6 * HOUR, 2 * HOUR, whole, waited=20.0),
    ]
    [total] = usage_by(leases, "tenant", HOUR, 2 * HOUR, PRICES)
    assert (total.mean_wait, total.longest_wait) == (15.0, 20.0)


@pytest.mark.parametrize("by", ["tenant", "pool", "asset", "device"])
def test_the_command_counts_what_the_ledger_has(
    cluster: Cluster, accelerators: Callable[..., tuple[int, str, str]], by: str
) -> None:
    cluster.held("tuned_model", tenant="acme")
    cluster.ledger.release("tuned_model")
    cluster.held("bert", "embed", tenant="bolt")
    found = json.loads(accelerators("usage", "--by", by, "--json", "--since", "1h")[1])
    names = {"tenant": {"acme", "bolt"}, "pool": {"lora", "embed"}, "asset": {"acme/tuned_model", "acme/bert"}}
    expected = names.get(by, {"node/gpu0"} | {share["name"] for share in found["totals"]})
    assert {total["name"] for total in found["totals"]} == expected
    assert sum(total["live"] for total in found["totals"]) == 1
    assert accelerators("usage", "--by", by)[0] == 0
