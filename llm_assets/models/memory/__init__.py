"""How much memory a model takes: to be trained, or to answer. Plain values in, bytes out; nothing heavy is imported.

`architecture` reads a config.json, `families` knows the differences between them, `parameters` counts, `activations`
says what the backward pass keeps, `estimate` puts it together.
"""

from llm_assets.models.memory.architecture import Architecture, UnknownArchitecture
from llm_assets.models.memory.estimate import MARGIN, Estimate, estimate
from llm_assets.models.memory.families import read_config
from llm_assets.models.memory.workload import Workload

__all__ = ["MARGIN", "Architecture", "Estimate", "UnknownArchitecture", "Workload", "estimate", "read_config"]
