"""Stands in for `unstructured.nlp.tokenize` (see unstructured_setup): same three functions, no model.

Its answers only choose between unstructured's NarrativeText and Text, which are both "text" here.
"""

from __future__ import annotations

import re

SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def sent_tokenize(text: str) -> list[str]:
    """Sentences, English and Japanese."""
    return [sentence for sentence in SENTENCE_END.split(str(text)) if sentence.strip()]


def word_tokenize(text: str) -> list[str]:
    """Words and punctuation marks."""
    return re.findall(r"\w+|[^\w\s]", str(text))


def pos_tag(text: str) -> list[tuple[str, str]]:
    """Words with an empty tag: nothing is known about them."""
    return [(word, "") for word in word_tokenize(text)]
