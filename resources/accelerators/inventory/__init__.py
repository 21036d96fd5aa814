"""Which devices this host has: its CPU, its GPUs (NVML), its TPU chips, and those that accelerators.yml declares.

Nothing here runs when a Dagster instance is opened: a host registers by a command of its own, and repeats it.
The GPU and TPU parts are tested against stand-ins at the level of the calls; neither has run on hardware yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from resources.accelerators.configuration import Accelerators
from resources.accelerators.devices import Device, Host
from resources.accelerators.inventory.declared import declared_devices
from resources.accelerators.inventory.host import cpu_device, this_machine
from resources.accelerators.inventory.nvml import gpu_devices
from resources.accelerators.inventory.tpu import tpu_devices

if TYPE_CHECKING:
    from resources.accelerators.ledger.ledger import Ledger, Registration


def probe(accelerators: Accelerators) -> tuple[Host, list[Device]]:
    """This host and all of its devices, with those that are declared: a GPU that is declared by its UUID is that one.

    With `probe: false` only the host's CPU and what is declared.

    Raises:
        ConfigError: a declared model that the catalogue lacks, without memory_gb.
    """
    host = this_machine()
    found: list[Device] = [cpu_device(host)]
    declared = declared_devices(accelerators)
    if accelerators.probe:
        found += [*gpu_devices(host.name), *tpu_devices(host.name)]
        declared = _missed(declared, found, host.name)
    return host, merge(found, declared)


def merge(found: Sequence[Device], declared: Sequence[Device]) -> list[Device]:
    """What was found and what is declared. Where both name a device, the probe knows its health, the file its use."""
    by_id = {device.id: device for device in found}
    for said in declared:
        seen = by_id.get(said.id)
        if seen is not None:
            health = replace(
                seen, memory=said.memory, shareable=said.shareable, tenants=said.tenants, model=said.model
            )
            links = {"nvlink": said.nvlink or seen.nvlink, "rdma": said.rdma, "site": said.site}
            said = replace(health, **links)
        by_id[said.id] = said
    return list(by_id.values())


def _missed(devices: Sequence[Device], found: Sequence[Device], host: str) -> list[Device]:
    """The declared devices; GPUs of this host whose UUID the driver does not list are lost."""
    seen = {device.id for device in found}

    def gone(device: Device) -> bool:
        named = device.id.startswith(("GPU-", "MIG-")) and not device.pretended
        return named and device.host == host and device.id not in seen

    reason = "accelerators.yml declares it, and the driver does not list it: compare nvidia-smi -L"
    return [replace(device, state="lost", reason=reason) if gone(device) else device for device in devices]


def register_this_host(ledger: Ledger, accelerators: Accelerators) -> Registration:
    """Tell the ledger which devices this host has now; those that it knew and that are gone become lost."""
    return ledger.register(*probe(accelerators))


def refresh(ledger: Ledger, accelerators: Accelerators) -> Registration:
    """The repeat of an agent's loop: registers, and ends the MPS daemons of GPUs that no lease holds.

    NVML stays open between, so it costs milliseconds.
    """
    from resources.accelerators.visibility.mps import stop_unused

    registration = register_this_host(ledger, accelerators)
    stop_unused(lambda: {share.device for lease in ledger.view().leases.values() for share in lease.shares})
    return registration
