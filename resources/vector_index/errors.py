"""What can go wrong with an index, said so that the reader knows what to do."""

from __future__ import annotations


class VectorIndexError(Exception):
    """The base of all of them: an unusable name, another spec, a verification that cannot be done."""


class UnknownCollection(VectorIndexError):
    """There is no collection of that name."""


class SnapshotGone(VectorIndexError):
    """The snapshot was removed by `tidy`; the served pointer names a newer one."""


class StaleBase(VectorIndexError):
    """The collection has moved on since the difference was computed: compute it again from `latest`."""


class InvalidRows(VectorIndexError):
    """Rows that the collection cannot hold: a missing column, another dimension, a vector without a direction."""


class InvalidQuery(VectorIndexError):
    """A search that cannot be run: neither text nor vector, an unknown filter, a wrong dimension."""


class IndexUnavailable(VectorIndexError):
    """The server cannot be reached or is too busy; what is served is as it was."""


class IndexRefused(IndexUnavailable):
    """No address, wrong key, no permission, too old a server: trying again is of no use until somebody mends it."""


class IndexFull(VectorIndexError):
    """The server takes no writes, since its disk or memory is full; what is served is as it was."""


class RowsRefused(VectorIndexError):
    """The server did not take rows, named in the message; writing the difference again goes on from there."""
