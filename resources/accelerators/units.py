"""Memory is written in decimal GB, as data sheets write it, and counted in bytes."""

from __future__ import annotations

GB = 10**9


def gb_to_bytes(gigabytes: float) -> int:
    """Whole bytes of decimal gigabytes."""
    return round(gigabytes * GB)


def shown_gb(count: int) -> str:
    """Bytes as people read them: `60 GB`, `1.5 GB`."""
    return f"{count / GB:.1f}".removesuffix(".0") + " GB"
