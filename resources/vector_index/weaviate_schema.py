"""How a collection is laid out on the server: its class's name, properties, vector index, and whose it is."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from resources.vector_index.errors import VectorIndexError
from resources.vector_index.protocol import IndexSpec
from resources.vector_index.weaviate_settings import CHANGEABLE, CollectionSettings, ServerSettings

if TYPE_CHECKING:
    from weaviate.collections.classes.config import Property

SHARED = "*"  # the owner of collections that tenants share; no tenant is called so
OPEN = 2**40  # `valid_to` and `hidden_from` of a row that nothing has ended; JSON numbers hold it exactly
PARTS = 64  # groups of rows, small enough to be searched exactly one by one
_EXACT = ("chunk_id", "doc_id", "uri", "language", "media_type")
_STORED = ("text", "text_digest", "title", "row_digest", "state")


@dataclass(frozen=True)
class ClassNames:
    """Names on the server. One tenant's begin with a prefix that no other tenant's have, for roles to name.

    Attributes:
        owner: the tenant, or `SHARED`.
        target: `name` of the target's `ServerSettings`.
    """

    owner: str
    target: str = ServerSettings().name

    @property
    def prefix(self) -> str:
        """What every class and alias of the owner begins with."""
        owner = "_shared" if self.owner == SHARED else _escaped(self.owner, keep="")
        return f"{self.target}_{owner}__"

    def of(self, collection: str, generation: int = 1) -> str:
        """The class of a collection; it gets a new generation when it is written anew."""
        return f"{self.prefix}{_escaped(collection, keep='_')}__g{generation}"

    def alias(self, corpus: str) -> str:
        """The name under which everybody finds what is served of a corpus of the tenant."""
        return f"{self.prefix}{_escaped(corpus, keep='_')}"


def _escaped(text: str, keep: str) -> str:
    """Class names have letters, digits and `_`: other characters become `_` and their code."""
    return re.sub(rf"[^A-Za-z0-9{keep}]", lambda found: f"_{ord(found[0]):02x}", text)


@dataclass(frozen=True)
class Ownership:
    """What a class says of itself in its description.

    Attributes:
        owner: the tenant, or `SHARED`.
        collection: the collection's name in this project.
        generation: how often the collection has been written anew.
        spec: what it was made with.
        installation: of the state database that knows what of it is served.
    """

    owner: str
    collection: str
    generation: int
    spec: IndexSpec
    installation: str

    def description(self) -> str:
        """As the server keeps it."""
        return json.dumps({"llm_assets": asdict(self)}, sort_keys=True)

    @classmethod
    def read(cls, description: str | None) -> Ownership | None:
        """What a description says; None for a class that is not this project's."""
        try:
            told = json.loads(description or "")["llm_assets"]
            return cls(**{**told, "spec": IndexSpec(**told["spec"])})
        except (ValueError, KeyError, TypeError):
            return None


def class_definition(owned: Ownership, name: str, *, multi_tenancy: bool) -> dict[str, Any]:
    """The arguments with which the client makes the class.

    Args:
        owned: what it holds.
        name: of the class.
        multi_tenancy: whether tenants share it.
    """
    from weaviate.classes.config import Configure

    settings = CollectionSettings.parse(owned.spec.shape, owned.spec.tuning)
    shards = settings.shards
    return {
        "name": name,
        "description": owned.description(),
        "properties": _properties(settings),
        "inverted_index_config": Configure.inverted_index(bm25_b=0.75, bm25_k1=1.2),
        "vector_config": Configure.Vectors.self_provided(
            name=settings.vector_name, vector_index_config=_graph(owned.spec, settings)
        ),
        "replication_config": Configure.replication(factor=settings.replicas, async_enabled=settings.replicas > 1),
        "sharding_config": Configure.sharding(desired_count=shards) if shards and not multi_tenancy else None,
        "multi_tenancy_config": Configure.multi_tenancy(enabled=True) if multi_tenancy else None,
    }


