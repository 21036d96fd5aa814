"""A lease in the hands of the step that holds it: *lease in, process tree out*."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL
from typing import TYPE_CHECKING

from resources import processes
from resources.accelerators.catalogue import catalogue
from resources.accelerators.errors import LeaseLost, LedgerError
from resources.accelerators.keeper import Ending, Keeper, Tell
from resources.accelerators.ledger.liveness import process_of, this_process
from resources.accelerators.memory_watch import Usage, tree_pids, watch
from resources.accelerators.trees import Trees
from resources.accelerators.units import shown_gb
from resources.accelerators.usage import use_of
from resources.accelerators.visibility import environment, mps_for

if TYPE_CHECKING:
    from resources.accelerators.configuration import Accelerators
    from resources.accelerators.deciding.state import State
    from resources.accelerators.devices import Device
    from resources.accelerators.leases import Lease
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.requests import Process


class HeldLease:
    """What a step does with its devices. From `hold`.

    Attributes:
        lease: what was granted.
        env: the variables that make a process see the granted devices and no others.
        devices: those that it holds, by id.
        trees: what was started under it.
        lost: why nothing more could be started under it.
        usage: the memory that they use.
    """

    def __init__(self, ledger: Ledger, accelerators: Accelerators, lease: Lease) -> None:
        self._ledger, self._accelerators = ledger, accelerators
        self.lease = lease
        state = ledger.view()
        self.devices = {
            share.device: state.devices[share.device] for share in lease.shares if share.device in state.devices
        }
        shown = replace(lease, cpus=_cores(lease, self.devices, state))
        self.env: Mapping[str, str] = environment(shown, self.devices, mps=mps_for(lease, self.devices))
        self.trees = Trees()
        self.lost: LeaseLost | None = None
        self.usage = Usage(granted=sum(share.memory for share in lease.shares))
        self._began = time.monotonic()

    def pids(self) -> list[int]:
        """The processes that work under it now."""
        return [pid for tree in self.trees.living() for pid in tree_pids(tree.pid)]

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: processes.Stream = DEVNULL,
        stdout: processes.Stream = None,
        stderr: processes.Stream = None,
        grace_seconds: float = 10,
    ) -> processes.ProcessTree:
        """As `processes.start`, under the lease: the devices are not free before the tree is empty.

        Raises:
            LeaseLost: it is not held any more, or is being taken back.
        """
        tree = processes.start(
            command,
            env={**self.env, **(env or {})},
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            grace_seconds=grace_seconds,
        )
        try:
            self._take_in(tree)
        except BaseException as error:
            self.lost = error if isinstance(error, LeaseLost) else None
            tree.kill()
            raise
        return tree

    def _take_in(self, tree: processes.ProcessTree) -> None:
        supervisor = process_of(tree.pid)
        if supervisor is not None:  # else it has ended already
            self._ledger.attach(self.lease.id, supervisor)
        if not self.trees.add(tree):
            raise LeaseLost(f"lease {self.lease.id}: it is being taken back, so nothing more is started under it")

    def metadata(self) -> dict[str, str | float]:
        """What a materialisation says of its devices: which, since when, and what they used."""
        seconds = time.monotonic() - self._began
        use = use_of(self.lease.shares, seconds, self.devices, catalogue(), self._accelerators)
        shares = (f"{share.device}: {shown_gb(share.memory)}" for share in self.lease.shares)
        return {
            "pool": self.lease.request.pool,
            "devices": ", ".join(shares),
            "seconds waited for devices": round(self.lease.waited, 1),
            "device-seconds": round(use.device_seconds, 3),
            "peak memory": shown_gb(self.usage.peak) if self.usage.peak else "not measured",
            "energy in kWh, at rated power": self._known(use.kwh, "rated power"),
            "cost in USD": self._known(use.usd, "price; usd_per_hour in accelerators.yml sets one"),
        }

    def _known(self, value: float | None, lacking: str) -> str | float:
        if value is not None:
            return round(value, 6)
        models = ", ".join(sorted({device.model for device in self.devices.values()}))
        return f"not known: the catalogue gives {models} no {lacking}"


def _cores(lease: Lease, devices: Mapping[str, Device], state: State) -> float:
    """Cores to compute with: those that were asked for, else an equal part of what the host's leases share.

    The proportional part that the ledger counts is for accelerators: a CPU lease of 4 GB of 64 would leave the cores
    of an idle laptop unused.
    """
    on_cpu = next((device for device in devices.values() if device.kind == "cpu" and not device.pretended), None)
    if lease.request.cpus is not None or on_cpu is None or on_cpu.host not in state.hosts:
        return lease.cpus
    sharing = sum(any(share.device == on_cpu.id for share in other.shares) for other in state.leases.values())
    return max(lease.cpus, state.hosts[on_cpu.host].cpus // max(1, sharing))


@contextmanager
def hold(
    ledger: Ledger,
    accelerators: Accelerators,
    lease: Lease,
    *,
    owners: Sequence[Process] = (),
    release: bool,
    tell: Tell,
) -> Iterator[HeldLease]:
    """Keep a lease, watch it, and leave it with none of its processes alive.

    Args:
        ledger: that granted it.
        accelerators: its configuration.
        lease: granted for this step.
        owners: processes whose death ends this one as well: the run's worker.
        release: whether it is ours to give back; else the executor does.
        tell: told of what people should know.

    Raises:
        TakenBack: the work failed because the ledger took the devices back.
        MemoryExceeded: it was ended because it used more memory than was granted.
    """
    held, me = _taken_up(ledger, accelerators, lease, release=release), this_process()
    keeper = Keeper(ledger, lease, held.trees, owners=owners, tell=tell)

    def exceeded(usage: Usage) -> None:
        message = f"lease {lease.id}, pool {lease.request.pool}: {usage.message}"
        if accelerators.enforce == "kill":
            keeper.end(Ending("memory", message))
        else:
            tell(message)

    keeper.start()
    try:
        with watch(lease, held.pids, held.devices, on_exceeded=exceeded) as held.usage:
            yield held
    except Exception as error:
        if keeper.ending and keeper.ending.reason == "memory":
            raise MemoryExceeded(keeper.ending.message) from error
        if keeper.ending or held.lost:
            raise TakenBack(keeper.ending.message if keeper.ending else str(held.lost)) from error
        raise
    finally:
        keeper.leave()
        _leave(ledger, held, me, release=release or keeper.ending is not None, tell=tell)


class TakenBack(LeaseLost):
    """The devices were needed elsewhere; asked again, the work goes on from its checkpoint."""


class MemoryExceeded(LeaseLost):
    """More memory was used than was granted."""


def _taken_up(ledger: Ledger, accelerators: Accelerators, lease: Lease, *, release: bool) -> HeldLease:
    """The lease, with this process among its holders; where that fails it is given back, if it is ours."""
    try:
        held = HeldLease(ledger, accelerators, lease)
        ledger.attach(lease.id, this_process())
    except BaseException as error:
        if release:
            with suppress(LedgerError):
                ledger.release(lease.run_id, lease.step_key)
        if isinstance(error, LeaseLost):
            raise TakenBack(str(error)) from error
        raise
    return held


def _leave(ledger: Ledger, held: HeldLease, me: Process, *, release: bool, tell: Tell) -> None:
    """A ledger that does not answer now finds the holders dead later."""
    held.trees.close()
    for tree in held.trees.living():
        tree.terminate()
    lease = held.lease
    try:
        if held.usage.peak:
            ledger.report_use(lease.id, peak_memory=held.usage.peak)
        ledger.detach(lease.id, me)
        if release:
            ledger.release(lease.run_id, lease.step_key)
    except LedgerError as error:
        tell(f"lease {lease.id}: not given back yet, it is free when this process has ended: {error}")
