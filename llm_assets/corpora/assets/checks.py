"""The checks that the YAML of a corpus asks for."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from llm_assets.components.checks import metric_checks, table_checks
from llm_assets.corpora import chunks, documents, evaluation, serving
from llm_assets.corpora.opening import open_store
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.stages import Stages

if TYPE_CHECKING:
    from resources.platform import Platform


def corpus_checks(spec: CorpusSpec, stages: Stages) -> list[dg.AssetChecksDefinition]:
    tests, tenant, name = spec.settings.tests, spec.tenant, spec.name

    def chunk_rows(platform: "Platform") -> Any:
        return chunks.chunks_table(platform, tenant, name)

    def embedding_rows(platform: "Platform") -> Any:
        return open_store(platform, spec).table

    found = table_checks(
        stages.key("documents"),
        tests.documents,
        lambda platform: documents.documents_table(platform, spec.tenant, spec.name),
    )
    found += table_checks(stages.key("chunks"), tests.chunks, chunk_rows)
    found += table_checks(stages.key("embeddings"), tests.embeddings, embedding_rows)
    found += table_checks(
        stages.key("vector_index"),
        tests.vector_index,
        lambda platform: serving.ServedRows(platform, tenant, name),
    )
    found += metric_checks(
        stages.key("retrieval_evaluation"),
        tests.retrieval_evaluation,
        lambda platform: evaluation.latest_metrics(platform.state, tenant, name),
    )
    return found
