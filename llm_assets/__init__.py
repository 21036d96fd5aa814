"""Private documents become a searchable index, training data a promoted model. `search` asks the index."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_assets.searching import Passage, SearchError, search

__all__ = ["Passage", "SearchError", "search"]


def __getattr__(name: str) -> Any:
    # Lazy: the code location imports this package for every step and needs nothing of the search.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("llm_assets.searching"), name)
    raise AttributeError(f"module 'llm_assets' has no attribute '{name}'")
