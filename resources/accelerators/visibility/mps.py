"""NVIDIA's Multi-Process Service: one control daemon with a folder of its own for each shared GPU.

The daemon sees its one GPU, so that a client's memory limit is that of device 0 and no lease reaches another's GPU.
Its folder belongs to this user and is closed to others, whose clients get a daemon of their own. It outlives the
process that started it, as leases of other runs use it too: `stop_unused` ends those that no lease needs.

Call `mps_for` outside a process tree of resources/processes.py, which would end the daemon with itself. Tested with a
stand-in for nvidia-cuda-mps-control; not yet run on hardware.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path

from resources.accelerators.devices import Device
from resources.accelerators.errors import AcceleratorError
from resources.accelerators.inventory.foreign import MPS_VARIABLE
from resources.accelerators.leases import LEASE_VARIABLE, Lease
from resources.locks import file_lock
from resources.processes import MARK

log = logging.getLogger(__name__)
CONTROL = "nvidia-cuda-mps-control"
PID_FILE = f"{CONTROL}.pid"  # the daemon writes it into its pipe directory
DEVICE_FILE = "device"
SECONDS = 10.0  # for the daemon to come up, or to end


def mps_for(lease: Lease, devices: Mapping[str, Device]) -> dict[str, Path]:
    """Start what the shared GPUs of a lease need, and say where: device id to pipe directory, for `environment`.

    Empty where nothing is shared, or where MPS is missing or does not start: then the GPU is shared by turns, and one
    line says so.
    """
    shared = [devices[share.device] for share in lease.shares] if lease.shared else []
    found: dict[str, Path] = {}
    for device in (d for d in shared if d.kind == "gpu" and not d.pretended):
        try:
            found[device.id] = Mps(device.id).ensure()
        except (OSError, AcceleratorError, subprocess.SubprocessError) as error:
            _say_once(str(error))
    return found


def stop_unused(in_use: Callable[[], Collection[str]]) -> list[str]:
    """End this user's daemons of GPUs that no lease holds; device ids of those ended.

    Args:
        in_use: ids of leased devices. Asked while no daemon can be started: a lease that is granted before its daemon
            is asked for is always seen.
    """
    files = sorted(_root().glob(f"*/{DEVICE_FILE}"))
    devices = [file.read_text(encoding="utf-8") for file in files]
    return [device for device in devices if Mps(device).stop(unless=lambda device=device: device in in_use())]


class Mps:
    """The daemon of one GPU or MIG instance, of this user.

    Args:
        device: its UUID.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        # Short: the path of a socket has at most 107 characters.
        self.pipes = _root() / hashlib.sha256(device.encode()).hexdigest()[:12]

    def ensure(self) -> Path:
        """Its pipe directory, with the daemon running. Two that ask at once start one.

        Raises:
            AcceleratorError: MPS is not installed, its folder is another user's, or the daemon did not come up.
        """
        if shutil.which(CONTROL) is None:
            raise AcceleratorError(
                f"{CONTROL} is not on PATH: GPUs are shared by turns, and memory is limited by the framework only."
                " Install the driver's compute utilities for MPS."
            )
        _own(self.pipes)
        with self._locked():
            if not self.running():
                self._start()
        return self.pipes

    def running(self) -> bool:
        """Whether its process lives; what an ended one left behind does not count."""
        try:
            pid = int((self.pipes / PID_FILE).read_text(encoding="ascii"))
            return CONTROL.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return False

    def stop(self, unless: Callable[[], bool] = lambda: False) -> bool:
        """Ask it to end, and wait until it has; whether it did. Clients that still run lose their GPU.

        Args:
            unless: whether it is needed after all, asked when no other process can start or stop it.

        Raises:
            AcceleratorError: it runs on.
        """
        with self._locked():
            if not self.running() or unless():
                return False
            self._control("quit")
            if not _becomes(lambda: not self.running()):
                raise AcceleratorError(f"the MPS daemon of {self.device} does not end: see {self.pipes}/control.log")
            return True

    def _start(self) -> None:
        (self.pipes / DEVICE_FILE).write_text(self.device, encoding="utf-8")
        (self.pipes / PID_FILE).unlink(missing_ok=True)
        done = self._run([CONTROL, "-d"])
        if done.returncode != 0 or not _becomes(self.running):
            said = done.stderr.strip() or f"exit code {done.returncode}"
            raise AcceleratorError(
                f"the MPS daemon of {self.device} did not come up ({said}): the GPU is shared by turns,"
                f" and memory is limited by the framework only. See {self.pipes}/control.log"
            )

    def _control(self, command: str) -> str:
        return self._run([CONTROL], command + "\n").stdout

    def _run(self, command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        # A daemon that carried a lease or a tree's mark would be ended with it.
        kept = {name: value for name, value in os.environ.items() if name not in (LEASE_VARIABLE, MARK)}
        own = {
            "CUDA_VISIBLE_DEVICES": self.device,
            "CUDA_MPS_PIPE_DIRECTORY": str(self.pipes),
            "CUDA_MPS_LOG_DIRECTORY": str(self.pipes),
            MPS_VARIABLE: self.device,
        }
        with tempfile.TemporaryFile("w+") as errors:  # a pipe would stay open in the daemon, and never end
            done = subprocess.run(  # noqa: S603  (NVIDIA's program, found on PATH)
                command,
                input=text,
                stdout=subprocess.PIPE if text else subprocess.DEVNULL,
                stderr=errors,
                text=True,
                timeout=SECONDS,
                env={**kept, **own},
                start_new_session=True,
                check=False,
            )
            errors.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, done.stdout or "", errors.read())

    def _locked(self) -> AbstractContextManager[None]:
        return file_lock(self.pipes, "daemon", None, None)


def _root() -> Path:
    return Path(tempfile.gettempdir()) / f"llm-assets-mps-{os.getuid()}"


def _own(folder: Path) -> None:
    """Make the folder and the one above it, closed to others; refuse one that another user has put there."""
    for path in (folder.parent, folder):
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if found.st_uid != os.getuid() or path.is_symlink():
            raise AcceleratorError(f"{path} is not this user's: no MPS daemon is started there. Remove it.")
        path.chmod(0o700)


def _becomes(fact: Callable[[], bool], seconds: float = SECONDS) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@lru_cache(maxsize=32)
def _say_once(message: str) -> None:
    log.warning("%s", message)
