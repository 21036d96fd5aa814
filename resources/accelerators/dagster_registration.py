"""Register this host's devices when a pool is first used after a start of the machine."""

from __future__ import annotations

from resources.accelerators.configuration import Accelerators
from resources.accelerators.ledger.ledger import Ledger
from resources.accelerators.ledger.liveness import this_boot, this_host

_done: tuple[Ledger, Accelerators] | None = None


def ensure_registered(ledger: Ledger, accelerators: Accelerators) -> None:
    """Probe and register this host, unless that was done since the machine started.

    Afterwards `accelerators register` does it, when devices were added or taken out. Declared devices that the ledger
    lacks are registered whenever accelerators.yml has changed.
    """
    global _done
    if _done and _done[0] is ledger and _done[1] is accelerators:
        return
    host = ledger.registered(this_host())
    if host is None or host.boot_id != this_boot() or not _declared(accelerators) <= ledger.view().devices.keys():
        from resources.accelerators.inventory import register_this_host

        register_this_host(ledger, accelerators)
    _done = (ledger, accelerators)


def _declared(accelerators: Accelerators) -> set[str]:
    if not accelerators.devices:
        return set()
    from resources.accelerators.inventory.declared import declared_devices

    return {device.id for device in declared_devices(accelerators)}
