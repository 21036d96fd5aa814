"""Where everything lies, for one target: the state database, tables, index, caches and run directories."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from resources.profile import CONFIGS, Profile, load_profile
from resources.tables import Tables

if TYPE_CHECKING:
    from resources.state import State
    from resources.vector_index.protocol import VectorIndex
    from resources.vector_index.weaviate import WeaviateIndex


class Platform:
    """What the assets and the command line work on. A tenant's data lies below a folder of its own."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._weaviates: dict[str, WeaviateIndex] = {}

    @classmethod
    def open(cls, target: str | None = None, configs: Path = CONFIGS) -> Platform:
        """The platform of a target of profiles.yml, by default the chosen one."""
        return cls(load_profile(target, configs))

    @cached_property
    def state(self) -> State:
        """The state database of the target; opened on first use."""
        from resources.state import State

        return State(self.profile.url, self.profile.state_dir / "locks")

    def tables(self, tenant: str, corpus: str) -> Tables:
        """The documents and chunks tables of a corpus."""
        return Tables(str(self._tenant(tenant) / "tables" / corpus), self.state)

    def embeddings(self, tenant: str) -> Tables:
        """The embeddings of a tenant, one table per embedder: equal text of two corpora is embedded once."""
        return Tables(str(self._tenant(tenant) / "embeddings"), self.state)

    def index(self, tenant: str) -> VectorIndex:
        """The vector index that holds the tenant's collections."""
        if self.profile.index == "weaviate":
            return self.weaviate(tenant)
        from resources.vector_index.lancedb import LanceIndex

        return LanceIndex(self._tenant(tenant) / "indexes")

    def weaviate(self, tenant: str) -> WeaviateIndex:
        """The index of a profile with Weaviate: one per tenant and process, since it knows what it has opened."""
        if tenant not in self._weaviates:
            from resources.vector_index.weaviate import WeaviateIndex, connection_of

            settings = self.profile.weaviate
            connection = connection_of(settings, self.profile.state_dir / "weaviate", tenant)
            self._weaviates[tenant] = WeaviateIndex(
                connection, tenant=tenant, settings=settings, installation=self.state.installation
            )
        return self._weaviates[tenant]

    def runs(self, tenant: str, model: str) -> Path:
        """The run directories of a fine-tuned model."""
        return self._tenant(tenant) / "models" / model

    @property
    def cache(self) -> Path:
        """Exported runtimes and converted models: can be deleted, and is made again when needed."""
        return self.profile.state_dir / "cache"

    def _tenant(self, tenant: str) -> Path:
        return self.profile.state_dir / "tenants" / tenant
