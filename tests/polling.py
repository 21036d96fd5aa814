"""Waiting for a fact: by looking again and again, not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    fact: Callable[[], T | None], what: str, *, seconds: float, pause: float = 0.02, told: Callable[[], str] = str
) -> T:
    """The first value of a fact that is true.

    Args:
        fact: looked at every `pause` seconds.
        what: is waited for, for the failure's message.
        seconds: that it may take.
        told: what others said meanwhile, for the message.

    Raises:
        AssertionError: it took longer.
    """
    deadline = time.monotonic() + seconds
    while not (found := fact()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}\n{told()}"
        time.sleep(pause)
    return found
