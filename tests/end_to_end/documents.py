"""Small documents in several formats and two languages, each with a sentence of its own to be found by."""

from __future__ import annotations

import json
from email.message import EmailMessage
from pathlib import Path

import yaml

from tests.corpora.parsing import samples

TOPICS = (
    *("late delivery", "rent increase", "data breach", "travel expenses", "annual leave", "product recall"),
    *("trade secrets", "bank guarantee", "noise complaint", "parking permit", "office keys", "fire drill"),
)
TOPICS_JA = (
    *("納期の遅延", "賃料の改定", "個人情報の漏えい", "出張旅費の精算", "年次有給休暇", "製品の回収"),
    *("営業秘密の保護", "銀行保証の差入れ",),
)  # fmt: skip


def sentence(number: int) -> str:
    """The sentence that only document `number` has."""
    topic = TOPICS[number % len(TOPICS)]
    return f"In matters of {topic} the officer for case {1000 + number} decides within {number + 3} working days."


def sentence_ja(number: int) -> str:
    """The Japanese sentence that only document `number` has."""
    topic = TOPICS_JA[number % len(TOPICS_JA)]
    return f"{topic}に関する案件{2000 + number}号は、担当者が{number + 3}営業日以内に判断する。"


def markdown(number: int) -> str:
    return f"# Rule {number}\n\n{sentence(number)}\n\n## 規則\n\n{sentence_ja(number)}\n"


def _html(number: int) -> str:
    return (
        f"<html><head><title>Rule {number}</title></head><body><h1>Rule</h1><p>{sentence(number)}</p></body></html>"
    )


def _mail(number: int) -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = f"Rule {number}", "a@example.com", "b@example.com"
    message.set_content(f"{sentence(number)}\n\n{sentence_ja(number)}\n")
    return message.as_bytes()


def _table(number: int) -> str:
    return f"case,rule\n{number},{sentence(number)}\n{number},{sentence_ja(number)}\n"


def write_documents(folder: Path, count: int = 25) -> Path:
    """`count` documents in seven formats below `folder`; the names say their numbers."""
    makers = {
        "md": markdown,
        "txt": sentence_ja,
        "html": _html,
        "eml": _mail,
        "csv": _table,
        "json": lambda number: json.dumps(
            {"rule": sentence(number), "規則": sentence_ja(number)}, ensure_ascii=False
        ),
        "pdf": lambda number: samples.pdf(f"# Rule {number}\n{sentence(number)}"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        ending, make = list(makers.items())[number % len(makers)]
        content = make(number)
        (folder / f"{number:02}.{ending}").write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def corpus_yaml(name: str = "handbook", **attributes: object) -> str:
    """The defs.yaml of a corpus over the folder `documents` beside it."""
    values = {"name": name, "source": {"path": "documents"}, **attributes}
    return yaml.safe_dump({"type": "llm_assets.components.Corpus", "attributes": values}, sort_keys=False)


def fine_tune_yaml(name: str, **attributes: object) -> str:
    """The defs.yaml of a fine-tune."""
    values = {"name": name, **attributes}
    return yaml.safe_dump({"type": "llm_assets.components.FineTune", "attributes": values}, sort_keys=False)
