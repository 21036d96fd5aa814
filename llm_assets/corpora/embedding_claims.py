"""Who embeds which text now: of several runs that meet the same text at the same time, one embeds it.

A claimant holds a lock while it works, which ends with its process: a claim whose lock is free is nobody's any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import sqlalchemy as sa

from resources import state_schema as schema
from resources.state import State

IN_LIST = 500  # values of one IN
_TABLE = schema.embedding_claims


class Claims:
    """The claims of one run on the texts of one embeddings table.

    Args:
        state: where they are noted.
        embeddings: tenant and table.
    """

    def __init__(self, state: State, embeddings: str) -> None:
        self._state, self._embeddings, self._me = state, embeddings, uuid4().hex
        self.others: set[str] = set()

    def take(self, digests: Sequence[str]) -> set[str]:
        """Claim texts. Returns those that are ours; who has the rest is among `others` then."""
        ours: set[str] = set()
        row = {"embeddings": self._embeddings, "claimant": self._me}
        with self._state.write() as connection:
            rows = [{**row, "text_digest": digest} for digest in digests]
            connection.execute(self._state.insert(_TABLE).on_conflict_do_nothing(), rows)
            for start in range(0, len(digests), IN_LIST):
                query = sa.select(_TABLE).where(*self._these(digests[start : start + IN_LIST]))
                for found in connection.execute(query).mappings():
                    if found["claimant"] == self._me:
                        ours.add(found["text_digest"])
                    else:
                        self.others.add(found["claimant"])
        return ours

    def wait_for_others(self, log: Callable[[str], None]) -> None:
        """Until those who have what we wanted are done, or dead; what the dead had claimed is free then."""
        for other in sorted(self.others):
            with self._state.lock(_lock(other), on_wait=lambda _: log("another run embeds the same texts; waiting")):
                _remove(self._state, other)
        self.others.clear()

    def _these(self, digests: Sequence[str]) -> tuple[sa.ColumnElement[bool], ...]:
        return _TABLE.c.embeddings == self._embeddings, _TABLE.c.text_digest.in_(digests)

    @contextmanager
    def held(self) -> Iterator[None]:
        """While texts are claimed and embedded; nobody is waited for meanwhile."""
        with self._state.lock(_lock(self._me)):
            try:
                yield
            finally:
                _remove(self._state, self._me)


def _lock(claimant: str) -> str:
    return f"embedding/{claimant}"


def _remove(state: State, claimant: str) -> None:
    with state.write() as connection:
        connection.execute(_TABLE.delete().where(_TABLE.c.claimant == claimant))
