"""Training jobs of the tiny model, to be carried out in this process or in one that can be killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm_assets.models.settings import TrainingSettings
from llm_assets.training.jobs import TrainJob, read_rows, write_rows
from llm_assets.training.reporting import METRICS, Reporter
from llm_assets.training.train import train
from tests.models.real_model import example_rows


def tiny_job(folder: Path, model: Path, **changes: Any) -> TrainJob:
    """A job on 36 short examples, its data in `folder`; `changes` go into its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"example_id": f"e{number:02}", **row, "messages": None, "doc_id": None}
        for number, row in enumerate(example_rows())
    ]
    write_rows(folder / "data.jsonl", rows)
    settings: dict[str, Any] = {"batch": 8, "max_steps": 8, "learning_rate": 5e-3, "checkpoint_steps": 2, "epochs": 9}
    job = TrainJob(
        model=str(model),
        reference="path:tiny",
        data=str(folder / "data.jsonl"),
        settings=TrainingSettings.model_validate(settings | changes).model_dump(),
        threads=1,
        label="acme/tiny",
        provenance={"base": "path:tiny", "method": changes.get("method", "lora")},
    )
    job.write(folder / "job.json")
    return job


def trained(folder: Path, model: Path, **changes: Any) -> list[float]:
    """Carry a job out in this process, or go on with it; the loss of each step."""
    train(tiny_job(folder, model, **changes), folder, Reporter(folder / METRICS, None))
    return losses(folder)


def losses(folder: Path) -> list[float]:
    """The loss of each step; of one that was repeated, the last."""
    rows = {row["step"]: row["loss"] for row in read_rows(folder / METRICS)}
    return [loss for _, loss in sorted(rows.items())]
