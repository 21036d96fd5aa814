"""`accelerators explain POOL`: device by device what admits or excludes it, and what would come of it now."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from resources.accelerators.commands.text import as_json, columns, ranges
from resources.accelerators.dagster_tags import FIELDS, PREFIX
from resources.accelerators.units import shown_gb

if TYPE_CHECKING:
    from resources.accelerators.commands.snapshot import Moment
    from resources.accelerators.configuration import Accelerators
    from resources.accelerators.devices import Device
    from resources.accelerators.requests import Request

HELP = "What admits or excludes each device for a pool, and what would be granted now. Exit code 3: it would wait."
WAITS = 3
NAME = "explain"  # of the run and the step of the request that is only thought of


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes: the fields of the tags."""
    parser.add_argument("pool")
    for field, (_, permitted) in FIELDS.items():
        parser.add_argument(f"--{field.replace('_', '-')}", metavar="VALUE", help=permitted)
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """Print it.

    Raises:
        RequestError: the pool or a value is not known.
        ImpossibleRequest: it could never be met; printed before with its devices.
    """
    from resources.accelerators.commands.snapshot import look
    from resources.accelerators.ledger.ledger import open_ledger

    ledger = open_ledger()
    moment = look(ledger)
    found = explained(moment, request_for(ledger.accelerators, options.pool, vars(options), moment.now))
    print(as_json(found.plain()) if options.json else "\n".join(found.lines()))
    return 0 if found.granted else 1 if found.impossible else WAITS


def request_for(accelerators: Accelerators, pool: str, values: dict[str, Any], now: float) -> Request:
    """The request of a step of that pool whose run had these values as tags."""
    from resources.accelerators.dagster_plans import NO_PLAN, PooledStep
    from resources.accelerators.dagster_requests import request_of

    tags = {PREFIX + field: str(values[field]) for field in FIELDS if values.get(field) is not None}
    return request_of(accelerators, NO_PLAN, PooledStep(NAME, pool), pool, NAME, tags, now)


@dataclass(frozen=True)
class Explanation:
    """What a request meets.

    Attributes:
        request: what would be asked for.
        devices: each with what excludes it now; None admits.
        granted: ids of the devices that it would get now; empty: it would wait, or never get any.
        impossible: why it could never be met.
        why: why it would wait.
        kept: devices that would be kept free for it.
    """

    request: Request
    devices: Sequence[tuple[Device, str | None]]
    granted: Sequence[str] = ()
    impossible: str | None = None
    why: str | None = None
    kept: Sequence[str] = ()

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "pool": self.request.pool,
            "memory_bytes": self.request.memory,
            "tenant": self.request.tenant,
            "devices": [{"device": device.id, "excluded_by": reason} for device, reason in self.devices],
            "granted_now": list(self.granted),
            "impossible": self.impossible,
            "why": self.why,
            "kept_free": list(self.kept),
        }

    def lines(self) -> list[str]:
        """As text."""
        rows = [[ranges(names), model, reason or "admits"] for (model, reason), names in self._alike().items()]
        return [asked(self.request), *(columns(rows) if rows else ["  no device is registered"]), self._outcome()]

    def _alike(self) -> dict[tuple[str, str | None], list[str]]:
        """Model and reason to the devices that share them."""
        found: dict[tuple[str, str | None], list[str]] = {}
        for device, reason in self.devices:
            found.setdefault((device.model, reason), []).append(device.id)
        return found

    def _outcome(self) -> str:
        if self.granted:
            return f"Now it would get {', '.join(self.granted)}."
        if self.impossible:
            return f"NEVER: {self.impossible}"
        return f"It would wait: {self.why}."


def explained(moment: Moment, request: Request) -> Explanation:
    """What the request would meet now; the state is as before afterwards."""
    from resources.accelerators.deciding.decide import decide
    from resources.accelerators.deciding.explain import admits, check_possible, why
    from resources.accelerators.errors import ImpossibleRequest
    from resources.accelerators.requests import Waiting

    state, devices = moment.state, admits(moment.state, request)
    try:
        check_possible(state, request)
    except ImpossibleRequest as error:
        return Explanation(request, devices, impossible=str(error))
    waiting = Waiting(NAME, NAME, request, moment.now, "claiming")
    state.put_waiting(waiting)
    try:
        decision = decide(state, moment.now, moment.policy)
        granted = [share.device for one in decision.grants if one.waiting_id == waiting.id for share in one.shares]
        if granted:
            return Explanation(request, devices, granted)
        reason = why(state, waiting.id, moment.now, moment.policy, decision=decision)
        kept = decision.reservations.get(waiting.id, ())
        return Explanation(request, devices, why=reason.sentence.rstrip("."), kept=kept)
    finally:
        state.drop_waiting(waiting.id)


def asked(request: Request) -> str:
    """A request in words."""
    what = f"{request.pool}: {shown_gb(request.memory)}"
    if request.devices:
        what += f" on {request.devices} device{'s' if request.devices > 1 else ''}"
    what += f", linked by {request.linked}" if request.linked else ""
    what += ", shared" if request.share else ", devices of its own"
    return f"{what}; tenant {request.tenant}, priority {request.priority}"
