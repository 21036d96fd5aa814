"""A pool's side of one worker: start it, give it a job, read what it says, end it with all its children."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any, cast

from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.results import Quarantined, Result, from_json
from llm_assets.corpora.parsing.wire import packed, packed_json, take_frames
from resources.sources import SourceFile

MODULE = "llm_assets.corpora.parsing.worker"
START_SECONDS = 120.0  # to start Python or import a reader's libraries on a busy machine
EXIT_SECONDS = 10.0
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


class WorkerStartError(RuntimeError):
    """A worker ended before it took its first job: the installation is broken, not a document."""


class WorkerProcess:
    """One child process and the job it works on."""

    def __init__(self, setup: bytes, options: ParseOptions) -> None:
        """Start the process; it takes jobs at once and begins with the first when it is up."""
        self.job: SourceFile | None = None
        self._options = options
        self._stage = "start"
        self._deadline = 0.0
        self._buffer = bytearray()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed in end())
        self._process = subprocess.Popen(  # noqa: S603  (this interpreter, a fixed module)
            [sys.executable, "-m", MODULE, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # a group of its own, which end() kills as a whole
        )
        self._stdin = cast("IO[bytes]", self._process.stdin)
        self._stdout = cast("IO[bytes]", self._process.stdout)
        os.set_blocking(self._stdout.fileno(), False)
        self._send(packed(setup))

    def fileno(self) -> int:
        """For selectors."""
        return self._stdout.fileno()

    def begin(self, file: SourceFile, known_digest: str | None, content: bytes | None) -> None:
        """Give it a job. Args: content: the file's bytes, where the worker cannot read them itself."""
        self.job = file
        self._extend(START_SECONDS)
        message = {**asdict(file), "known_digest": known_digest, "content_follows": content is not None}
        self._send(packed_json(message) + (packed(content) if content is not None else b""))

    def outcome(self) -> tuple[Result, bool] | None:
        """Read what there is: the job's result and whether the process retires, or None if it is not done."""
        try:
            while chunk := os.read(self.fileno(), 1 << 20):
                self._buffer += chunk
                self._extend(self._allowed())
        except BlockingIOError:
            return self._taken()
        return self._taken() or (self._crashed(), True)

    def expired(self) -> Quarantined | None:
        """The quarantine of a job that took too long."""
        if time.monotonic() < self._deadline:
            return None
        what = {"read": "reading it", "parse": "parsing it"}.get(self._stage, "loading the parser")
        return Quarantined(
            None, "timeout", f"{what} took more than {self._allowed():g} s. Raise `timeout_seconds`, or exclude it."
        )

    def seconds_left(self) -> float:
        """Until the job expires."""
        return max(self._deadline - time.monotonic(), 0.0)

    def end(self) -> int:
        """Kill the process and all its children; its return code."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        for stream in (self._stdin, self._stdout, self._errors):
            with suppress(BrokenPipeError):
                stream.close()
        return code

    def _taken(self) -> tuple[Result, bool] | None:
        for frame in take_frames(self._buffer):
            message: dict[str, Any] = json.loads(frame)
            if "result" in message:
                self.job = None
                return from_json(message["result"]), bool(message["retire"])
            self._stage = message["stage"]
            self._extend(self._allowed())
        return None

    def _allowed(self) -> float:
        return self._options.timeout_seconds if self._stage in ("read", "parse") else START_SECONDS

    def _extend(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds

    def _crashed(self) -> Quarantined:
        code = self._ended()
        if self._stage == "start":
            self._errors.seek(0)
            said = self._errors.read()[-2000:].decode("utf-8", "replace").strip()
            raise WorkerStartError(
                f"a parser worker does not start (exit status {code}). Reinstall the project. {said}"
            )
        if -code == signal.SIGKILL:
            return Quarantined(
                None,
                "memory",
                "the system killed the parser, as it does when memory runs out. Lower `workers`, or exclude it.",
            )
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Quarantined(None, "corrupt", f"the parser crashed on it ({name}).")

    def _ended(self) -> int:
        """The return code of a process that has closed its pipe, and so is about to end."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(EXIT_SECONDS)
        return self.end()

    def _send(self, data: bytes) -> None:
        with suppress(BrokenPipeError):  # outcome() finds the end of the other pipe and says why
            self._stdin.write(data)
            self._stdin.flush()
