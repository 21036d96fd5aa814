"""The last run, for the page of a CI job."""

from __future__ import annotations

from typing import Any

from llm_assets.commands import command


class ReportedError(Exception):
    """The last run does not hold; the report says why."""


def add(commands: Any) -> None:
    """Add the command."""
    text = "The last run as Markdown, for CI; fails if it failed, or a check of severity error did."
    command(commands, "report", _report, text)


def _report(_options: Any) -> None:
    import dagster as dg

    from llm_assets.ci_report import markdown, report
    from resources.platform import Platform
    from resources.profile import target_name

    with dg.DagsterInstance.get() as instance:
        told = report(Platform.open(), instance)
    print(markdown(told, target_name()))
    if told.problems:
        raise ReportedError("; ".join(told.problems))
