"""Tidying: what nobody needs any more is removed, and each task says what it removed."""
