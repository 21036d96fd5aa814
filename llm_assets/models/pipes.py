"""Work in a child process that reports to Dagster while it runs: lines to the log, figures to the asset's page."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from resources import processes
from resources.processes import Start

OBSERVE_SECONDS = 10  # between points of the live loss curve in the asset's page

Work = Callable[[Start, Callable[[], None]], Any]


def in_child(context: dg.AssetExecutionContext, start: Start, work: Work) -> None:
    """Do work whose process, started with what `work` is given, reports to Dagster; show what it reports.

    Args:
        context: of the asset.
        start: a lease's.
        work: is given what starts its process, and what it must call about twice a second meanwhile.
    """
    with (
        warnings.catch_warnings(action="ignore", category=dg.PreviewWarning),  # of Dagster about its own reader
        dg.open_pipes_session(
            context=context,
            context_injector=dg.PipesTempFileContextInjector(),
            message_reader=dg.PipesTempFileMessageReader(),
        ) as session,
    ):
        live = _Live(context, session)
        work(_reporting(start, session.get_bootstrap_env_vars()), live.show)


def _reporting(start: Start, variables: Mapping[str, str]) -> Start:
    """`start`, with the variables that let the process find Dagster."""

    def started(
        command: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
    ) -> processes.ProcessTree:
        return start(command, env={**variables, **(env or {})}, **options)

    return started


class _Live:
    """The newest figures of a running training, as observations of the asset."""

    def __init__(self, context: dg.AssetExecutionContext, session: dg.PipesSession) -> None:
        self._context, self._session = context, session
        self._seen, self._due = 0, time.monotonic() + OBSERVE_SECONDS

    def show(self) -> None:
        if time.monotonic() < self._due:
            return
        figures = self._session.get_custom_messages()
        if len(figures) > self._seen:
            self._context.log_event(dg.AssetObservation(self._context.asset_key, metadata=dict(figures[-1])))
        self._seen, self._due = len(figures), time.monotonic() + OBSERVE_SECONDS
