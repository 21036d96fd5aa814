"""Stands in for nvidia-cuda-mps-control: a daemon with a control socket and a pid file, and a client of it.

    nvidia-cuda-mps-control -d      # starts the daemon in the background
    echo quit | nvidia-cuda-mps-control

Run as a program of that name. Each start is a line of `starts.log` in the pipe directory, with its environment.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

PIPES = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"])


def serve() -> None:
    if os.fork():
        os._exit(0)  # the command returns before the daemon is up, as the real one may
    os.setsid()
    pid_file = PIPES / "nvidia-cuda-mps-control.pid"
    with (PIPES / "starts.log").open("a") as starts:
        starts.write(json.dumps(dict(os.environ)) + "\n")
    (PIPES / "control").unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(PIPES / "control"))
        control.listen()
        pid_file.write_text(f"{os.getpid()}\n")
        while True:
            client, _ = control.accept()
            with client:
                if client.recv(100).decode().strip() == "quit":
                    pid_file.unlink()
                    return
                client.sendall(b"\n")


def ask() -> None:
    for command in sys.stdin:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(PIPES / "control"))
            control.sendall(command.encode())
            sys.stdout.write(control.recv(100).decode())


if __name__ == "__main__":
    if "LLM_ASSETS_TEST_MPS_BROKEN" in os.environ:
        sys.exit("Cannot find MPS control daemon process")
    serve() if sys.argv[1:] == ["-d"] else ask()
