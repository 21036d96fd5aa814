"""A training on other devices than those of its lease takes somebody else's, or leaves its own idle."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from llm_assets.models import launching
from llm_assets.models.launching import LaunchError, Layout, layout_on
from resources.accelerators.devices import Device, Kind


def devices(count: int, kind: Kind, *, host: str = "a", pretended: bool = False) -> tuple[Device, ...]:
    return tuple(
        Device(f"{host}/{kind}{n}", host, kind, "any", 10**9, index=n, pretended=pretended) for n in range(count)
    )


def test_every_gpu_of_a_lease_gets_a_process() -> None:
    layout = layout_on(devices(3, "gpu"), "fsdp")
    command = layout.command("llm_assets.training.train", "job", "run")
    assert command[-5:] == ["llm_assets.training.torchrun", "3", "llm_assets.training.train", "job", "run"]
    assert layout.variables(threads=4) == {"LLM_ASSETS_SHARDING": "fsdp", "OMP_NUM_THREADS": "4"}


def test_one_device_needs_no_torchrun() -> None:
    for kind in ("gpu", "cpu"):
        layout = layout_on(devices(1, kind))
        assert layout.command("m", "job")[-3:] == ["-m", "m", "job"]
        assert layout.command("m", "job")[0] == sys.executable
        assert layout.variables() == {}


def test_the_leases_cores_are_divided_over_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert layout_on(devices(4, "gpu")).variables()["OMP_NUM_THREADS"] == "2"


def test_pretended_devices_are_processes_on_the_cpu() -> None:
    layout = layout_on(devices(2, "gpu", pretended=True))
    assert (layout.kind, layout.processes) == ("cpu", 2)
    assert layout.variables(threads=1)["CUDA_VISIBLE_DEVICES"] == ""


def test_devices_of_two_hosts_are_refused() -> None:
    with pytest.raises(LaunchError, match=r"one host, and this lease has some of a, b"):
        layout_on(devices(1, "gpu") + devices(1, "gpu", host="b"))


def test_a_tpu_has_an_interpreter_of_its_own_and_keeps_what_was_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching, "TPU_PYTHON", tmp_path / "python")
    layout = layout_on(devices(1, "tpu"), compiled=tmp_path / "xla")
    assert layout.env == {"XLA_PERSISTENT_CACHE_PATH": str(tmp_path / "xla")}
    with pytest.raises(LaunchError, match="run `make tpu-env` once"):
        layout.command("m")
    (tmp_path / "python").touch()
    assert layout.command("m")[0] == str(tmp_path / "python")
    with pytest.raises(LaunchError, match="takes one TPU chip, and this lease has 4"):
        layout_on(devices(4, "tpu"))


def test_a_pretended_tpu_is_torch_xla_on_the_cpu() -> None:
    assert layout_on(devices(1, "tpu", pretended=True)) == Layout("tpu", env={"PJRT_DEVICE": "CPU"})
