"""A process that sees a device of another lease uses it, and both run out of memory."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resources import processes
from resources.accelerators.devices import Device
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.units import GB
from resources.accelerators.visibility import environment, tpu_command
from tests.resources.accelerators.visibility.leases import by_id, chips, gpu, lease

CPU = Device("host/cpu0", "host", "cpu", "cpu", 32 * GB)


def test_gpus_are_named_by_uuid_in_the_order_of_the_bus() -> None:
    one, other = gpu("GPU-b", 1), gpu("GPU-a", 4)
    env = environment(lease(other, one), by_id(one, other))
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-b,GPU-a"
    assert env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert env["LLM_ASSETS_LEASE"] == "lease-1"
    assert not [name for name in env if "MPS" in name or "FRACTION" in name]


def test_a_mig_instance_is_named_by_its_own_uuid() -> None:
    part = gpu("MIG-1", model="h100-sxm-80-mig-1g.10gb")
    assert environment(lease(part), by_id(part))["CUDA_VISIBLE_DEVICES"] == "MIG-1"


def test_a_shared_lease_has_its_part_of_the_memory_never_more() -> None:
    device = gpu("GPU-a")
    env = environment(lease(device, memory=16 * GB - 1), by_id(device))
    assert env["LLM_ASSETS_MEMORY_FRACTION"] == "0.1999"
    assert env["LLM_ASSETS_MEMORY_FRACTION"] == env["XLA_PYTHON_CLIENT_MEM_FRACTION"]


def test_under_mps_a_client_has_its_own_limits_on_the_one_device_that_it_sees(tmp_path: Path) -> None:
    device = gpu("GPU-a", 5)
    env = environment(lease(device, memory=8 << 30, compute=0.25), by_id(device), mps={"GPU-a": tmp_path})
    assert env["CUDA_MPS_PIPE_DIRECTORY"] == str(tmp_path)
    assert env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] == "0=8192M"
    assert env["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"
    assert env["CUDA_VISIBLE_DEVICES"] == "GPU-a"


def test_a_cpu_lease_sees_no_gpu_and_starts_no_more_threads_than_it_has_cores() -> None:
    env = environment(lease(CPU, memory=4 * GB, cpus=2.5), by_id(CPU))
    assert env["CUDA_VISIBLE_DEVICES"] == ""
    assert env["PJRT_DEVICE"] == "CPU"
    assert {env[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"2"}


def test_less_than_a_core_is_one_thread() -> None:
    assert environment(lease(CPU, cpus=0.25), by_id(CPU))["OMP_NUM_THREADS"] == "1"


def test_a_pretended_device_hides_nothing_and_is_named() -> None:
    device = replace(gpu("dgx/gpu0"), pretended=True)
    assert environment(lease(device), by_id(device)) == {
        "LLM_ASSETS_LEASE": "lease-1",
        "LLM_ASSETS_DEVICES": "dgx/gpu0",
    }


def test_a_process_of_a_lease_really_has_that_environment_in_torch() -> None:
    code = "import json, torch; print(json.dumps([torch.get_num_threads(), torch.cuda.device_count()]))"
    env = environment(lease(CPU, cpus=1), by_id(CPU))
    with processes.start([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as tree:
        assert tree.stdout is not None
        assert json.loads(tree.stdout.read()) == [1, 0]


def test_a_device_that_is_not_registered_any_more_is_named_with_the_way_out() -> None:
    with pytest.raises(
        AcceleratorError, match=r"lease-1 .*GPU-a is not registered any more\. Register its host again"
    ):
        environment(lease(gpu("GPU-a")), {})


@pytest.mark.parametrize(("count", "bounds"), [(1, "1,1,1"), (2, "1,2,1"), (4, "2,2,1"), (8, "2,4,1")])
def test_chips_of_one_host_have_bounds_of_their_own(count: int, bounds: str) -> None:
    held = chips(8)[-count:]
    env = environment(lease(*held), by_id(*held))
    assert env["PJRT_DEVICE"] == "TPU"
    assert env["TPU_VISIBLE_CHIPS"] == ",".join(str(n) for n in range(8 - count, 8))
    assert (env["TPU_CHIPS_PER_PROCESS_BOUNDS"], env["TPU_PROCESS_BOUNDS"]) == (bounds, "1,1,1")


def test_two_leases_of_a_tpu_host_meet_in_no_chip_and_no_port() -> None:
    all_chips = chips(4)
    one, other = (environment(lease(*half), by_id(*half)) for half in (all_chips[:2], all_chips[2:]))
    assert one["TPU_VISIBLE_CHIPS"] == "0,1"
    assert other["TPU_VISIBLE_CHIPS"] == "2,3"
    assert one["TPU_PROCESS_ADDRESSES"] == f"localhost:{one['TPU_PROCESS_PORT']}"
    assert one["TPU_PROCESS_PORT"] != other["TPU_PROCESS_PORT"]


def test_whole_hosts_of_a_slice_keep_the_bounds_of_their_vm() -> None:
    held = [*chips(4, "vm-0"), *chips(4, "vm-1")]
    env = environment(lease(*held), by_id(*held))
    assert not [name for name in env if name.startswith("TPU_")]


def test_three_chips_are_refused_with_what_a_process_can_have() -> None:
    with pytest.raises(AcceleratorError, match="3 TPU chips of vm: a process has 1, 2, 4 or 8"):
        environment(lease(*chips(3)), by_id(*chips(3)))


def test_a_tpu_lease_is_a_command_for_each_of_its_vms_that_a_shell_takes() -> None:
    held = chips(2)
    show = ["python3", "-c", "import os; print(os.environ['TPU_VISIBLE_CHIPS'], os.environ['LLM_ASSETS_LEASE'])"]
    commands = tpu_command(lease(*held), by_id(*held), show)
    assert list(commands) == ["vm"]
    done = subprocess.run(["sh", "-c", commands["vm"]], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0,1", "lease-1"]


def test_a_tpu_lease_in_a_container_has_the_device_nodes_and_the_environment() -> None:
    line = tpu_command(lease(*chips(1)), by_id(*chips(1)), ["python", "train.py"], image="train:1")["vm"]
    assert line.startswith("docker run --rm --privileged --net=host --env")
    assert line.endswith("train:1 python train.py")


def test_a_lease_without_a_tpu_has_no_command_for_one() -> None:
    with pytest.raises(AcceleratorError, match="holds no TPU: GPU-a"):
        tpu_command(lease(gpu("GPU-a")), by_id(gpu("GPU-a")), ["true"])
