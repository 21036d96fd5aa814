"""What the kernel holds a worker to: a ceiling on its memory, and death with its parent."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
from contextlib import suppress

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, even by SIGKILL."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def exit_if_orphaned(parent: int) -> None:
    """Leave if the parent ended before `die_with_parent` took hold."""
    if os.getppid() != parent:
        raise SystemExit(0)


def limit_memory(memory_bytes: int) -> None:
    """Cap private memory, of this process and of each child.

    RLIMIT_DATA counts what a process can really fill; RLIMIT_AS would also count the libraries' mappings and
    the terabyte that pandoc's runtime reserves without using it.
    """
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def keep_what_is_loaded() -> None:
    """Have the garbage collector leave alone what is there now, imported libraries above all."""
    gc.freeze()


def return_freed_memory() -> None:
    """Give what the last document used back to the system: office libraries leave cycles, glibc keeps what is freed.

    It takes about a millisecond after `keep_what_is_loaded`, fifty times as much without.
    """
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    with open("/proc/self/statm") as statm:  # noqa: PTH123  (once per document)
        return int(statm.read().split()[1]) * resource.getpagesize()


def restart_peak() -> None:
    """Measure `peak_bytes` from now on."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as clear:  # noqa: PTH123
        clear.write("5")  # proc(5): resets the peak resident set size


def peak_bytes() -> int:
    """The most memory that this process held since `restart_peak`."""
    with open("/proc/self/status") as status:  # noqa: PTH123
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
