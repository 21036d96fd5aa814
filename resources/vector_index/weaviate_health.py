"""What can be observed of a server and of a collection on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resources.vector_index.weaviate_handle import Handle


def health(handle: Handle) -> Mapping[str, str | int | float]:
    """Version, nodes, shards, objects, and what the graph will take in memory, by name.

    The server's interface tells no memory in use: `vector memory MB` is what its vectors and links need, worked out
    from their number and the settings.
    """
    server = handle.server
    meta = server.call("look at the server", lambda client: client.get_meta())
    nodes = server.call("look at the nodes", lambda client: client.cluster.nodes(handle.class_name, output="verbose"))
    shards = [shard for node in nodes for shard in node.shards]
    objects = sum(shard.object_count for shard in shards)
    return {
        "weaviate version": meta["version"],
        "nodes": len(nodes),
        "nodes healthy": sum(node.status == "HEALTHY" for node in nodes),
        "shards": len(shards),
        "shards read-only": sum(shard.vector_indexing_status == "READONLY" for shard in shards),
        "objects": objects,
        "vectors waiting": sum(shard.vector_queue_length for shard in shards),
        "vector memory MB": round(objects * _bytes_of_a_vector(handle) / 1e6, 1),
        "class": handle.class_name,
    }


def _bytes_of_a_vector(handle: Handle) -> float:
    """Quantised vector and its links: 8 bytes each, twice as many on the lowest layer as `max_connections`."""
    settings, dimension = handle.settings, handle.owned.spec.dimension
    bits = {"rq": 8, "sq": 8, "bq": 1, "pq": 8, "none": 32}[settings.quantisation]
    return dimension * bits / 8 + 2 * settings.max_connections * 8
