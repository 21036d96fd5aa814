"""Whether a GPU can still be trusted: errors of its memory, and XIDs that the driver reports."""

from __future__ import annotations

from typing import Any

APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})
"""Errors of a program, not of the GPU (NVIDIA, XID errors; the device plugin of Kubernetes leaves out the same)."""


class Health:
    """The faults of the GPUs of one host. XIDs are seen from the first call on: one-off commands miss older ones.

    Args:
        nvml: the module pynvml, initialised.
    """

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._watched: dict[str, Any] = {}  # UUID to its set of events
        self._xids: dict[str, int] = {}  # UUID to the first XID; it stays until the agent is started again

    def fault(self, handle: Any, uuid: str) -> str | None:
        """Why nothing should be leased on this GPU, for people; None: it is well.

        An error of NVML itself (the GPU is lost, a reset is needed) is a fault. What it cannot tell is none.
        """
        for look in (self._xid, self._remapping, self._retirement, self._uncorrected):
            try:
                reason = look(handle, uuid)
            except self._nvml.NVMLError as error:
                reason = f"NVML says '{error}'" if self._grave(error) else None
            if reason:
                return reason
        return None

    def _grave(self, error: Any) -> bool:
        return error.value in (self._nvml.NVML_ERROR_GPU_IS_LOST, self._nvml.NVML_ERROR_RESET_REQUIRED)

    def _xid(self, handle: Any, uuid: str) -> str | None:
        nvml = self._nvml
        if uuid not in self._watched:
            events = nvml.nvmlEventSetCreate()
            nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
            self._watched[uuid] = events
        while (event := self._next(self._watched[uuid])) is not None:
            if event.eventData not in APPLICATION_XIDS:
                self._xids.setdefault(uuid, int(event.eventData))
        return f"the driver reported XID {self._xids[uuid]}" if uuid in self._xids else None

    def _next(self, events: Any) -> Any:
        try:
            return self._nvml.nvmlEventSetWait_v2(events, 0)
        except self._nvml.NVMLError as error:
            if error.value == self._nvml.NVML_ERROR_TIMEOUT:
                return None
            raise

    def _remapping(self, handle: Any, _uuid: str) -> str | None:
        _corrected, _uncorrected, pending, failed = self._nvml.nvmlDeviceGetRemappedRows(handle)
        if failed:
            return "a bad row of its memory could not be remapped: it needs repair"
        return "a bad row of its memory waits to be remapped: reset the GPU" if pending else None

    def _retirement(self, handle: Any, _uuid: str) -> str | None:
        pending = self._nvml.nvmlDeviceGetRetiredPagesPendingStatus(handle) == self._nvml.NVML_FEATURE_ENABLED
        return "a bad page of its memory waits to be retired: reset the GPU" if pending else None

    def _uncorrected(self, handle: Any, _uuid: str) -> str | None:
        nvml = self._nvml
        count = nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        )
        return f"{count} uncorrected errors of its memory since the driver was loaded" if count else None
