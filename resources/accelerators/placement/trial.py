"""Placements on trial: put onto the room to see what fits beside them, and taken off again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from resources.accelerators.placement.room import Room
from resources.accelerators.placement.slots import Holding


class Trial:
    """Changes of a room that are all undone at the end."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self._undo: list[Callable[[], None]] = []

    def occupy(self, holding: Holding) -> None:
        """As if it were held."""
        self.room.occupy(holding)
        self._undo.append(partial(self.room.vacate, holding))

    def vacate(self, holding: Holding) -> None:
        """As if it were free."""
        self.room.vacate(holding)
        self._undo.append(partial(self.room.occupy, holding))

    def hide(self, device_ids: tuple[str, ...]) -> None:
        """As if nobody could have these devices."""
        self.room.hide(device_ids)
        self._undo.append(partial(self.room.hide, device_ids, -1))

    def show(self, device_ids: tuple[str, ...]) -> None:
        """As if hidden devices could be had."""
        self.room.hide(device_ids, -1)
        self._undo.append(partial(self.room.hide, device_ids))

    def withhold(self, hosts: Iterable[str]) -> None:
        """As if nobody could have cores or main memory of these hosts by number."""
        for name in hosts:
            self.room.withhold(name)
            self._undo.append(partial(self.room.withhold, name, -1))

    def undo(self) -> None:
        """Back to how it was."""
        while self._undo:
            self._undo.pop()()


@contextmanager
def trial(room: Room) -> Iterator[Trial]:
    """Changes that last as long as the block."""
    changes = Trial(room)
    try:
        yield changes
    finally:
        changes.undo()
