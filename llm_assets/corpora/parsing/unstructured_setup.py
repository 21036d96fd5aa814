"""Prepares unstructured so that it works offline, without telemetry, and without English rules.

unstructured classifies text with spaCy and `en_core_web_sm`, which it downloads at first use; without a network
html, docx, pptx and more fail. It asks spaCy for three things only (sentences, words, part-of-speech tags), to
guess whether a paragraph is narrative or a heading. These guesses know English only and call Japanese
paragraphs headings. So the module that asks spaCy is replaced by `plain_tokenizer`, and guessed headings are
switched off: a title is what the format says is one (h1, "Heading 2", a slide's title placeholder).
It also saves most of the import: spaCy brings torch, 3.8 s and 660 MB against 0.9 s and 135 MB for html.

Call `prepare()` before any import of unstructured; only worker processes do.
"""

from __future__ import annotations

import os
import sys

TOKENIZER_MODULE = "unstructured.nlp.tokenize"

ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "SCARF_NO_ANALYTICS": "true",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    # No text has 0 words, so no text is a heading by guess.
    "UNSTRUCTURED_TITLE_MAX_WORD_LENGTH": "0",
}
# "No language": unstructured neither detects one per document (slow, unseeded) nor applies English checks.
NO_LANGUAGE = [""]


def prepare() -> None:
    """Make the next import of unstructured quiet, offline and free of spaCy."""
    os.environ.update(ENVIRONMENT)
    if TOKENIZER_MODULE not in sys.modules:
        from llm_assets.corpora.parsing import plain_tokenizer

        sys.modules[TOKENIZER_MODULE] = plain_tokenizer
