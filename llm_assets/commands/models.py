"""What is asked about models: from what a version came."""

from __future__ import annotations

from typing import Any


def add(commands: Any) -> None:
    """Add the commands."""
