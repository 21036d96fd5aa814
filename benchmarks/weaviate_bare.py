"""The other side of the Weaviate benchmarks: the client alone, used as its documentation says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.common import seconds
from resources.vector_index.filters import EXACT_FIELDS
from resources.vector_index.rows import HIT_COLUMNS
from resources.vector_index.weaviate_settings import CollectionSettings

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from weaviate import WeaviateClient
    from weaviate.collections import Collection

Object = tuple[dict[str, Any], list[float]]  # properties and vector
NUMBERS, LISTS, SEARCHED = {"ordinal", "page"}, {"headings"}, "text"


@dataclass(frozen=True)
class Batching:
    """A way of the client to import; `size` 0 lets the client choose (`batch.dynamic`)."""

    size: int
    requests: int = 1

    def __str__(self) -> str:
        return f"fixed_size({self.size}, {self.requests})" if self.size else "dynamic()"

    def open(self, batch: Any) -> AbstractContextManager[Any]:
        """Args: batch: `collection.batch`."""
        return batch.fixed_size(self.size, self.requests) if self.size else batch.dynamic()


BATCHINGS = (Batching(200, 2), Batching(500, 2), Batching(1000, 2), Batching(500, 4), Batching(0))


def objects(batches: Iterable[pa.RecordBatch]) -> list[Object]:
    """Rows as the client wants them, made before any clock runs."""
    made = []
    for batch in batches:
        for row in batch.to_pylist():
            vector = row.pop("vector")
            made.append(({name: value for name, value in row.items() if value is not None}, vector))
    return made


@dataclass(frozen=True)
class Bare:
    """A collection as the client alone fills and searches it."""

    collection: Collection

    @classmethod
    def make(cls, client: WeaviateClient, name: str, columns: Iterable[str]) -> Bare:
        """A new one, its graph and tokenisation as this project's default."""
        from weaviate.classes.config import Configure, VectorDistances

        client.collections.delete(name)
        graph = Configure.VectorIndex.hnsw(
            distance_metric=VectorDistances.COSINE,
            ef_construction=128,
            max_connections=32,
            dynamic_ef_min=CollectionSettings().dynamic_ef_min,
            quantizer=Configure.VectorIndex.Quantizer.rq(),
        )
        made = client.collections.create(
            name,
            properties=[_property(column) for column in columns],
            vector_config=Configure.Vectors.self_provided(vector_index_config=graph),
        )
        return cls(made)

    def fill(self, rows: list[Object], batching: Batching) -> float:
        """Import rows. Returns the seconds it took.

        Raises:
            RuntimeError: the server refused some.
        """

        def work() -> None:
            with batching.open(self.collection.batch) as batch:
                for properties, vector in rows:
                    batch.add_object(properties, vector=vector)

        took = seconds(work)
        if failed := self.collection.batch.failed_objects:
            raise RuntimeError(f"{len(failed)} objects were refused: {failed[0].message}")
        return took

    def search(self, vector: np.ndarray, k: int) -> list[str]:
        """The chunk ids of the nearest rows; the answer carries what a hit of this project carries."""
        from weaviate.classes.query import MetadataQuery

        found = self.collection.query.near_vector(
            vector.tolist(), limit=k, return_properties=HIT_COLUMNS, return_metadata=MetadataQuery(distance=True)
        )
        return [str(item.properties["chunk_id"]) for item in found.objects]


def search_served(client: WeaviateClient, alias: str, vector: list[float], k: int = 10) -> list[Any]:
    """Whoever searches by a corpus's alias does it like this; README has the same function."""
    from weaviate.classes.query import Filter

    while True:
        begun = time.monotonic()
        target: Any = client.alias.get(alias_name=alias)
        rows = client.collections.use(target.collection)
        at: Any = rows.query.fetch_object_by_id("49c97200-f594-5a15-b279-af0ecf512ab2").properties
        shown = (
            Filter.by_property("valid_from").less_or_equal(at["served_base"])
            & Filter.by_property("valid_to").greater_than(at["served_base"])
            & Filter.by_property("hidden_from").greater_than(at["served"])
        )
        found = rows.query.near_vector(vector, limit=k, filters=shown).objects
        if time.monotonic() - begun < 2:
            return found


def best_batching(client: WeaviateClient, rows: list[Object]) -> tuple[Batching, dict[str, float]]:
    """The client's fastest way for these rows here, and objects a second of each way."""
    rates = {}
    for batching in BATCHINGS:
        bare = Bare.make(client, "BareTrial", rows[0][0])
        rates[batching] = len(rows) / bare.fill(rows, batching)
    client.collections.delete("BareTrial")
    return max(rates, key=lambda way: rates[way]), {str(way): round(rate) for way, rate in rates.items()}


def _property(column: str) -> Any:
    from weaviate.classes.config import DataType, Property, Tokenization

    if column in NUMBERS:
        return Property(name=column, data_type=DataType.INT, index_filterable=False)
    kind = DataType.TEXT_ARRAY if column in LISTS else DataType.TEXT
    searched = column == SEARCHED
    return Property(
        name=column,
        data_type=kind,
        tokenization=Tokenization.KAGOME_JA if searched else Tokenization.FIELD,
        index_filterable=column in EXACT_FIELDS or column == "chunk_id",
        index_searchable=searched,
    )
