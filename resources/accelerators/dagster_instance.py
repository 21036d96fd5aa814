"""A reference to a Dagster instance from inside its own storages, which must not keep it alive."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg


class InstanceReference:
    """Call it to get the instance. Its storages use it only while the instance uses them."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._reference = weakref.ref(instance)

    def __call__(self) -> dg.DagsterInstance:
        instance = self._reference()
        if instance is None:
            raise RuntimeError("this Dagster instance is gone; open it anew")
        return instance
