"""A collection on the server, as the readers and writers of this process hold it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from resources.vector_index.checks import numbered
from resources.vector_index.errors import SnapshotGone
from resources.vector_index.protocol import Snapshot
from resources.vector_index.weaviate_settings import CollectionSettings
from resources.vector_index.weaviate_states import States, View, read_states

if TYPE_CHECKING:
    from weaviate import WeaviateClient
    from weaviate.collections import Collection

    from resources.vector_index.weaviate_connection import Server
    from resources.vector_index.weaviate_schema import Ownership

# Rows of a state leave GRACE seconds after it was taken off the list. Readers look at the list again after
# FRESH seconds, and after a search that took so long that rows may have left meanwhile.
FRESH, GRACE = 1.0, 3.0

T = TypeVar("T")


@dataclass
class Handle:
    """A class of the server, one tenant's part of it where tenants share it.

    Attributes:
        server: where it is.
        class_name: its name there.
        owned: what the class says of itself.
        tenant: the tenant of a shared class.
    """

    server: Server
    class_name: str
    owned: Ownership
    tenant: str | None = None
    _known: tuple[float, States] | None = field(default=None, repr=False)
    _rows: tuple[object, Collection] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The collection's name in this project."""
        return self.owned.collection

    @cached_property
    def settings(self) -> CollectionSettings:
        """What the class was made with."""
        return CollectionSettings.parse(self.owned.spec.shape, self.owned.spec.tuning)

    def run(self, what: str, request: Callable[[Collection], T]) -> T:
        """Run a request on the rows; see `Server.call`."""
        return self.server.call(f"{what} '{self.name}'", lambda client: request(self.rows(client)))

    def rows(self, client: WeaviateClient) -> Collection:
        """The client's view of the rows; made once, since that takes as long as a tenth of a search."""
        known = self._rows
        if known is None or known[0] is not client:
            self._rows = known = (client, self._made(client))
        return known[1]

    def _made(self, client: WeaviateClient) -> Collection:
        from weaviate.classes.config import ConsistencyLevel

        rows = client.collections.use(self.class_name, skip_argument_validation=True)  # `checks` has looked at them
        rows = rows.with_tenant(self.tenant) if self.tenant else rows
        replicated = self.settings.replicas > 1
        return rows.with_consistency_level(ConsistencyLevel.QUORUM) if replicated else rows

    def remember(self, states: States) -> None:
        """This process wrote the states itself."""
        self._known = (time.monotonic(), states)

    def states(self) -> States:
        """The states, as the server has them now."""
        self.remember(found := read_states(self))
        return found

    def reading(self, snapshot: Snapshot, read: Callable[[View, States], T]) -> T:
        """Read a state, sure that its rows were all there until the end.

        Raises:
            SnapshotGone: the state does not exist, or was removed.
        """
        number = numbered(snapshot)
        looked, states = self._looked(number)
        result = read(states.view(number), states)
        if time.monotonic() - looked > GRACE - FRESH and not self.states().holds(number):
            raise gone(snapshot)
        return result

    def _looked(self, number: int) -> tuple[float, States]:
        """The states and when they were looked up, not longer than FRESH ago."""
        if self._known and self._known[1].holds(number) and time.monotonic() - self._known[0] < FRESH:
            return self._known
        now = time.monotonic()
        states = self.states()
        if not states.holds(number):
            raise gone(Snapshot(self.name, number))
        self._known = (now, states)
        return self._known


def gone(snapshot: Snapshot) -> SnapshotGone:
    """The error for a state that is not there."""
    return SnapshotGone(f"state {snapshot.version} of '{snapshot.collection}' is not there; read the served one")
