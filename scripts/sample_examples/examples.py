"""From passages to prompt/completion pairs, in an order that depends on their content only."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

PASSAGES = Path(__file__).parent / "passages"
EXAMPLES = Path(__file__).parents[2] / "dbt_like_configs" / "sample" / "document_kind" / "examples.jsonl"


def read_passages(folder: Path = PASSAGES) -> list[tuple[str, str]]:
    """Pairs of passage and label, the label being the name of the passage's file."""
    return [
        (line, file.stem)
        for file in sorted(folder.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
        if line
    ]


def example(passage: str, label: str) -> dict[str, str]:
    """The prompt's form is the same for passages that a training set takes from the corpus itself."""
    return {"prompt": f"Passage:\n{passage}\n\nFiled under:", "completion": f" {label}"}


def render() -> str:
    """The examples file. The labels are mixed, because a trainer that does not shuffle must not see one at a time."""
    pairs = sorted(read_passages(), key=lambda pair: hashlib.blake2b(pair[0].encode()).digest())
    return "".join(json.dumps(example(*pair), ensure_ascii=False) + "\n" for pair in pairs)
