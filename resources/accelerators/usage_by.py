"""What was used in a period, by tenant, pool, asset or device: live leases count up to now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from resources.accelerators.usage import Use, use_of

if TYPE_CHECKING:
    from resources.accelerators.catalogue import DeviceModel
    from resources.accelerators.configuration import Accelerators
    from resources.accelerators.devices import Device
    from resources.accelerators.leases import Share
    from resources.accelerators.ledger.records import Past

By = Literal["tenant", "pool", "asset", "device"]
BY: tuple[By, ...] = ("tenant", "pool", "asset", "device")


@dataclass(frozen=True, slots=True)
class Total:
    """What one tenant, pool, asset or device used.

    Attributes:
        name: of it.
        leases: how many, `live` of them not ended.
        device_hours: parts of devices times hours.
        kwh, usd: energy and cost; without what is not known.
        kwh_known, usd_known: the share of the device-hours, 0 to 1, whose power and price are known.
        mean_wait, longest_wait: seconds that leases granted in the period had waited.
        peak_memory: the most bytes that one lease was measured to use; None: not measured.
    """

    name: str
    leases: int
    live: int
    device_hours: float
    kwh: float
    kwh_known: float
    usd: float
    usd_known: float
    mean_wait: float
    longest_wait: float
    peak_memory: int | None


@dataclass(frozen=True, slots=True)
class Prices:
    """What turns held devices into energy and money."""

    devices: Mapping[str, Device]
    catalogue: Mapping[str, DeviceModel]
    accelerators: Accelerators

    def use(self, shares: Sequence[Share], seconds: float) -> Use:
        """What holding these shares for so long used."""
        return use_of(shares, seconds, self.devices, self.catalogue, self.accelerators)


def usage_by(past: Iterable[Past], by: By, since: float, until: float, prices: Prices) -> list[Total]:
    """Totals of the period, the most device-hours first; a lease counts with its part inside the period."""
    groups: dict[str, list[tuple[Past, Sequence[Share]]]] = defaultdict(list)
    for one in past:
        for name, shares in _parts(one, by):
            groups[name].append((one, shares))
    totals = [_total(name, found, since, until, prices) for name, found in groups.items()]
    return sorted(totals, key=lambda total: (-total.device_hours, total.name))


def _parts(past: Past, by: By) -> Iterator[tuple[str, Sequence[Share]]]:
    if by == "device":
        yield from ((share.device, (share,)) for share in past.lease.shares)
    else:
        lease = past.lease
        names = {"tenant": lease.request.tenant, "pool": lease.request.pool, "asset": lease.asset or lease.step_key}
        yield names[by], lease.shares


def _total(
    name: str, found: Sequence[tuple[Past, Sequence[Share]]], since: float, until: float, prices: Prices
) -> Total:
    # Each device by itself: in a gang of mixed models the power of one may be known, of another not.
    uses = [prices.use((share,), _seconds(past, since, until)) for past, shares in found for share in shares]
    held = sum(use.device_seconds for use in uses)
    waits = [past.lease.waited for past, _ in found if since <= past.lease.granted <= until]
    peaks = [past.peak_memory for past, _ in found if past.peak_memory is not None]
    return Total(
        name=name,
        leases=len(found),
        live=sum(past.ended is None for past, _ in found),
        device_hours=held / 3600,
        kwh=sum(use.kwh or 0.0 for use in uses),
        kwh_known=_part([use.device_seconds for use in uses if use.kwh is not None], held),
        usd=sum(use.usd or 0.0 for use in uses),
        usd_known=_part([use.device_seconds for use in uses if use.usd is not None], held),
        mean_wait=sum(waits) / len(waits) if waits else 0.0,
        longest_wait=max(waits, default=0.0),
        peak_memory=max(peaks, default=None),
    )


def _seconds(past: Past, since: float, until: float) -> float:
    ended = until if past.ended is None else min(past.ended, until)
    return max(0.0, ended - max(past.lease.granted, since))


def _part(known: Sequence[float], held: float) -> float:
    return sum(known) / held if held else 1.0


def row(total: Total) -> dict[str, Any]:
    """A total for a table of people: rounded, and a figure of which nothing is known left empty."""
    return {
        "name": total.name,
        "leases": total.leases,
        "device_hours": round(total.device_hours, 3),
        "kwh": round(total.kwh, 3) if total.kwh_known else None,
        "usd": round(total.usd, 2) if total.usd_known else None,
        "mean_wait_s": round(total.mean_wait, 1),
        "longest_wait_s": round(total.longest_wait, 1),
    }
