"""Docker takes a comma in `--gpus` for the end of a field: without quotes a container has the first GPU, or fails."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from resources.accelerators.devices import Device
from resources.accelerators.units import GB
from resources.accelerators.visibility import docker_flags, kubernetes_limits
from tests.resources.accelerators.visibility.leases import by_id, chips, gpu, lease

PAIR = gpu("GPU-a", 0), gpu("GPU-b", 1)


def value(flags: list[str], name: str) -> str:
    return flags[flags.index(name) + 1]


def test_docker_is_given_the_uuids_as_one_field() -> None:
    flags = docker_flags(lease(*PAIR, cpus=4, ram=8 * GB), by_id(*PAIR))
    assert next(csv.reader([value(flags, "--gpus")])) == ["device=GPU-a,GPU-b"]
    assert value(flags, "--cpus") == "4"
    assert value(flags, "--memory") == "8000000000"
    assert "LLM_ASSETS_LEASE=lease-1" in flags


def test_by_cdi_each_device_is_a_flag() -> None:
    flags = docker_flags(lease(*PAIR), by_id(*PAIR), cdi=True)
    assert flags[:4] == ["--device", "nvidia.com/gpu=GPU-a", "--device", "nvidia.com/gpu=GPU-b"]
    assert "--gpus" not in flags


def test_under_mps_the_container_reaches_the_daemon(tmp_path: Path) -> None:
    device = PAIR[0]
    flags = docker_flags(lease(device, memory=GB), by_id(device), mps={"GPU-a": tmp_path})
    assert value(flags, "--volume") == f"{tmp_path}:{tmp_path}"
    assert "--ipc=host" in flags


def test_a_cpu_lease_asks_docker_for_no_gpu() -> None:
    cpu = Device("host/cpu0", "host", "cpu", "cpu", 32 * GB)
    flags = docker_flags(lease(cpu, cpus=2), by_id(cpu))
    assert "--gpus" not in flags
    assert "CUDA_VISIBLE_DEVICES=" in flags


@pytest.mark.parametrize(
    ("devices", "memory", "limits"),
    [
        (PAIR, None, {"nvidia.com/gpu": "2"}),
        (PAIR[:1], GB, {"nvidia.com/gpu.shared": "1"}),
        ([gpu("MIG-1", model="h100-sxm-80-mig-1g.10gb")], None, {"nvidia.com/mig-1g.10gb": "1"}),
        (chips(4), None, {"google.com/tpu": "4"}),
    ],
)
def test_a_cluster_is_asked_by_the_names_of_the_device_plugins(
    devices: list[Device], memory: int | None, limits: dict[str, str]
) -> None:
    granted = lease(*devices, memory=memory, cpus=2, ram=4 * GB)
    assert kubernetes_limits(granted, by_id(*devices)) == {**limits, "cpu": "2", "memory": "4000000000"}
