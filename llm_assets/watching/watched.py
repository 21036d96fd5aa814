"""What is watched: the files of every corpus, and what every model learns from and is asked, where they follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from llm_assets.automation import ON_CHANGE
from llm_assets.jobs import Part, job_names
from llm_assets.models.datasets import dataset_files
from llm_assets.models.examples import read_content
from llm_assets.models.inputs import inputs_file, inputs_version
from resources.digests import digest
from resources.sources.local import one_file

if TYPE_CHECKING:
    from llm_assets.configs import Configured
    from llm_assets.corpora.settings import CorpusSpec
    from llm_assets.models.settings import FineTuneSpec
    from resources.sources import SourceFile

SHORT = 16  # characters of a version: it stands in cursors, tags and run keys


@dataclass(frozen=True)
class Stage:
    """An asset of a chain, as it is configured now: what it reads, the version of its code and settings, and the
    names of its partitions."""

    key: dg.AssetKey
    reads: tuple[dg.AssetKey, ...]
    code_version: str | None
    partitions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Watched:
    """A source that is watched.

    Attributes:
        id: `tenant/name` of its corpus, `tenant/name/asset` of a model.
        key: the asset of its files.
        location: as people wrote it.
        list: lists its files; raises SourceError.
        may_be_empty: whether no file at all is a state like another.
        job: what takes it to what is served; None where a changed data version alone starts what follows.
        content: the data version of a source without a job, where it is not that of its listing.
        stages: the assets of the job.
    """

    id: str
    key: dg.AssetKey
    location: str
    list: Callable[[], Sequence[SourceFile]]
    may_be_empty: bool
    job: str | None = None
    content: Callable[[], str] | None = None
    stages: tuple[Stage, ...] = ()

    def wanted(self, files_version: str) -> str:
        """Names what is to be served: the files, and the settings with which they are read."""
        return digest(files_version, *(str(stage.code_version) for stage in self.stages))[:SHORT]


def watched(found: Sequence[Part], configured: Configured) -> list[Watched]:
    """Everything that is watched.

    Args:
        found: `parts` of the loaded components.
        configured: what YAML says of them.
    """
    by_id, jobs = {part.id: part for part in found}, job_names(found, "ingest")
    corpus_sources = [_corpus(spec, jobs[spec.id], _stages(by_id[spec.id])) for spec in configured.corpora]
    return [*filter(None, corpus_sources), *of_models(configured.fine_tunes)]


def _stages(part: Part) -> Iterable[Stage]:
    for spec in part.assets:
        parted = spec.partitions_def.get_partition_keys() if spec.partitions_def else ()
        yield Stage(spec.key, tuple(dep.asset_key for dep in spec.deps), spec.code_version, tuple(parted))


def _corpus(spec: CorpusSpec, job: str, stages: Iterable[Stage]) -> Watched | None:
    """The source of a corpus; None where its `automation` is another."""
    from llm_assets.corpora.opening import open_source

    if spec.settings.automation != ON_CHANGE:
        return None
    source = spec.settings.source
    return Watched(
        id=spec.id,
        key=dg.AssetKey([spec.tenant, spec.name, "source_files"]),
        location=source.path,
        list=lambda: open_source(spec).list(),
        may_be_empty=source.allow_empty,
        job=job,
        stages=tuple(stages),
    )


def of_models(specs: Iterable[FineTuneSpec]) -> Iterator[Watched]:
    """The files of the models that follow their changes: what they learn from, and what they are asked."""
    for spec in specs:
        if spec.settings.automation == ON_CHANGE:
            yield from filter(None, (_examples(spec), _dataset(spec), _inputs(spec)))


def _examples(spec: FineTuneSpec) -> Watched | None:
    """The file of examples of a model; None where it has none."""
    file = spec.examples_file
    return _file(spec, "examples", file, lambda: digest(read_content(file))) if file else None


def _dataset(spec: FineTuneSpec) -> Watched | None:
    """The files of a local data set; None where a model has none."""
    place = spec.dataset_place
    if place is None:
        return None
    return Watched(
        id=f"{spec.id}/dataset",
        key=dg.AssetKey([spec.tenant, spec.name, "dataset"]),
        location=str(place),
        list=lambda: dataset_files(place),
        may_be_empty=False,
    )


def _inputs(spec: FineTuneSpec) -> Watched | None:
    """The file of what a promoted model is asked; None where there is none."""
    settings = spec.settings.answers
    if settings is None or not settings.inputs.path:
        return None
    return _file(spec, "inputs", inputs_file(spec, settings), lambda: inputs_version(spec, settings))


def _file(spec: FineTuneSpec, stage: str, file: Path, content: Callable[[], str]) -> Watched:
    return Watched(
        id=f"{spec.id}/{stage}",
        key=dg.AssetKey([spec.tenant, spec.name, stage]),
        location=str(file),
        list=lambda: [one_file(file)],
        may_be_empty=False,
        content=content,
    )
