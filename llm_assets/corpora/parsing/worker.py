"""The child process of a ParserPool: `python -m llm_assets.corpora.parsing.worker PARENT_PID`.

It reads a pickled (source, options) and then jobs from stdin, and answers each on stdout: "stage" frames, which
restart the pool's clock, then one "result". A memory error ends the process, because a library that ran out of
memory in mid-work cannot be trusted with the next document.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from llm_assets.corpora.parsing.limits import (
    die_with_parent,
    exit_if_orphaned,
    keep_what_is_loaded,
    limit_memory,
    peak_bytes,
    resident_bytes,
    restart_peak,
    return_freed_memory,
)
from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.results import Parsed, Quarantined, Result, Unchanged, to_json
from llm_assets.corpora.parsing.wire import MAX_FRAME_BYTES, packed_json, read_frame
from resources.digests import digest
from resources.sources import FileTooLarge, FileVanished, Source, SourceError, SourceFile

# A worker that holds this share of its memory between documents is replaced: libraries leak.
RETIRE_AT = 0.5
# A parse that failed after it had used this share of its memory failed for lack of it.
NEAR_LIMIT = 0.6


@dataclass(frozen=True)
class Worker:
    """Answers jobs. Args: out: where frames go."""

    source: Source
    options: ParseOptions
    out: BinaryIO

    def serve(self, jobs: BinaryIO) -> None:
        """Until the pool closes the pipe, or this process should be replaced."""
        while (frame := read_frame(jobs)) is not None:
            job = json.loads(frame)
            sent = read_frame(jobs) if job["content_follows"] else None
            file = SourceFile(job["uri"], job["size"], job["stamp"])
            result = self.answer(file, job["known_digest"], sent)
            return_freed_memory()
            short = isinstance(result, Quarantined) and result.code == "memory"
            retire = short or resident_bytes() > RETIRE_AT * self.memory_bytes
            self.tell({"result": to_json(result), "retire": retire})
            if retire:
                return

    def answer(self, file: SourceFile, known_digest: str | None, sent: bytes | None) -> Result:
        """Read a file, unless its content was sent along, and parse it unless its digest is known."""
        restart_peak()
        try:
            result = self._parsed(file, known_digest, sent)
        except MemoryError:
            return self._out_of_memory()
        # Libraries report a failed allocation as they please, lxml as a syntax error.
        failed = isinstance(result, Quarantined) and result.code == "corrupt"
        return self._out_of_memory() if failed and peak_bytes() > NEAR_LIMIT * self.memory_bytes else result

    def _parsed(self, file: SourceFile, known_digest: str | None, sent: bytes | None) -> Result:
        self.tell({"stage": "read"})
        try:
            data = self.source.read(file, self.options.max_bytes) if sent is None else sent
        except (SourceError, OSError) as error:
            return unread(error)
        if known_digest is not None and (content_digest := digest(data)) == known_digest:
            return Unchanged(content_digest)
        self.tell({"stage": "load"})
        return bounded(parse_here(file.uri, data, self.options, self.tell))

    def _out_of_memory(self) -> Quarantined:
        limit = f"{self.options.memory_gb:g} GB"
        return Quarantined(
            None, "memory", f"it needs more than the {limit} a worker may use. Raise `memory_gb`, or split it."
        )

    @property
    def memory_bytes(self) -> float:
        return self.options.memory_gb * 1e9

    def tell(self, message: dict[str, object]) -> None:
        self.out.write(packed_json(message))
        self.out.flush()


def parse_here(
    uri: str, data: bytes, options: ParseOptions, tell: Callable[[dict[str, object]], None]
) -> Parsed | Quarantined:
    """Parse in this process, and tell when the libraries are there."""
    from llm_assets.corpora.parsing.document import parse

    def loaded() -> None:
        keep_what_is_loaded()
        tell({"stage": "parse"})

    return parse(uri, data, options, loaded)


def unread(error: Exception) -> Quarantined:
    """The quarantine of a file that could not be read."""
    if isinstance(error, FileTooLarge):
        return Quarantined(None, "oversized", f"{error}. Raise `max_bytes`, or split it.")
    return Quarantined(None, "vanished" if isinstance(error, FileVanished) else "unreadable", str(error))


def bounded(result: Parsed | Quarantined) -> Parsed | Quarantined:
    """The result, unless its text is too much to pass on."""
    if isinstance(result, Quarantined) or sum(len(e.text) for e in result.elements) * 4 < MAX_FRAME_BYTES:
        return result
    return Quarantined(result.content_digest, "oversized", "it holds more than 64 million characters. Split it.")


def main() -> None:
    die_with_parent()
    exit_if_orphaned(int(sys.argv[1]))
    jobs, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # what libraries and their children read and print
    os.dup2(2, 1)  # must not mix with the frames
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    start = read_frame(jobs)
    if start is None:
        return
    source, options = pickle.loads(start)  # noqa: S301  (from the parent, over its own pipe)
    limit_memory(int(options.memory_gb * 1e9))
    Worker(source, options, out).serve(jobs)


if __name__ == "__main__":
    main()
