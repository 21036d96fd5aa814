"""Parses many documents in worker processes; a document can break its worker, never the run."""

from __future__ import annotations

import pickle
import selectors
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import cast

from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.results import Quarantined, Result
from llm_assets.corpora.parsing.worker import unread
from llm_assets.corpora.parsing.worker_process import WorkerProcess
from resources.sources import Source, SourceError, SourceFile

Job = tuple[SourceFile, str | None]
Outcome = tuple[SourceFile, Result]


class ParserPool:
    """Worker processes that read from one source and parse.

    A worker lives across documents, so that libraries are imported once. One that exceeds a limit or crashes is
    killed with its children and replaced. Memory does not grow with the number of documents: files are taken from
    the iterable when a worker is free, and results are passed on as they come. Workers die with this process,
    even if it is killed with SIGKILL (Linux), and with the thread that runs them.
    """

    def __init__(self, source: Source, options: ParseOptions, workers: int) -> None:
        self._source, self._options, self._limit = source, options, workers
        self._setup = pickle.dumps((source, options))
        self._selector = selectors.DefaultSelector()
        self._idle: list[WorkerProcess] = []
        self._busy: list[WorkerProcess] = []

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in [*self._idle, *self._busy]:
            worker.end()
        self._idle, self._busy = [], []
        self._selector.close()

    def run(self, files: Iterable[Job]) -> Iterator[Outcome]:
        """Parse files; results come in the order in which they are done.

        Args:
            files: each with the content digest that the caller already has a result for, or None. Content of
                that digest is not parsed: it comes back as `Unchanged`.

        Raises:
            WorkerStartError: workers cannot start at all.
        """
        try:
            for file, known_digest in files:
                if file.size > self._options.max_bytes:
                    yield file, self._oversized(file)
                    continue
                while len(self._busy) >= self._limit:
                    yield from self._wait()
                yield from self._begin(file, known_digest)
            while self._busy:
                yield from self._wait()
        finally:
            for worker in list(self._busy):  # the caller left early
                self._release(worker, keep=False)

    def _oversized(self, file: SourceFile) -> Quarantined:
        limit = f"{self._options.max_bytes:,}"
        return Quarantined(None, "oversized", f"it has {file.size:,} bytes, more than {limit}. Raise `max_bytes`.")

    def _begin(self, file: SourceFile, known_digest: str | None) -> Iterator[Outcome]:
        content = None
        if self._source.process_bound:  # its files exist in this process only
            try:
                content = self._source.read(file, self._options.max_bytes)
            except SourceError as error:
                yield file, unread(error)
                return
        worker = self._idle.pop() if self._idle else WorkerProcess(self._setup, self._options)
        worker.begin(file, known_digest, content)
        self._busy.append(worker)
        self._selector.register(worker, selectors.EVENT_READ, worker)

    def _wait(self) -> list[Outcome]:
        """What is done, once some worker says something or runs out of time.

        Nothing is yielded between looking for words and looking at the clock: a caller that takes its time with
        one result must not make another worker look late.
        """
        said = {key.data for key, _ in self._selector.select(min(worker.seconds_left() for worker in self._busy))}
        done: list[Outcome] = []
        for worker in list(self._busy):
            file = cast("SourceFile", worker.job)
            if worker in said:
                if found := worker.outcome():
                    result, retire = found
                    self._release(worker, keep=not retire)
                    done.append((file, result))
            elif late := worker.expired():
                self._release(worker, keep=False)
                done.append((file, late))
        return done

    def _release(self, worker: WorkerProcess, keep: bool) -> None:
        self._selector.unregister(worker)
        self._busy.remove(worker)
        if keep:
            self._idle.append(worker)
        else:
            worker.end()
