"""What a process is told, as a JSON file; and the JSON files that it leaves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

SUMMARY, PROVENANCE = "training.json", "provenance.json"


@dataclass(frozen=True)
class Job:
    """A job as a JSON file."""

    def write(self, file: Path) -> None:
        """Write it whole or not at all."""
        write_json(file, asdict(self))

    @classmethod
    def read(cls, file: Path) -> Self:
        return cls(**json.loads(file.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class TrainJob(Job):
    """A training.

    Attributes:
        model: folder of the base model: config.json and safetensors.
        reference: what people call that model; the adapter keeps it.
        data: rows to train on, JSON lines.
        settings: `TrainingSettings` as a dictionary.
        threads: CPU threads; None: those of the lease.
        label: who is trained, for progress lines.
        provenance: what the result is made of; it is sealed with it.
        kept_tokens: the most at once whose activations fit what was granted; None: not known.
    """

    model: str
    reference: str
    data: str
    settings: dict[str, Any]
    threads: int | None
    label: str
    provenance: dict[str, Any]
    kept_tokens: int | None = None


def result_folder(method: str) -> str:
    """Where a run keeps its result: `model` holds all weights, `adapter` those beside a base model."""
    return "model" if method == "full" else "adapter"


def write_json(file: Path, value: object) -> None:
    """Write JSON beside, then rename: a reader sees the old file or the new one."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.replace(file)


def write_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """JSON lines, beside, then renamed."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    partial.replace(file)


def read_rows(file: Path) -> list[dict[str, Any]]:
    """The rows of a JSON lines file; a last line that was cut off by a crash is left out."""
    rows = []
    for line in file.read_text(encoding="utf-8").split("\n"):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows
