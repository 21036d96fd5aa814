"""Fixtures of the model side."""

from tests.models.real_model import smollm2, with_model

__all__ = ["smollm2", "with_model"]