def _properties(settings: CollectionSettings) -> list[Property]:
    from weaviate.classes.config import DataType, Property, Tokenization

    def text(name: str, *, filtered: bool) -> Property:
        return Property(
            name=name,
            data_type=DataType.TEXT,
            tokenization=Tokenization.FIELD,
            index_filterable=filtered,
            index_searchable=False,
        )

    def number(name: str, *, filtered: bool = False, ranged: bool = False) -> Property:
        return Property(name=name, data_type=DataType.INT, index_filterable=filtered, index_range_filters=ranged)

    searched = Property(
        name="search_text",
        data_type=DataType.TEXT,
        tokenization=Tokenization(settings.tokenization),
        index_filterable=False,
    )
    headings = Property(
        name="headings", data_type=DataType.TEXT_ARRAY, index_filterable=False, index_searchable=False
    )
    return [
        *(text(name, filtered=True) for name in _EXACT),
        *(text(name, filtered=False) for name in _STORED),
        *(number(name) for name in ("ordinal", "page", "served", "served_base")),
        *(number(name, ranged=True) for name in ("valid_from", "valid_to", "hidden_from")),
        number("part", filtered=True),
        headings,
        searched,
    ]


def _graph(spec: IndexSpec, settings: CollectionSettings) -> Any:
    from weaviate.classes.config import Configure, VectorDistances, VectorFilterStrategy

    quantizers = Configure.VectorIndex.Quantizer
    made = {
        "rq": quantizers.rq,
        "sq": quantizers.sq,
        "pq": quantizers.pq,
        "bq": quantizers.bq,
        "none": quantizers.none,
    }
    return Configure.VectorIndex.hnsw(
        distance_metric=VectorDistances.COSINE,
        ef=settings.ef,
        ef_construction=settings.ef_construction,
        max_connections=settings.max_connections,
        dynamic_ef_min=settings.dynamic_ef_min,
        dynamic_ef_max=settings.dynamic_ef_max,
        dynamic_ef_factor=settings.dynamic_ef_factor,
        filter_strategy=VectorFilterStrategy(settings.filter_strategy),
        flat_search_cutoff=spec.exact_below,
        quantizer=made[settings.quantisation](),
    )


def retuned(spec: IndexSpec) -> Any:
    """The settings of the vector index that bring what can be changed in place up to the spec."""
    from weaviate.classes.config import Reconfigure, VectorFilterStrategy

    settings = CollectionSettings.parse(spec.shape, spec.tuning)
    graph = Reconfigure.VectorIndex.hnsw(
        ef=settings.ef,
        dynamic_ef_min=settings.dynamic_ef_min,
        dynamic_ef_max=settings.dynamic_ef_max,
        dynamic_ef_factor=settings.dynamic_ef_factor,
        filter_strategy=VectorFilterStrategy(settings.filter_strategy),
    )
    return Reconfigure.Vectors.update(name=settings.vector_name, vector_index_config=graph)


def tuning_of(vector: Any) -> str:
    """The settings of the vector index that can be changed in place, as `CollectionSettings.tuning` has them."""
    graph = vector.vector_index_config
    told = {name: getattr(graph, name) for name in CHANGEABLE if name != "filter_strategy"}
    return CollectionSettings(**told, filter_strategy=graph.filter_strategy.value).tuning


def not_ours(name: str, place: str, owned: Ownership | None) -> VectorIndexError:
    """The error for a class that is somebody else's, given what it says of itself."""
    if owned is None:
        return VectorIndexError(
            f"Weaviate at {place} has a collection {name} that this project did not make: "
            "rename the corpus or remove that collection"
        )
    return VectorIndexError(
        f"Weaviate at {place} has a collection {name} of another target, with a state database of its own: "
        "give this target a name of its own in profiles.yml (weaviate: {name: …})"
    )
