"""Jobs over everything that is configured: `everything`, `ingest` and `train`."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

CORPUS_STAGES = ("documents", "chunks", "embeddings", "vector_index", "retrieval_evaluation")
READABLE = {"loggers": {"console": {}}}  # progress lines instead of every event; the launchpad shows and changes it
MODEL_STAGES = ("training_set", "tuned_model", "evaluation", "promoted_model")


def all_jobs(defs: dg.Definitions) -> list[dg.UnresolvedAssetJobDefinition]:
    """The jobs; one that would select nothing is left out."""
    keys = [key for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition) for key in asset.keys]
    jobs = {
        "everything": (
            "Every corpus and every model, from the files to what is served.",
            CORPUS_STAGES + MODEL_STAGES,
        ),
        "ingest": ("Every corpus, from the files to the served index.", CORPUS_STAGES),
        "train": ("Every model, from its training set to its promotion.", MODEL_STAGES),
    }
    return [
        dg.define_asset_job(
            name, selection=dg.AssetSelection.assets(*selected), description=description, config=READABLE
        )
        for name, (description, stages) in jobs.items()
        if (selected := list(_of_stages(keys, stages)))
    ]


def _of_stages(keys: Iterable[dg.AssetKey], stages: tuple[str, ...]) -> Iterable[dg.AssetKey]:
    return (key for key in keys if key.path[-1] in stages)
