"""Which GPUs of a host reach one another by NVLink: groups in which every pair does."""

from __future__ import annotations

import ctypes
import uuid as uuids
from collections.abc import Mapping
from itertools import combinations
from typing import Any


def link_groups(nvml: Any, handles: Mapping[str, Any], host: str) -> dict[str, str]:
    """UUID to the name of its group; a GPU without a linked partner has none.

    GPUs of one NVLink domain of several hosts (NVL72) have that domain's name, so that hosts share a group. Not yet
    run on hardware.

    Args:
        nvml: the module pynvml, initialised.
        handles: UUID to the handle of a whole GPU, in the order of the bus.
        host: names the groups that lie within it.
    """
    pairs = {frozenset(pair) for pair in combinations(handles, 2) if _linked(nvml, *(handles[u] for u in pair))}
    names: dict[str, str] = {}
    order = list(handles)
    for group in cliques(order, pairs):
        name = _domain(nvml, handles[group[0]]) or f"{host}/nvlink{order.index(group[0])}"
        names |= dict.fromkeys(group, name)
    return names


def cliques(order: list[str], pairs: set[frozenset[str]]) -> list[list[str]]:
    """Disjoint groups of two or more in which all pairs are linked: each time the largest one, the first of equals.

    A link to a link is none: on a DGX-1 each of eight V100s has four partners, which makes two groups of four.
    """
    left, groups = list(order), []
    while len(group := _largest(left, pairs)) > 1:
        groups.append(group)
        left = [one for one in left if one not in group]
    return sorted(groups, key=lambda group: order.index(group[0]))


def _largest(left: list[str], pairs: set[frozenset[str]], group: tuple[str, ...] = ()) -> list[str]:
    best = list(group)
    for place, one in enumerate(left):
        if len(group) + len(left) - place <= len(best):
            break  # not even all of the rest would make a larger one
        rest = [other for other in left[place + 1 :] if frozenset((one, other)) in pairs]
        found = _largest(rest, pairs, (*group, one))
        best = found if len(found) > len(best) else best
    return best


def _linked(nvml: Any, one: Any, other: Any) -> bool:
    try:
        status = nvml.nvmlDeviceGetP2PStatus(one, other, nvml.NVML_P2P_CAPS_INDEX_NVLINK)
    except nvml.NVMLError:
        return False  # vGPUs and MIG do not answer: then nothing is promised
    return status == nvml.NVML_P2P_STATUS_OK


def _domain(nvml: Any, handle: Any) -> str | None:
    """Name of the NVLink domain that spans hosts; None for the links within one host, which have no cluster."""
    info = nvml.c_nvmlGpuFabricInfo_v2_t()
    try:
        nvml.nvmlDeviceGetGpuFabricInfoV(handle, ctypes.byref(info))
    except nvml.NVMLError:
        return None
    cluster = bytes(info.clusterUuid)
    if info.state != nvml.NVML_GPU_FABRIC_STATE_COMPLETED or not any(cluster):
        return None
    return f"nvlink-{uuids.UUID(bytes=cluster)}-{info.cliqueId}"
