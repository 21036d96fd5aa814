"""The jobs: `everything`, `ingest`, `train` and `evaluate` over all that is not manual, and the same for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.automation import MANUAL

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as Job

    from llm_assets.configs import Configured

CORPUS_STAGES = ("documents", "chunks", "embeddings", "vector_index", "retrieval_evaluation")
MODEL_STAGES = ("training_set", "tuned_model", "evaluation", "promoted_model")
TRAINED_STAGES = (*MODEL_STAGES, "answers")
EXAMINATIONS = ("retrieval_evaluation", "evaluation")
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
WHOLE_TAG = "llm-assets/whole"  # of runs that make every stage of a `corpus` or a `model`, each after those it reads
READABLE = {"loggers": {"console": {}}}  # progress lines instead of every event; the launchpad shows and changes it

OVER_ALL = {
    "everything": (
        "Every corpus and every model that is not manual, from the files to what is served.",
        CORPUS_STAGES + TRAINED_STAGES,
    ),
    "ingest": ("Every corpus that is not manual, from the files to the served index.", CORPUS_STAGES),
    "train": (
        "Every model that is not manual, from its training set to its promotion and its answers.",
        TRAINED_STAGES,
    ),
    "evaluate": ("How well every index answers, and every tuned model; not the manual ones.", EXAMINATIONS),
}
OF_EACH = {
    "ingest": ("{id}, from its files to the served index.", CORPUS_STAGES),
    "train": ("{id}, from its training set to its promotion and its answers.", TRAINED_STAGES),
    "evaluate": ("How well {id} answers.", EXAMINATIONS),
}


@dataclass(frozen=True)
class Part:
    """A corpus or a model: the assets of a tenant under one name."""

    tenant: str
    name: str
    kind: str
    assets: tuple[dg.AssetSpec, ...]

    @property
    def id(self) -> str:
        """`tenant/name`."""
        return f"{self.tenant}/{self.name}"


def parts(defs: dg.Definitions) -> list[Part]:
    """The corpora and models of loaded definitions, by the tags of their assets."""
    found: dict[tuple[str, str, str], list[dg.AssetSpec]] = {}
    for asset in defs.assets or ():
        for spec in asset.specs if isinstance(asset, dg.AssetsDefinition) else ():
            kind = next((kind for kind in ("corpus", "model") if kind in spec.tags), None)
            if kind and "tenant" in spec.tags:
                found.setdefault((spec.tags["tenant"], spec.tags[kind], kind), []).append(spec)
    return [Part(*who, tuple(specs)) for who, specs in found.items()]


def job_names(found: Iterable[Part], verb: str) -> Mapping[str, str]:
    """The name of the job that does `verb` to each part, by its id.

    `ingest_acme_handbook`; where two parts would share a name (`a/b_c` and `a_b/c`), both have two underscores.
    """
    plain = {part.id: f"{part.tenant}_{part.name}" for part in found}
    taken = Counter(plain.values())
    return {
        one: f"{verb}_{name}" if taken[name] == 1 else f"{verb}_{one.replace('/', '__')}"
        for one, name in plain.items()
    }


def all_jobs(found: Sequence[Part], configured: Configured) -> list[Job]:
    """The jobs; one that would select nothing is left out.

    What runs by hand only, `automation: manual`, has jobs of its own only: it is not started along with others. So
    have the stages in partitions of a corpus in buckets, since a run has one set of partitions.

    Args:
        found: `parts` of the loaded components.
        configured: what YAML says of them.
    """
    over_all = [
        _job(verb, text, over_all_keys(found, configured, stages), _whole(stages))
        for verb, (text, stages) in OVER_ALL.items()
    ]
    return [job for job in [*over_all, *_of_each(found)] if job]


def over_all_keys(found: Iterable[Part], configured: Configured, stages: tuple[str, ...]) -> list[dg.AssetKey]:
    """The assets of these stages that a job over all has: of parts of which it can have every stage."""
    chosen = [_of_stages(part.assets, stages) for part in _not_by_hand(found, configured)]
    return [spec.key for specs in chosen if not _partitions(specs) for spec in specs]


def jobs_of_all(found: Sequence[Part], configured: Configured) -> list[str]:
    """The jobs that make all that is not manual. Corpora in buckets come first: a model may learn from them."""
    chosen, names = _not_by_hand(found, configured), job_names(found, "ingest")
    parted = [names[part.id] for part in chosen if _partitions(part.assets)]
    return [*parted, "everything"] if len(parted) < len(chosen) else parted


def _not_by_hand(found: Iterable[Part], configured: Configured) -> list[Part]:
    return [part for part in found if configured.settings[part.id].automation != MANUAL]


def _of_each(found: Sequence[Part]) -> Iterable[Job | None]:
    for verb, (text, stages) in OF_EACH.items():
        names = job_names(found, verb)
        for part in found:
            specs = _of_stages(part.assets, stages)
            tags = {"tenant": part.tenant, part.kind: part.name, **_all_buckets(specs), **_whole(stages)}
            yield _job(names[part.id], text.format(id=part.id), [spec.key for spec in specs], tags)


def _whole(stages: tuple[str, ...]) -> Mapping[str, str]:
    if set(MODEL_STAGES) <= set(stages):
        return {WHOLE_TAG: "model"}
    return {WHOLE_TAG: "corpus"} if set(CORPUS_STAGES) <= set(stages) else {}


def _job(name: str, text: str, keys: list[dg.AssetKey], tags: Mapping[str, str]) -> Job | None:
    if not keys:
        return None
    selection = dg.AssetSelection.assets(*keys)
    return dg.define_asset_job(name, selection=selection, description=text, config=READABLE, tags=tags)


def _of_stages(specs: Iterable[dg.AssetSpec], stages: tuple[str, ...]) -> list[dg.AssetSpec]:
    return [spec for spec in specs if spec.tags.get("stage") in stages]


def _partitions(specs: Iterable[dg.AssetSpec]) -> dg.PartitionsDefinition | None:
    """Of a corpus that is worked on in parts."""
    return next((spec.partitions_def for spec in specs if spec.partitions_def), None)


def _all_buckets(specs: Iterable[dg.AssetSpec]) -> Mapping[str, str]:
    """The tags of a run over all of them: of every run of the part's jobs."""
    partitions = _partitions(specs)
    keys = partitions.get_partition_keys() if partitions else []
    return {RANGE_START: keys[0], RANGE_END: keys[-1]} if keys else {}
