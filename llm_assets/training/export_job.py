"""What the process that exports is told."""

from __future__ import annotations

from dataclasses import dataclass

from llm_assets.training.jobs import Job


@dataclass(frozen=True)
class ExportJob(Job):
    """A tuned model to be written as one.

    Attributes:
        model: folder of the base model.
        weights: sealed folder of the tuned weights.
        target: folder to write into; it is there, and empty.
        shard: size of a file of weights at most, as `5GB`.
    """

    model: str
    weights: str
    target: str
    shard: str
