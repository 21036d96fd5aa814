"""GPUs and MIG instances through NVML (`nvidia-ml-py`, loaded when first needed). No driver: quietly none.

Tested against a stand-in at the level of the library's calls. Nothing here has run on hardware yet, above all not
MIG, the errors, and drivers older than 510, which do not tell what they reserve.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from resources.accelerators.catalogue import model_named
from resources.accelerators.devices import Device
from resources.accelerators.inventory.foreign import foreign_memory
from resources.accelerators.inventory.nvml_health import Health
from resources.accelerators.inventory.nvml_links import link_groups

log = logging.getLogger(__name__)
Handle = Any  # a pointer of the driver's
Library = Any  # the module pynvml: its functions are not typed


def gpu_devices(host: str) -> list[Device]:
    """The GPUs and MIG instances of this host; none without a driver. NVML stays open between calls."""
    gpus = _opened(host)
    return gpus.devices() if gpus else []


@lru_cache(maxsize=1)
def library() -> Library | None:
    """The module pynvml, initialised; None without a driver. What else is wrong with NVML is said once."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        absent = (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
        if error.value not in absent:  # pyright: ignore[reportAttributeAccessIssue]  # it has one at run time
            log.warning("The GPUs of this host are left out: NVML says '%s'. See nvidia-smi.", error)
        return None
    return pynvml


@lru_cache(maxsize=4)
def _opened(host: str) -> Gpus | None:
    nvml = library()
    return Gpus(host, nvml) if nvml is not None else None


class Gpus:
    """The GPUs of one host, read anew with each call; remembers what a lost one was.

    Args:
        host: its name in the ledger.
        nvml: the module pynvml, initialised.
    """

    def __init__(self, host: str, nvml: Library) -> None:
        self._host, self._nvml = host, nvml
        self._health = Health(nvml)
        self._seen: dict[int, list[Device]] = {}  # number of the GPU to its devices, when it last answered
        self._said: set[tuple[int, str]] = set()
        self._linked_among: frozenset[str] = frozenset()
        self._links: dict[str, str] = {}

    def devices(self) -> list[Device]:
        """What can be leased now: each GPU, or its MIG instances where it is cut. Those with errors are `lost`."""
        handles: dict[str, Handle] = {}
        found: list[Device] = []
        for number in range(self._count()):
            found += self._gpu(number, handles)
        links = self._linked(handles)
        return [replace(device, nvlink=links.get(device.id, device.nvlink)) for device in found]

    def _count(self) -> int:
        try:
            return self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError:
            try:  # the driver was loaded anew under a process that runs on
                self._nvml.nvmlInit()
                return self._nvml.nvmlDeviceGetCount()
            except self._nvml.NVMLError as error:
                log.warning("%s: NVML does not answer any more: '%s'; its GPUs are lost", self._host, error)
                return 0

    def _gpu(self, number: int, handles: dict[str, Handle]) -> list[Device]:
        nvml = self._nvml
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
            uuid = _text(nvml.nvmlDeviceGetUUID(handle))
            devices = list(self._parts(handle, number, uuid))
        except nvml.NVMLError as error:
            return self._lost(number, str(error))
        reason = self._health.fault(handle, uuid)
        if reason:
            return [replace(device, state="lost", reason=reason) for device in devices]
        handles[uuid] = handle
        self._seen[number] = devices
        return devices

    def _lost(self, number: int, error: str) -> list[Device]:
        known = self._seen.get(number, [])
        if not known and (number, error) not in self._said:
            self._said.add((number, error))
            log.warning("%s: GPU %d is left out: NVML says '%s'", self._host, number, error)
        return [replace(device, state="lost", reason=f"NVML says '{error}'") for device in known]

    def _parts(self, handle: Handle, number: int, uuid: str) -> Iterator[Device]:
        if self._passed_on(handle):
            log.info("%s: GPU %d is given to virtual machines: register its vGPUs inside them", self._host, number)
        elif self._cut(handle):
            for part in self._instances(handle):
                yield self._device(part, number, _text(self._nvml.nvmlDeviceGetUUID(part)), uuid)
        else:
            yield self._device(handle, number, uuid, None)

    def _device(self, handle: Handle, number: int, uuid: str, parent: str | None) -> Device:
        nvml = self._nvml
        total, reserved, _used = _memory(nvml, handle)
        model = model_named(_text(nvml.nvmlDeviceGetName(handle)), total)
        foreign = foreign_memory(lambda: _memory(nvml, handle)[2], lambda: self._processes(handle))
        return Device(
            uuid, self._host, "gpu", model, total - reserved, number, foreign=min(foreign, total), parent=parent
        )

    def _processes(self, handle: Handle) -> dict[int, int | None]:
        """Process id to the bytes it holds; None where the driver does not say."""
        nvml, found = self._nvml, {}
        for listed in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
            try:
                found |= {process.pid: process.usedGpuMemory for process in listed(handle)}
            except nvml.NVMLError as error:
                _raise_unless_unsupported(nvml, error)
        return found

    def _passed_on(self, handle: Handle) -> bool:
        return bool(_tried(self._nvml, lambda: self._nvml.nvmlDeviceGetActiveVgpus(handle)))

    def _cut(self, handle: Handle) -> bool:
        mode = _tried(self._nvml, lambda: self._nvml.nvmlDeviceGetMigMode(handle))
        return mode is not None and mode[0] == self._nvml.NVML_DEVICE_MIG_ENABLE

    def _instances(self, handle: Handle) -> Iterator[Handle]:
        nvml = self._nvml
        for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            part = _tried(nvml, lambda place=place: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place))
            if part is not None:
                yield part

    def _linked(self, handles: dict[str, Handle]) -> dict[str, str]:
        """UUID to its link group. Asked for when a GPU is new; a lost one keeps its place, so no group is renamed."""
        if not self._linked_among.issuperset(handles):
            self._linked_among = frozenset(handles)
            self._links = link_groups(self._nvml, handles, self._host)
        return self._links


def _memory(nvml: Library, handle: Handle) -> tuple[int, int, int]:
    """Total, reserved by the driver, used, in bytes. Version 2 keeps the reserved apart; old drivers lack it."""
    try:
        info = nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2)
        return info.total, info.reserved, info.used
    except nvml.NVMLError as error:
        _raise_unless_unsupported(nvml, error)
        info = nvml.nvmlDeviceGetMemoryInfo(handle)
        return info.total, 0, info.used


def _tried(nvml: Library, call: Any) -> Any:
    """The call's value; None where this GPU or driver does not have it, or nothing is there."""
    try:
        return call()
    except nvml.NVMLError as error:
        _raise_unless_unsupported(nvml, error)
        return None


def _raise_unless_unsupported(nvml: Library, error: Any) -> None:
    if error.value not in (
        nvml.NVML_ERROR_NOT_SUPPORTED,
        nvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        nvml.NVML_ERROR_INVALID_ARGUMENT,
        nvml.NVML_ERROR_NOT_FOUND,
        nvml.NVML_ERROR_NO_PERMISSION,
    ):
        raise error


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value  # older releases of the module give bytes
