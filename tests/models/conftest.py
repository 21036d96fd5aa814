"""Fixtures with the real small model."""

from tests.models.real_model import smollm2, tuned, with_model

__all__ = ["smollm2", "tuned", "with_model"]
