"""Files to elements: what a document says, in reading order, or the reason why it could not be read.

`ParserPool` parses a source's files in worker processes under limits; `parse` does one in this process.
"""

from llm_assets.corpora.parsing.document import parse
from llm_assets.corpora.parsing.options import ParseOptions
from llm_assets.corpora.parsing.pool import ParserPool
from llm_assets.corpora.parsing.results import Element, Parsed, Quarantined, Result, Unchanged
from llm_assets.corpora.parsing.worker_process import WorkerStartError

__all__ = [
    "Element",
    "ParseOptions",
    "Parsed",
    "ParserPool",
    "Quarantined",
    "Result",
    "Unchanged",
    "WorkerStartError",
    "parse",
]
