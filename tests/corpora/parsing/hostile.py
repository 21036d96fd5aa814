"""Sources that misbehave in the worker process, as real filesystems and parsers do."""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass

from resources.sources import Source, SourceFile


@dataclass(frozen=True)
class Hostile(Source):
    """A source whose file names say what reading them does; all else is text."""

    count: int = 0

    def list(self) -> list[SourceFile]:
        return [SourceFile(f"h/{number}.txt", 10, "1") for number in range(self.count)]

    def read(self, file: SourceFile, max_bytes: int) -> bytes:
        match file.uri.removeprefix("h/"):
            case "hang":
                time.sleep(3600)
            case "hang-with-child":
                os.spawnlp(os.P_WAIT, "sleep", "sleep", "3600")
            case "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "denied":
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), file.uri)
            case "greedy":
                return bytes(4_000_000_000)
        return f"text of {file.uri}".encode()


def file(name: str) -> SourceFile:
    return SourceFile(f"h/{name}", 10, "1")
