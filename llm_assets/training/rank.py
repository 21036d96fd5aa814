"""One of several processes that train together: it ends with the one that started it, then it is the job.

    python -m llm_assets.training.rank PARENT_PID MODULE [ARGUMENT ...]

Nothing is imported before the parent-death signal is set: torch takes seconds.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)  # it ended before we could say so


if __name__ == "__main__":
    _, parent_pid, module, *rest = sys.argv
    end_with(int(parent_pid))
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
