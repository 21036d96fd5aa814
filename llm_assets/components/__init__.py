"""The components that YAML in `dbt_like_configs` can use."""

from llm_assets.components.corpus import Corpus

__all__ = ["Corpus"]
