"""Whether a process lives: pid, start time and boot id together name it, so no later process is taken for it."""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache
from pathlib import Path

from resources.accelerators.requests import Process

HOST_VARIABLE = "LLM_ASSETS_HOST"
DEAD_STATES = frozenset("ZXx")  # a zombie has given back everything it held
STATE, STARTED = 0, 19  # fields 3 and 22 of /proc/<pid>/stat, counted after the command's name; see proc(5)


def this_host() -> str:
    """The name of this host in the ledger: LLM_ASSETS_HOST, or what the system calls itself."""
    return os.environ.get(HOST_VARIABLE) or socket.gethostname()


@lru_cache(maxsize=1)
def this_boot() -> str:
    """The boot id of this machine, and the pid namespace: in another one a pid says nothing."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"


def boot_clock() -> float:
    """Seconds since the boot, those of a suspended machine included: a lease must not outlive a sleep unnoticed."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def process_of(pid: int) -> Process | None:
    """The process of this host that has this pid now; None if none has."""
    fields = _fields(pid)
    if fields is None or fields[STATE] in DEAD_STATES:
        return None
    return Process(this_host(), this_boot(), pid, int(fields[STARTED]))


def this_process() -> Process:
    """The calling process. Raises OSError where there is no /proc."""
    return _this_process(os.getpid(), this_host())


@lru_cache(maxsize=8)
def _this_process(pid: int, _host: str) -> Process:
    process = process_of(pid)
    if process is None:
        raise OSError("/proc/self/stat cannot be read: is /proc mounted?")
    return process


def alive(process: Process) -> bool | None:
    """Whether it lives. A paused process does, a zombie does not. None: this host cannot know."""
    if process.host != this_host():
        return None
    here, there = this_boot().split("/"), process.boot_id.split("/")
    if here[0] != there[0]:
        return False  # the machine has been started anew since
    if here != there and len(there) > 1:
        return None  # a container beside this one, under the same name
    fields = _fields(process.pid)
    return fields is not None and fields[STATE] not in DEAD_STATES and int(fields[STARTED]) == process.started


def _fields(pid: int) -> list[str] | None:
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
    except OSError:
        return None
    try:
        text = os.read(descriptor, 4096)
    except OSError:
        return None  # it ended between the two calls
    finally:
        os.close(descriptor)
    return text[text.rindex(b")") + 2 :].decode("ascii").split()  # a command's name may hold spaces and brackets
