"""A figure read in GiB, or a nominal size taken for usable memory, refuses work that fits or admits what does not."""

from __future__ import annotations

import pytest

from resources.accelerators.catalogue import (
    catalogue,
    model_named,
    model_of,
    models_matching,
    nearest_names,
)
from resources.accelerators.units import GB

MIB = 1 << 20
WHOLE = {name: model for name, model in catalogue().items() if model.parent is None}
NAMED = {
    *("t4", "v100-pcie-16", "v100-sxm-16", "v100-pcie-32", "v100-sxm-32", "a100-pcie-40", "a100-sxm-40"),
    *("a100-pcie-80", "a100-sxm-80", "l4", "l40s", "h100-pcie-80", "h100-nvl-94", "h100-sxm-80", "h200-sxm-141"),
    *("b200", "gb200", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7"),
}


def fits(name: str, gigabytes: float, devices: int = 1) -> bool:
    return catalogue()[name].memory * devices >= gigabytes * GB


def test_the_models_of_the_field_are_there() -> None:
    assert set(WHOLE) == NAMED


def test_inference_of_16_gb_fits_one_v100_16() -> None:
    assert fits("v100-sxm-16", 16)
    assert fits("v100-pcie-16", 16)
    assert not fits("v100-sxm-16", 16 * 1.0737)  # the same number read as GiB


def test_lora_of_60_gb_fits_an_a100_80_and_an_h100_but_no_a100_40_and_no_v100() -> None:
    assert all(
        fits(name, 60) for name in ("a100-pcie-80", "a100-sxm-80", "h100-pcie-80", "h100-sxm-80", "h100-nvl-94")
    )
    assert not any(fits(name, 60) for name in WHOLE if name.startswith(("v100", "a100-pcie-40", "a100-sxm-40")))


def test_a_full_fine_tune_of_180_gb_takes_linked_devices_or_one_b200_and_no_smaller_single_device() -> None:
    smallest = min((model for model in WHOLE.values() if fits(model.name, 180)), key=lambda model: model.memory)
    assert smallest.name == "b200"
    for name in ("a100-sxm-80", "h100-sxm-80"):
        assert fits(name, 180, devices=3)
        assert not fits(name, 180, devices=2)
        assert catalogue()[name].link_bandwidth


def test_every_figure_that_is_known_has_a_source() -> None:
    for model in catalogue().values():
        for figure in ("memory", "bandwidth", "bf16_flops", "watts", "link_bandwidth", "usd"):
            assert (model.source_of(figure) is None) == (figure in model.unknown), (model.name, figure)


def test_what_nobody_publishes_is_left_out_rather_than_guessed() -> None:
    assert catalogue()["tpu-v5p"].unknown == ("watts", "usd")
    assert catalogue()["tpu-v5p"].source_of("watts") is None


def test_street_prices_are_marked_uncertain() -> None:
    assert all("usd" in model.uncertain for model in catalogue().values() if model.usd is not None)


@pytest.mark.parametrize(
    ("driver", "mib", "name"),
    [
        ("NVIDIA A100-SXM4-80GB", 81_920, "a100-sxm-80"),
        ("NVIDIA A100 80GB PCIe", 81_920, "a100-pcie-80"),
        ("NVIDIA A100-SXM4-40GB", 40_960, "a100-sxm-40"),
        ("Tesla V100-SXM2-16GB", 16_384, "v100-sxm-16"),
        ("Tesla V100-SXM2-32GB", 32_510, "v100-sxm-32"),
        ("Tesla T4", 15_360, "t4"),
        ("NVIDIA H100 80GB HBM3", 81_559, "h100-sxm-80"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", 4_864, "a100-sxm-40-mig-1g.5gb"),
        ("NVIDIA H200 MIG 1g.18gb+me", 16_384, "h200-sxm-141-mig-1g.18gb"),
        ("GRID T4-8C", 8_192, "t4-vgpu-8c"),
        ("NVIDIA L40S-24C", 24_576, "l40s-vgpu-24c"),
    ],
)
def test_a_driver_s_name_is_the_catalogue_s_model(driver: str, mib: int, name: str) -> None:
    assert model_named(driver, mib * MIB) == name


def test_an_unknown_device_keeps_the_driver_s_name() -> None:
    assert model_named("NVIDIA GeForce RTX 3090", 24_576 * MIB) == "NVIDIA GeForce RTX 3090"


def test_a_known_name_with_another_memory_is_another_model() -> None:
    assert model_named("NVIDIA B200", 90_000 * MIB) == "NVIDIA B200"


def test_a_family_s_name_means_all_of_it_and_a_device_of_it_is_the_common_one() -> None:
    assert models_matching(["a100"]) == {"a100-pcie-40", "a100-sxm-40", "a100-pcie-80", "a100-sxm-80"}
    assert models_matching(["h100-sxm-80", "NVIDIA GeForce RTX 3090"]) == {"h100-sxm-80", "NVIDIA GeForce RTX 3090"}
    assert model_of("h100") is catalogue()["h100-sxm-80"]
    assert model_of("v5litepod") is catalogue()["tpu-v5e"]
    assert model_of("abacus") is None


def test_a_mistyped_name_has_neighbours() -> None:
    assert "h100-sxm-80" in nearest_names("h100-smx-80")


def test_the_parts_of_a_device_never_have_more_than_it() -> None:
    for part in (model for model in catalogue().values() if model.parent is not None):
        whole = catalogue()[part.parent or ""]
        assert part.memory <= whole.memory * 1.02, part.name  # profiles are named in rounded GB
        assert (part.bf16_flops or 0) <= (whole.bf16_flops or 0)
        assert part.link_bandwidth is None


def test_seven_small_instances_make_no_more_than_their_device() -> None:
    small, whole = catalogue()["a100-sxm-80-mig-1g.10gb"], catalogue()["a100-sxm-80"]
    assert 7 * small.memory <= whole.memory
    assert 7 * (small.bf16_flops or 0) == pytest.approx(whole.bf16_flops)
    assert 7 * (small.watts or 0) == pytest.approx(whole.watts)
