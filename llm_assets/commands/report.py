"""The whole chain in one command, and what became of it, for CI."""

from __future__ import annotations

from typing import Any

from llm_assets.commands import command


class ReportedError(Exception):
    """The last chain does not hold; the report says why."""


def add(commands: Any) -> None:
    """Add the commands."""
    command(commands, "chain", _chain, "Run every corpus and every model that is configured and not manual.")
    text = "The last chain as Markdown, for CI; fails if one of its runs failed, or a check of severity error did."
    command(commands, "report", _report, text)


def _chain(_options: Any) -> None:
    from llm_assets.chain import run_chain
    from resources.platform import Platform

    run_chain(Platform.open())


def _report(_options: Any) -> None:
    import dagster as dg

    from llm_assets.chain import last_chain
    from llm_assets.ci_report import markdown, report
    from resources.platform import Platform
    from resources.profile import target_name

    platform = Platform.open()
    with dg.DagsterInstance.get() as instance:
        told = report(platform, instance, last_chain(platform))
    print(markdown(told, target_name()))
    if told.problems:
        raise ReportedError("; ".join(told.problems))
