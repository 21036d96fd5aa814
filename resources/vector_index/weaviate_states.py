"""The states of a collection on a server that has no versions.

Every row says in which states it is to be seen: `valid_from` ≤ number < `valid_to`. A change is written under a
number that nobody reads yet: new rows begin with it, replaced ones end with it, and both are in place before the
number is served. So a reader of an earlier number sees all of that state and nothing of the change, and going back
copies only what differs. `hidden_from` takes a forgotten row out of the states from that number on.

Which numbers there are is kept in one object of the collection itself, so that it travels with a backup. The same
object tells those who search by the alias which number is served: `served`, and the `served_base` that rows are valid
at.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from resources.vector_index.weaviate_schema import OPEN

if TYPE_CHECKING:
    from weaviate.collections import Collection

    from resources.vector_index.weaviate_handle import Handle

_NAMESPACE = UUID("6f2d9a1e-54c0-4b1f-9a37-2f0c1f4f8f55")
STATE_ID = uuid5(_NAMESPACE, "states")
VALIDITY = ["valid_from", "valid_to", "hidden_from"]


@dataclass(frozen=True)
class States:
    """What the states object of a collection says.

    Attributes:
        latest: number of the newest state; 0 is the empty collection.
        oldest: the oldest that can be read.
        reads: states that show an earlier one's rows, less what was hidden since: number to number.
        ended: about how many rows the newest state does not show.
        writing: a change was begun; if nobody is at it, its writer was killed.
        soiled: rows were replaced or removed, whose bytes the server's files may still hold.
        served: the state that readers by the corpus's alias are to read; 0 before one was published.
    """

    latest: int = 0
    oldest: int = 0
    reads: Mapping[int, int] = field(default_factory=dict)
    ended: int = 0
    writing: bool = False
    soiled: bool = False
    served: int = 0

    def view(self, number: int) -> View:
        """How the rows of a state are told from the others."""
        return View(number, self.reads.get(number, number))

    @property
    def named(self) -> set[int]:
        """The state that the alias leads to, if any."""
        return {self.served} if self.served and self.holds(self.served) else set()

    def holds(self, number: int) -> bool:
        """Whether a state can be read."""
        return self.oldest <= number <= self.latest


@dataclass(frozen=True)
class View:
    """The rows of one state.

    Attributes:
        number: the state.
        base: the number that rows are valid at.
    """

    number: int
    base: int

    def shows(self, row: Mapping[str, Any]) -> bool:
        """Whether a row belongs to the state."""
        return row["valid_from"] <= self.base < row["valid_to"] and row["hidden_from"] > self.number

    def filter(self) -> Any:
        """The same as a filter of the server."""
        from weaviate.classes.query import Filter

        return (
            Filter.by_property("valid_from").less_or_equal(self.base)
            & Filter.by_property("valid_to").greater_than(self.base)
            & Filter.by_property("hidden_from").greater_than(self.number)
        )


def row_id(collection: str, chunk_id: str, number: int) -> UUID:
    """The id of a chunk as it begins with a state: the same change written again is the same object."""
    return uuid5(_NAMESPACE, f"{collection}/{chunk_id}@{number}")


def beginning(number: int) -> dict[str, int]:
    """The validity of a row that begins with a state."""
    return {"valid_from": number, "valid_to": OPEN, "hidden_from": OPEN}


def read_states(handle: Handle) -> States:
    """What the collection says of its states; one that says nothing is empty."""

    def fetch(rows: Collection) -> Any:
        return rows.query.fetch_object_by_id(STATE_ID, return_properties=["state"])

    found = handle.run("read the states of", fetch)
    if found is None:
        return States()
    told = json.loads(found.properties["state"])
    return States(**{**told, "reads": {int(number): base for number, base in told["reads"].items()}})


def write_states(handle: Handle, states: States) -> None:
    """Put it in place of what was there; no state shows the object itself."""
    from weaviate.classes.data import DataObject

    view = states.view(states.served)
    told = {"state": json.dumps(asdict(states)), "valid_from": 0, "valid_to": 0, "hidden_from": 0}
    told |= {"served": view.number, "served_base": view.base}
    kept = DataObject(properties=told, uuid=STATE_ID)
    handle.run("write the states of", lambda rows: rows.data.insert_many([kept]))
    handle.remember(states)
