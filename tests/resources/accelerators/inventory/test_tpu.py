"""A network card or another maker's accelerator that is taken for a TPU would be leased, and fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.accelerators.inventory.tpu import tpu_devices

GOOGLE, OTHER = "0x1ae0", "0x15b3"


def machine(root: Path, *, accel: int = 0, vfio: int = 0, vendor: str = GOOGLE, pci: str | None = "0x0063") -> Path:
    """A /dev and a /sys with so many chips; without `pci`, /sys is hidden."""
    for number in range(accel):
        node(root / "dev" / f"accel{number}", root / f"sys/class/accel/accel{number}/device", vendor, pci)
    for number in range(vfio):
        group = root / f"sys/kernel/iommu_groups/{number}/devices/0000:00:0{number}.0"
        node(root / "dev/vfio" / str(number), group, vendor, pci)
    (root / "dev").mkdir(exist_ok=True)
    return root


def node(dev: Path, device: Path, vendor: str, pci: str | None) -> None:
    dev.parent.mkdir(parents=True, exist_ok=True)
    dev.touch()
    (dev.parent / "vfio").touch()  # the control node, which is no device
    if pci is not None:
        device.mkdir(parents=True, exist_ok=True)
        (device / "vendor").write_text(vendor + "\n")
        (device / "device").write_text(pci + "\n")


def found(root: Path, **environ: str) -> list[tuple[str, str]]:
    return [(d.id, d.model) for d in tpu_devices("vm", environ, root / "dev", root / "sys")]


def test_a_machine_without_tpus_has_none(tmp_path: Path) -> None:
    assert found(machine(tmp_path), TPU_ACCELERATOR_TYPE="v5litepod-8") == []


def test_chips_are_counted_and_their_generation_is_read_from_their_pci_id(tmp_path: Path) -> None:
    assert found(machine(tmp_path, vfio=4, pci="0x006f")) == [(f"vm/tpu{n}", "tpu-v6e") for n in range(4)]


def test_the_environment_of_the_tpu_vm_names_the_generation(tmp_path: Path) -> None:
    assert found(machine(tmp_path, accel=4), TPU_ACCELERATOR_TYPE="v4-8")[0] == ("vm/tpu0", "tpu-v4")


@pytest.mark.parametrize("kind", ["accel", "vfio"])
def test_other_makers_devices_are_no_tpus(tmp_path: Path, kind: str) -> None:
    root = machine(tmp_path, vendor=OTHER, accel=2 * (kind == "accel"), vfio=2 * (kind == "vfio"))
    assert found(root) == []
    assert found(root, TPU_ACCELERATOR_TYPE="v6e-4") == []


def test_where_sys_is_hidden_only_a_machine_that_calls_itself_a_tpu_vm_has_tpus(tmp_path: Path) -> None:
    root = machine(tmp_path, vfio=8, pci=None)
    assert found(root) == []
    assert len(found(root, TPU_ACCELERATOR_TYPE="v5litepod-8")) == 8


def test_a_chip_of_v7_that_shows_two_devices_is_one(tmp_path: Path) -> None:
    assert len(found(machine(tmp_path, vfio=8), TPU_ACCELERATOR_TYPE="tpu7x-8")) == 4


def test_an_unknown_generation_is_left_out_with_the_way_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert found(machine(tmp_path, vfio=2, pci="0x9999")) == []
    assert "Set TPU_ACCELERATOR_TYPE" in caplog.text


def test_the_chips_of_a_host_are_linked_and_those_of_a_slice_of_hosts_share_its_name(tmp_path: Path) -> None:
    root = machine(tmp_path, vfio=4)
    alone = tpu_devices("vm", {}, root / "dev", root / "sys")
    environ = {"TPU_NAME": "pod", "TPU_WORKER_HOSTNAMES": "10.0.0.1,10.0.0.2"}
    several = tpu_devices("vm", environ, root / "dev", root / "sys")
    assert {device.nvlink for device in alone} == {"vm/ici"}
    assert {device.nvlink for device in several} == {"ici-pod"}
    assert not any(device.shareable for device in alone)
