"""What a method needs that is not installed with everything else."""

from __future__ import annotations

from importlib.util import find_spec


def missing_for(method: str) -> str | None:
    """Why a method cannot be carried out in this installation, and the way out; None where it can."""
    if method == "qlora" and find_spec("bitsandbytes") is None:
        return (
            "method qlora needs bitsandbytes, which is not installed: `pip install llm-assets[qlora]`, "
            "or take method: lora"
        )
    return None
