"""The component `Corpus`: a folder of documents becomes a searchable index."""

from __future__ import annotations

from typing import cast

import dagster as dg

from llm_assets.components.base import ConfigComponent
from llm_assets.configs import Fail
from llm_assets.corpora.assets import corpus_definitions
from llm_assets.corpora.chunks import CHUNK_COLUMNS
from llm_assets.corpora.documents import DOCUMENT_COLUMNS
from llm_assets.corpora.settings import CorpusSettings, CorpusSpec

COLUMNS = {
    "documents": DOCUMENT_COLUMNS,
    "chunks": CHUNK_COLUMNS,
    "embeddings": ("text_digest",),
    "vector_index": ("chunk_id", "row_digest"),
}


class Corpus(ConfigComponent):
    """Documents of any format become passages, vectors, and an index that is served once it passed its checks."""

    settings_model = CorpusSettings

    def check(self, fail: Fail) -> None:
        self.check_pool(fail, ("embedder", "pool"), self.spec.settings.embedder.pool)
        tests = self.spec.settings.tests
        for table, columns in COLUMNS.items():
            for position, test in enumerate(getattr(tests, table)):
                column = getattr(test, "column", None)
                if column is not None and column not in columns:
                    path = ("tests", table, position, "column")
                    raise fail(path, f"'{table}' has no column '{column}'; permitted: {', '.join(columns)}")

    @property
    def spec(self) -> CorpusSpec:
        """What the assets are made from."""
        return CorpusSpec(self.tenant, self.folder, cast("CorpusSettings", self.settings))

    def build(self) -> dg.Definitions:
        return corpus_definitions(self.spec)
