"""How a job's process ends once its result is written."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def leave(code: int = 0) -> NoReturn:
    """End this process at once: taking torch and its models down lasts seconds, with devices held for nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
