"""Devices that accelerators.yml declares: of this host or another, or pretended."""

from __future__ import annotations

from collections.abc import Iterable

from resources.accelerators.catalogue import model_of, nearest_names
from resources.accelerators.configuration import Accelerators, DeclaredDevices
from resources.accelerators.devices import Device
from resources.accelerators.units import gb_to_bytes
from resources.config_errors import ConfigError


def declared_devices(accelerators: Accelerators) -> list[Device]:
    """All declared devices, of whatever host.

    Ids that are not given are `host/kind<index>`, counted over all entries of a host and kind.

    Raises:
        ConfigError: a model that the catalogue lacks and that has no memory_gb, or two devices with one id.
    """
    counted: dict[tuple[str, str], int] = {}
    devices: list[Device] = []
    for entry in accelerators.devices:
        start = counted.get((entry.host, entry.kind), 0)
        counted[entry.host, entry.kind] = start + entry.count
        devices += _of(entry, start)
    if len(by_id := {device.id: device for device in devices}) < len(devices):
        twice = next(device for device in devices if by_id[device.id] is not device)
        raise ConfigError(
            f"accelerators.yml: devices: two have the id '{twice.id}'; ids that are not given are host/kind<index>"
        )
    return devices


def _of(entry: DeclaredDevices, start: int) -> Iterable[Device]:
    model = model_of(entry.model)
    memory = gb_to_bytes(entry.memory_gb) if entry.memory_gb is not None else model.memory if model else None
    if memory is None:
        near = ", ".join(nearest_names(entry.model))
        raise ConfigError(
            f"accelerators.yml: devices: the catalogue has no model '{entry.model}'"
            f"{f' (near: {near})' if near else ''}. Give memory_gb, or a model that it has."
        )
    for number in range(entry.count):
        index = start + number
        yield Device(
            id=entry.ids[number] if entry.ids else f"{entry.host}/{entry.kind}{index}",
            host=entry.host,
            kind=entry.kind,
            model=model.name if model else entry.model,
            memory=memory,
            index=index,
            nvlink=entry.nvlink,
            rdma=entry.rdma,
            site=entry.site,
            shareable=entry.shareable,
            tenants=None if entry.tenants is None else frozenset(entry.tenants),
            pretended=entry.pretend,
        )
