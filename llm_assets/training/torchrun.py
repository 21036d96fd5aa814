"""Run a job on several devices of this host: one process each, by torchrun.

    python -m llm_assets.training.torchrun PROCESSES MODULE [ARGUMENT ...]

It is torchrun with three things added. Every rank ends with it: torchrun starts them in sessions of their own, and a
kill -9 of it would leave them behind. The exit code is that of the rank which failed first, 137 if it was killed.
And nothing but loopback is used; the port is a free one, so that two trainings of a host do not meet.
"""

from __future__ import annotations

import os
import signal
import sys

SHUTDOWN_SECONDS = "6"  # for the ranks that are left when one has failed: they may wait for it in a collective


def main(processes: int, command: list[str]) -> int:
    """Run `python -m COMMAND` in so many processes. Returns the exit code."""
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", SHUTDOWN_SECONDS)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("PYTHONWARNINGS", ",".join(sys.warnoptions))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    options = ["--standalone", f"--nproc-per-node={processes}", "--local-addr=127.0.0.1"]
    arguments = [*options, "-m", "llm_assets.training.rank", str(os.getpid()), *command]
    try:
        run(parse_args(arguments))
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    except ChildFailedError as error:
        _rank, failure = error.get_first_failure()
        return failure.exitcode if failure.exitcode >= 0 else 128 - failure.exitcode
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until torchrun takes it
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
