"""A GPU that is taken for whole, healthy, empty or linked when it is not fails the job that is placed on it.

No GPU is needed: the driver is a stand-in at the level of NVML's calls.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.accelerators.catalogue import catalogue
from resources.accelerators.inventory import gpu_devices
from resources.accelerators.inventory.foreign import UNEXPLAINED
from resources.accelerators.inventory.nvml import Gpus
from tests.resources.accelerators.inventory.nvml_stand_in import MIB, Gpu, StandIn, dgx

GIB = 1024 * MIB


@pytest.fixture
def leased() -> Iterator[int]:
    """A live process that works under a lease."""
    with subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "LLM_ASSETS_LEASE": "a1"},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has its environment from here on
        yield process.pid
        process.kill()


def groups(stand_in: StandIn) -> list[str | None]:
    return [device.nvlink for device in Gpus("dgx", stand_in).devices()]


def test_without_a_driver_there_are_quietly_no_gpus(caplog: pytest.LogCaptureFixture) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a driver")
    assert gpu_devices("laptop") == []
    assert not caplog.records


def test_a_gpu_is_its_uuid_with_the_memory_that_its_driver_leaves_free() -> None:
    [device] = Gpus("dgx", dgx(1)).devices()
    assert (device.id, device.model, device.state) == ("GPU-0", "a100-sxm-80", "ok")
    assert device.memory == (81_920 - 600) * MIB
    assert device.foreign == 0


def test_an_old_driver_that_gives_bytes_and_knows_no_reserve_is_read_too() -> None:
    [device] = Gpus("dgx", StandIn([Gpu("GPU-0")], old_driver=True)).devices()
    assert (device.model, device.memory) == ("a100-sxm-80", 81_920 * MIB)


def test_a_gpu_that_is_cut_is_its_instances_and_not_itself() -> None:
    part = [Gpu(f"MIG-{n}", "NVIDIA A100-SXM4-80GB MIG 1g.10gb", 9_728 * MIB, 0) for n in range(2)]
    devices = Gpus("dgx", StandIn([Gpu("GPU-0", instances=[part[0], None, part[1]]), Gpu("GPU-1")])).devices()
    assert [device.id for device in devices] == ["MIG-0", "MIG-1", "GPU-1"]
    assert [device.parent for device in devices] == ["GPU-0", "GPU-0", None]
    assert devices[0].model == "a100-sxm-80-mig-1g.10gb"
    assert devices[0].model in catalogue()


def test_a_gpu_that_virtual_machines_hold_is_left_to_them() -> None:
    assert [device.id for device in Gpus("dgx", StandIn([Gpu("GPU-0", vgpus=2), Gpu("GPU-1")])).devices()] == [
        "GPU-1"
    ]


def test_a_vgpu_in_a_virtual_machine_is_a_device_of_its_profile() -> None:
    [device] = Gpus("vm", StandIn([Gpu("GPU-0", "GRID T4-8C", 8_192 * MIB, 0, uncorrected=None)])).devices()
    assert device.model == "t4-vgpu-8c"


def test_gpus_behind_switches_are_one_group() -> None:
    assert groups(dgx()) == ["dgx/nvlink0"] * 8


def test_gpus_in_bridged_pairs_are_one_group_a_pair_and_a_single_one_has_none() -> None:
    stand_in = StandIn([Gpu(f"GPU-{n}", "NVIDIA H100 PCIe") for n in range(5)], [(0, 1), (2, 3)])
    assert groups(stand_in) == ["dgx/nvlink0", "dgx/nvlink0", "dgx/nvlink2", "dgx/nvlink2", None]


def test_a_link_through_a_third_gpu_is_no_link() -> None:
    """DGX-1: a cube mesh, each of eight V100s has four partners; two groups of four are linked in all pairs."""
    quads = [(a, b) for four in (range(4), range(4, 8)) for a in four for b in four if a < b]
    stand_in = StandIn([Gpu(f"GPU-{n}") for n in range(8)], [*quads, *((n, n + 4) for n in range(4))])
    assert groups(stand_in) == ["dgx/nvlink0"] * 4 + ["dgx/nvlink4"] * 4


def test_gpus_of_one_nvlink_domain_share_a_group_over_hosts() -> None:
    def host() -> StandIn:
        gpus = [Gpu(f"GPU-{n}", "NVIDIA GB200", domain=bytes(range(16))) for n in range(2)]
        return StandIn(gpus, [(0, 1)])

    one, other = (Gpus(name, host()).devices()[0].nvlink for name in ("tray-1", "tray-2"))
    assert one == other == "nvlink-00010203-0405-0607-0809-0a0b0c0d0e0f-4"


def test_a_refresh_does_not_ask_for_the_links_again() -> None:
    stand_in = dgx()
    gpus = Gpus("dgx", stand_in)
    first = gpus.devices()
    asked = stand_in.calls.count("p2p")
    assert gpus.devices() == first
    assert stand_in.calls.count("p2p") == asked == 28


def test_memory_of_processes_without_a_lease_is_foreign_and_that_of_leases_is_not(leased: int) -> None:
    gpu = Gpu("GPU-0", processes={leased: 20 * GIB, os.getpid(): 3 * GIB})
    [device] = Gpus("dgx", StandIn([gpu])).devices()
    assert device.foreign == 3 * GIB


def test_memory_that_no_visible_process_holds_is_foreign_unless_it_is_the_driver_s_own_overhead(leased: int) -> None:
    gpu = Gpu("GPU-0", processes={leased: 20 * GIB}, unattributed=UNEXPLAINED)
    gpus = Gpus("dgx", StandIn([gpu]))
    assert gpus.devices()[0].foreign == 0
    gpu.unattributed = 5 * GIB
    assert gpus.devices()[0].foreign == 5 * GIB


def test_where_the_driver_does_not_say_who_holds_what_all_is_foreign_unless_a_lease_is_there(leased: int) -> None:
    stranger = Gpu("GPU-0", processes={os.getpid(): None}, unattributed=7 * GIB)
    ours = Gpu("GPU-1", processes={leased: None}, unattributed=7 * GIB)
    assert [device.foreign for device in Gpus("dgx", StandIn([stranger, ours])).devices()] == [7 * GIB, 0]


@pytest.mark.parametrize("code", ["GPU_IS_LOST", "RESET_REQUIRED", "UNKNOWN"])
def test_a_gpu_that_stops_answering_is_lost_with_the_reason_and_the_others_go_on(code: str) -> None:
    stand_in = dgx(3)
    gpus = Gpus("dgx", stand_in)
    gpus.devices()
    stand_in.gpus[1].broken = code
    lost = gpus.devices()[1]
    assert [device.state for device in gpus.devices()] == ["ok", "lost", "ok"]
    assert (lost.id, lost.memory) == ("GPU-1", (81_920 - 600) * MIB)
    assert "NVML says" in str(lost.reason)
    assert [device.nvlink for device in gpus.devices()] == ["dgx/nvlink0"] * 3


def test_a_gpu_that_never_answered_is_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    stand_in = dgx(2)
    stand_in.gpus[0].broken = "GPU_IS_LOST"
    gpus = Gpus("dgx", stand_in)
    for _look in range(3):
        assert [device.id for device in gpus.devices()] == ["GPU-1"]
    [record] = caplog.records  # an agent looks for weeks
    assert "GPU 0 is left out" in record.getMessage()


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ({"remapped": (0, 1, 1, 0)}, "reset the GPU"),
        ({"remapped": (0, 1, 0, 1)}, "needs repair"),
        ({"remapped": None, "retiring": True}, "retired"),
        ({"uncorrected": 2}, "2 uncorrected errors"),
        ({"xids": [79]}, "XID 79"),
    ],
)
def test_a_gpu_with_errors_is_lost_with_the_reason(fault: dict[str, object], word: str) -> None:
    [device] = Gpus("dgx", StandIn([Gpu("GPU-0", **fault)])).devices()  # pyright: ignore[reportArgumentType]
    assert device.state == "lost"
    assert word in str(device.reason)


def test_a_program_s_own_xid_is_no_fault_of_the_gpu_and_a_real_one_stays() -> None:
    gpu = Gpu("GPU-0", xids=[31, 43])
    gpus = Gpus("dgx", StandIn([gpu]))
    assert gpus.devices()[0].state == "ok"
    gpu.xids += [13, 79]
    assert gpus.devices()[0].state == "lost"
    assert gpus.devices()[0].state == "lost"


def test_what_a_gpu_cannot_tell_of_its_health_is_no_fault() -> None:
    gpu = Gpu("GPU-0", "NVIDIA L4", 23_034 * MIB, remapped=None, retiring=None, uncorrected=None)
    assert Gpus("dgx", StandIn([gpu])).devices()[0].state == "ok"


def test_a_driver_that_is_loaded_anew_is_opened_again() -> None:
    stand_in = dgx(2)
    stand_in.initialised = False
    assert len(Gpus("dgx", stand_in).devices()) == 2
