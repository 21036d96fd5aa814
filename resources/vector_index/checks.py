"""What every backend checks before it touches its store: names, specs, snapshots, and what a search was given."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from resources.vector_index.errors import InvalidQuery, SnapshotGone, VectorIndexError
from resources.vector_index.protocol import IndexSpec, Mode, Snapshot

if TYPE_CHECKING:
    import numpy as np

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def checked_name(collection: str) -> None:
    """Raises `VectorIndexError` for a name that could leave the store's root."""
    if not _NAME.fullmatch(collection):
        raise VectorIndexError(
            f"collection '{collection}': a name has 1 to 128 letters, digits, '_', '.' or '-' and does not "
            "start with a sign"
        )


def checked_spec(collection: str, made: IndexSpec | None, wanted: IndexSpec) -> None:
    """Raises `VectorIndexError` for a collection that was made with another spec than is wanted."""
    if made != wanted:
        raise VectorIndexError(
            f"collection '{collection}' was made with {made}, not {wanted}: build a new collection under another name"
        )


def numbered(snapshot: Snapshot) -> int:
    """The number of a snapshot's state. Raises `SnapshotGone` for a pointer of a backend that has no numbers."""
    if snapshot.version is None:
        raise SnapshotGone(f"'{snapshot.collection}': this index numbers its states, the pointer has no number")
    return snapshot.version


def checked_mode(mode: str) -> None:
    """Raises `InvalidQuery` for a mode that does not exist."""
    if mode not in get_args(Mode):
        raise InvalidQuery(f"no search mode '{mode}'; permitted: {', '.join(get_args(Mode))}")


def checked_vector(vector: Any, dimension: int, mode: Mode) -> np.ndarray:
    """The question's vector as float32, shape (dimension,)."""
    import numpy as np

    if vector is None:
        raise InvalidQuery(f"a {mode} search needs the question's vector")
    checked = np.asarray(vector, dtype=np.float32)
    if checked.shape != (dimension,) or not np.isfinite(checked).all() or not checked.any():
        raise InvalidQuery(
            f"the question's vector has shape {checked.shape}; the collection takes ({dimension},), finite, "
            "not zero: is it from the collection's own embedder?"
        )
    return checked


def checked_text(text: str | None, mode: Mode) -> str:
    """The question's text."""
    if text is None:
        raise InvalidQuery(f"a {mode} search needs the question's text")
    return text
