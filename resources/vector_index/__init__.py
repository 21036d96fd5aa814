"""The searchable index of a corpus: one protocol, LanceDB embedded by default, Weaviate where it is served."""

from __future__ import annotations

from resources.vector_index.errors import (
    IndexFull,
    IndexRefused,
    IndexUnavailable,
    InvalidQuery,
    InvalidRows,
    RowsRefused,
    SnapshotGone,
    StaleBase,
    UnknownCollection,
    VectorIndexError,
)
from resources.vector_index.filters import FILTER_FIELDS, Where
from resources.vector_index.protocol import Hit, IndexSpec, Mode, Snapshot, VectorIndex, Verification
from resources.vector_index.trust import dense_trust

__all__ = [
    "FILTER_FIELDS",
    "Hit",
    "IndexFull",
    "IndexRefused",
    "IndexSpec",
    "IndexUnavailable",
    "InvalidQuery",
    "InvalidRows",
    "Mode",
    "RowsRefused",
    "Snapshot",
    "SnapshotGone",
    "StaleBase",
    "UnknownCollection",
    "VectorIndex",
    "VectorIndexError",
    "Verification",
    "Where",
    "dense_trust",
]
