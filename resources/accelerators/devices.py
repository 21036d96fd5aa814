"""Devices and hosts as the ledger knows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["gpu", "tpu", "cpu"]
Link = Literal["nvlink", "rdma", "site"]
DeviceState = Literal["ok", "drained", "lost"]


@dataclass(frozen=True, slots=True)
class Device:
    """One device that can be leased: a GPU, a MIG instance, a vGPU, a TPU chip, or a host's CPU with its memory.

    Attributes:
        id: UUID of a GPU or MIG instance; else `host/kind<index>`.
        host: the host it is in.
        kind: gpu, tpu or cpu.
        model: name in the catalogue (`a100-sxm-80`), or what the driver calls it.
        memory: usable bytes.
        index: its number on the host, in the order of the bus.
        nvlink, rdma, site: names of the groups that it is linked with; NVLink, NVSwitch and ICI count as `nvlink`.
        shareable: whether several leases may lie on it.
        foreign: bytes that processes without a lease hold.
        state: `ok`; `drained`, by an operator; or `lost`: vanished, or with errors.
        reason: why it is not ok.
        tenants: who may use it; None: everybody.
        parent: the physical device of a MIG instance or vGPU.
        pretended: declared for a test or a demo: there is no hardware, every launcher reaches it.
    """

    id: str
    host: str
    kind: Kind
    model: str
    memory: int
    index: int = 0
    nvlink: str | None = None
    rdma: str | None = None
    site: str | None = None
    shareable: bool = True
    foreign: int = 0
    state: DeviceState = "ok"
    reason: str | None = None
    tenants: frozenset[str] | None = None
    parent: str | None = None
    pretended: bool = False

    def group(self, link: Link) -> str | None:
        """The name of its group of that kind of link."""
        return {"nvlink": self.nvlink, "rdma": self.rdma, "site": self.site}[link]


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with devices.

    Attributes:
        name: unique among the hosts of a ledger.
        cpus: cores that may be leased.
        memory: bytes of main memory.
        boot_id: changes with every start of the machine: no process of an older one lives.
        registered_at: seconds since the epoch.
        site: where it stands.
    """

    name: str
    cpus: float
    memory: int
    boot_id: str
    registered_at: float = 0.0
    site: str | None = None
    labels: frozenset[str] = field(default_factory=frozenset)
