"""Who starts a run: one of several daemons, decided in the state database before Dagster is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources import state_schema as schema
from resources.state import now

if TYPE_CHECKING:
    from resources.state import State

# A daemon starts a run within seconds of asking for it. One that died in between loses its claim after this time;
# if it did start the run, Dagster knows the key and starts no second one.
CLAIM_SECONDS = 120.0
KEPT_SECONDS = 7 * 86400.0


def claim(state: State, run_key: str, seconds: float = CLAIM_SECONDS) -> bool:
    """Whether this process may start the run of this key: true for one of all that ask within `seconds`."""
    table, moment = schema.requested_runs, now()
    with state.write() as connection:
        connection.execute(table.delete().where(table.c.claimed_at < moment - KEPT_SECONDS))
        insert = state.insert(table).values(run_key=run_key, claimed_at=moment)
        taken = insert.on_conflict_do_update(
            index_elements=[table.c.run_key],
            set_={"claimed_at": moment},
            where=table.c.claimed_at < moment - seconds,
        )
        return connection.execute(taken).rowcount == 1
