"""The assets of a corpus, one a file: read, call, write, report. The work is in the modules beside this folder."""

import dagster as dg

from llm_assets.corpora.assets.checks import corpus_checks
from llm_assets.corpora.assets.chunks import chunks_asset
from llm_assets.corpora.assets.documents import documents_asset
from llm_assets.corpora.assets.embeddings import embeddings_asset
from llm_assets.corpora.assets.retrieval_evaluation import retrieval_evaluation_asset
from llm_assets.corpora.assets.source_files import source_files_asset
from llm_assets.corpora.assets.vector_index import vector_index_asset
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.stages import Stages


def corpus_definitions(spec: CorpusSpec) -> dg.Definitions:
    """The assets and checks of a corpus."""
    stages = Stages("corpus", spec.tenant, spec.settings)
    makers = [source_files_asset, documents_asset, chunks_asset, embeddings_asset, vector_index_asset]
    if spec.settings.evaluation:
        makers.append(retrieval_evaluation_asset)
    return dg.Definitions(assets=[make(spec, stages) for make in makers], asset_checks=corpus_checks(spec, stages))
