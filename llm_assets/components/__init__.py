"""The components that YAML in `dbt_like_configs` can use."""

from llm_assets.components.corpus import Corpus
from llm_assets.components.fine_tune import FineTune

__all__ = ["Corpus", "FineTune"]
