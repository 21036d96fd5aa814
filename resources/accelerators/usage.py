"""What a lease used: device time, energy and cost, by the catalogue's figures.

Energy is the device's rated power over the time that it was held: an upper bound, not a measurement. Half a device's
memory counts as half a device, of its time, power and price alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.accelerators.devices import Device
from resources.accelerators.leases import Share

if TYPE_CHECKING:
    from resources.accelerators.catalogue import DeviceModel
    from resources.accelerators.configuration import Accelerators

JOULES_PER_KWH = 3.6e6
LIFE_HOURS = 3 * 365 * 24
"""A device whose price per hour is not configured is written off over three years, the usual term for servers."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one lease used, or the sum over several.

    Attributes:
        device_seconds: parts of devices times seconds.
        kwh: energy; None where a device's power is not known.
        usd: price of the devices' time and, where `usd_per_kwh` is set, of the energy; None where none is known.
    """

    device_seconds: float = 0.0
    kwh: float | None = 0.0
    usd: float | None = 0.0

    def __add__(self, other: Use) -> Use:
        return Use(
            self.device_seconds + other.device_seconds,
            None if self.kwh is None or other.kwh is None else self.kwh + other.kwh,
            None if self.usd is None or other.usd is None else self.usd + other.usd,
        )


def use_of(
    shares: Sequence[Share],
    seconds: float,
    devices: Mapping[str, Device],
    catalogue: Mapping[str, DeviceModel],
    accelerators: Accelerators,
) -> Use:
    """What was used by holding these shares for so long; a device that is no longer known counts as a whole one."""
    uses = (_use(share, seconds, devices.get(share.device), catalogue, accelerators) for share in shares)
    return sum(uses, Use())


def _use(
    share: Share,
    seconds: float,
    device: Device | None,
    catalogue: Mapping[str, DeviceModel],
    accelerators: Accelerators,
) -> Use:
    held = seconds * (min(1.0, share.memory / device.memory) if device else 1.0)
    model = catalogue.get(device.model) if device else None
    watts = model.watts if model else None
    kwh = held * watts / JOULES_PER_KWH if watts else None
    hourly = usd_per_hour(device.model, model, accelerators) if device else None
    usd = None if hourly is None else held / 3600 * hourly + (kwh or 0.0) * (accelerators.usd_per_kwh or 0.0)
    return Use(held, kwh, usd)


def usd_per_hour(name: str, model: DeviceModel | None, accelerators: Accelerators) -> float | None:
    """Price of a device-hour: configured, or the street price over the life; None where neither is known."""
    if name in accelerators.usd_per_hour:
        return accelerators.usd_per_hour[name]
    return model.usd / LIFE_HOURS if model and model.usd else None
