"""What may be asked for at all. A request that gets past it is read in every decision, for everybody."""

from __future__ import annotations

from resources.accelerators.deciding.rules import Rules
from resources.accelerators.errors import RequestError
from resources.accelerators.placement.need import check_sense
from resources.accelerators.requests import Request


def check_limits(request: Request, rules: Rules) -> None:
    """Refuse what contradicts itself or exceeds the tenant's limits.

    Raises:
        RequestError: names the pool or the tenant, the limit and what was asked for.
    """
    check_sense(request)
    limit = rules.max_priorities.get(request.tenant)
    if limit is not None and request.priority > limit:
        raise RequestError(
            f"pool '{request.pool}': priority {request.priority} is above the limit of tenant '{request.tenant}', "
            f"{limit} (max_priority in accelerators.yml)"
        )
