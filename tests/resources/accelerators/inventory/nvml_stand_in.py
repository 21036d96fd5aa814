"""A stand-in for the driver at the level of NVML's calls: constants, errors and structures are pynvml's own."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pynvml

MIB = 1 << 20


def error(code: str) -> pynvml.NVMLError:
    return pynvml.NVMLError(getattr(pynvml, f"NVML_ERROR_{code}"))


@dataclass
class Gpu:
    """A GPU or MIG instance as the driver would answer for it; `broken` raises that error from every call."""

    uuid: str
    name: str = "NVIDIA A100-SXM4-80GB"
    total: int = 81_920 * MIB
    reserved: int = 600 * MIB
    processes: dict[int, int | None] = field(default_factory=dict)
    unattributed: int = 0
    instances: list[Gpu | None] = field(default_factory=list)
    vgpus: int = 0
    broken: str | None = None
    remapped: tuple[int, int, int, int] | None = (0, 0, 0, 0)
    retiring: bool | None = None
    uncorrected: int | None = 0
    xids: list[int] = field(default_factory=list)
    domain: bytes = bytes(16)

    @property
    def used(self) -> int:
        return sum(size or 0 for size in self.processes.values()) + self.unattributed


class StandIn:
    """Takes the place of the module pynvml. What it does not stand in for is the real module's, calls excepted."""

    def __init__(self, gpus: list[Gpu], linked: Iterable[tuple[int, int]] = (), old_driver: bool = False) -> None:
        self.gpus, self.old_driver = gpus, old_driver
        self.linked = {frozenset(pair) for pair in linked}
        self.calls: list[str] = []
        self.initialised = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml") and callable(getattr(pynvml, name)):
            raise AssertionError(f"{name} would reach the real driver")
        return getattr(pynvml, name)

    def _ask(self, gpu: Gpu, call: str = "") -> Gpu:
        self.calls.append(call)
        if gpu.broken:
            raise error(gpu.broken)
        return gpu

    def nvmlInit(self) -> None:
        self.initialised = True

    def nvmlDeviceGetCount(self) -> int:
        if not self.initialised:
            raise error("UNINITIALIZED")
        return len(self.gpus)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> Gpu:
        return self._ask(self.gpus[number])

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Gpu:
        return self._ask(next(gpu for gpu in self.gpus if gpu.uuid == uuid))

    def nvmlDeviceGetUUID(self, gpu: Gpu) -> str:
        return self._ask(gpu).uuid

    def nvmlDeviceGetName(self, gpu: Gpu) -> bytes | str:
        return self._ask(gpu).name.encode() if self.old_driver else gpu.name

    def nvmlDeviceGetMemoryInfo(self, gpu: Gpu, version: int | None = None) -> SimpleNamespace:
        self._ask(gpu)
        if version is None:
            return SimpleNamespace(total=gpu.total, used=gpu.used + gpu.reserved)
        if self.old_driver:
            raise error("FUNCTION_NOT_FOUND")
        return SimpleNamespace(total=gpu.total, reserved=gpu.reserved, used=gpu.used)

    def nvmlDeviceGetComputeRunningProcesses(self, gpu: Gpu) -> list[SimpleNamespace]:
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in self._ask(gpu).processes.items()]

    def nvmlDeviceGetGraphicsRunningProcesses(self, _gpu: Gpu) -> list[SimpleNamespace]:
        raise error("NOT_SUPPORTED")

    def nvmlDeviceGetActiveVgpus(self, gpu: Gpu) -> list[int]:
        if not self._ask(gpu).vgpus:
            raise error("NOT_SUPPORTED")
        return list(range(gpu.vgpus))

    def nvmlDeviceGetMigMode(self, gpu: Gpu) -> list[int]:
        if "A100" not in self._ask(gpu).name:
            raise error("NOT_SUPPORTED")
        return [int(bool(gpu.instances)), int(bool(gpu.instances))]

    def nvmlDeviceGetMaxMigDeviceCount(self, _gpu: Gpu) -> int:
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, gpu: Gpu, place: int) -> Gpu:
        part = self._ask(gpu).instances[place] if place < len(gpu.instances) else None
        if part is None:
            raise error("NOT_FOUND")
        return part

    def nvmlDeviceGetP2PStatus(self, one: Gpu, other: Gpu, what: int) -> int:
        self._ask(one, "p2p")
        assert what == pynvml.NVML_P2P_CAPS_INDEX_NVLINK
        pair = frozenset((self.gpus.index(one), self.gpus.index(other)))
        return pynvml.NVML_P2P_STATUS_OK if pair in self.linked else pynvml.NVML_P2P_STATUS_NOT_SUPPORTED

    def nvmlDeviceGetGpuFabricInfoV(self, gpu: Gpu, info: Any) -> None:
        if self.old_driver:
            raise error("FUNCTION_NOT_FOUND")
        info = info._obj
        info.state, info.cliqueId = pynvml.NVML_GPU_FABRIC_STATE_COMPLETED, 4
        info.clusterUuid = (ctypes.c_uint8 * 16)(*gpu.domain)

    def nvmlDeviceGetRemappedRows(self, gpu: Gpu) -> tuple[int, int, int, int]:
        if self._ask(gpu).remapped is None:
            raise error("NOT_SUPPORTED")
        return gpu.remapped or (0, 0, 0, 0)

    def nvmlDeviceGetRetiredPagesPendingStatus(self, gpu: Gpu) -> int:
        if self._ask(gpu).retiring is None:
            raise error("NOT_SUPPORTED")
        return int(bool(gpu.retiring))

    def nvmlDeviceGetTotalEccErrors(self, gpu: Gpu, kind: int, counter: int) -> int:
        assert (kind, counter) == (pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC)
        if self._ask(gpu).uncorrected is None:
            raise error("NOT_SUPPORTED")
        return gpu.uncorrected or 0

    def nvmlEventSetCreate(self) -> list[Gpu]:
        return []

    def nvmlDeviceRegisterEvents(self, gpu: Gpu, kinds: int, events: list[Gpu]) -> None:
        assert kinds == pynvml.nvmlEventTypeXidCriticalError
        events.append(gpu)

    def nvmlEventSetWait_v2(self, events: list[Gpu], milliseconds: int) -> SimpleNamespace:
        assert milliseconds == 0, "a refresh must not wait"
        for gpu in events:
            if gpu.xids:
                return SimpleNamespace(eventData=gpu.xids.pop(0))
        raise error("TIMEOUT")


def dgx(count: int = 8) -> StandIn:
    """Eight A100s behind NVSwitches: every pair is linked."""
    return StandIn([Gpu(f"GPU-{number}") for number in range(count)], combinations(range(count), 2))
