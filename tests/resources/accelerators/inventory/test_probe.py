"""A declared device that hides what the probe knows of it would be leased while it is lost or full."""

from __future__ import annotations

from typing import Any

import pytest

from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device
from resources.accelerators.inventory import merge, probe
from resources.accelerators.inventory.declared import declared_devices
from resources.accelerators.ledger.liveness import this_host
from resources.accelerators.units import GB
from resources.config_errors import ConfigError


def declared(*entries: dict[str, Any]) -> list[Device]:
    return declared_devices(Accelerators.model_validate({"devices": list(entries)}))


def test_declared_devices_have_the_catalogue_s_memory_and_numbers_that_go_on_over_entries() -> None:
    devices = declared(
        {"model": "a100-sxm-80", "count": 2, "host": "dgx", "nvlink": "a"},
        {"model": "v100-sxm-16", "host": "dgx"},
        {"model": "cpu", "host": "dgx", "kind": "cpu", "memory_gb": 32},
    )
    assert [device.id for device in devices] == ["dgx/gpu0", "dgx/gpu1", "dgx/gpu2", "dgx/cpu0"]
    assert [device.memory for device in devices[2:]] == [16_945_512_448, 32 * GB]
    assert devices[0].nvlink == "a"


def test_a_short_name_is_the_catalogue_s_and_its_memory_can_be_said_otherwise() -> None:
    [device] = declared({"model": "h100", "host": "dgx", "memory_gb": 70, "tenants": ["a"], "pretend": True})
    assert (device.model, device.memory) == ("h100-sxm-80", 70 * GB)
    assert device.tenants == {"a"}
    assert device.pretended


def test_ids_that_are_given_are_kept() -> None:
    assert [d.id for d in declared({"model": "l4", "host": "h", "count": 2, "ids": ["GPU-a", "GPU-b"]})] == [
        "GPU-a",
        "GPU-b",
    ]


def test_an_id_that_is_given_and_another_entrys_own_is_refused() -> None:
    with pytest.raises(ConfigError, match="two have the id 'b/gpu0'"):
        declared({"model": "l4", "host": "a", "ids": ["b/gpu0"]}, {"model": "l4", "host": "b"})


def test_an_unknown_model_without_memory_is_refused_with_its_neighbours() -> None:
    with pytest.raises(ConfigError, match=r"no model 'h100-smx-80' \(near: h100-sxm-80"):
        declared({"model": "h100-smx-80", "host": "dgx"})


def test_an_unknown_model_with_memory_is_taken() -> None:
    assert declared({"model": "abacus", "host": "dgx", "memory_gb": 24})[0].model == "abacus"


def test_a_host_always_has_its_cpu_and_whatever_is_declared() -> None:
    accelerators = Accelerators.model_validate({"devices": [{"model": "t4", "host": "elsewhere"}]})
    host, devices = probe(accelerators)
    assert devices[0].id == f"{host.name}/cpu0"
    assert devices[-1].id == "elsewhere/gpu0"


def test_without_probing_there_is_only_the_cpu() -> None:
    host, devices = probe(Accelerators(probe=False))
    assert [device.id for device in devices] == [f"{host.name}/cpu0"]


def test_a_gpu_that_is_declared_for_this_host_and_that_the_driver_does_not_list_is_lost() -> None:
    entry = {"model": "l4", "ids": ["GPU-00000000-not-there"]}
    here, there = (Accelerators.model_validate({"devices": [entry | {"host": h}]}) for h in (this_host(), "else"))
    assert probe(here)[1][-1].state == "lost"
    assert "nvidia-smi" in str(probe(here)[1][-1].reason)
    assert probe(there)[1][-1].state == "ok"
    assert probe(here.model_copy(update={"probe": False}))[1][-1].state == "ok"


def test_a_device_that_is_found_and_declared_has_the_probe_s_health_and_the_file_s_use() -> None:
    seen = Device("GPU-a", "dgx", "gpu", "l4", 24 * GB, 3, foreign=GB, state="lost", reason="XID 79")
    [said] = declared({"model": "l4", "host": "dgx", "ids": ["GPU-a"], "memory_gb": 20, "shareable": False})
    [device] = merge([seen], [said])
    assert (device.state, device.reason, device.foreign, device.index) == ("lost", "XID 79", GB, 3)
    assert (device.memory, device.shareable) == (20 * GB, False)
