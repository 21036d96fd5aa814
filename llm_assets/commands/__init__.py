"""Commands of `llm-assets`, one subject a file. A file's `add` puts its commands into the parser."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from resources.profile import TARGET_VARIABLE


def command(commands: Any, name: str, run: Callable[[Any], None], text: str) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        commands: of the parser.
        name: of the command.
        run: is given the parsed options; an error that people can mend it raises, and `cli` says it in one line.
        text: what the command does.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text, epilog=f"{TARGET_VARIABLE} chooses the target of profiles.yml."
    )
    parser.set_defaults(run=run)
    return parser


def add_all(commands: Any) -> None:
    """Add the commands of every file here."""
    from llm_assets.commands import memory, models, report

    for module in (memory, models, report):
        module.add(commands)
