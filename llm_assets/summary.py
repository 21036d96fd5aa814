"""The closing lines of the demo: what was made, from what it learned, and answers to sample questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_assets.run_work import work_of_last_run
from llm_assets.searching import search
from llm_assets.status import status, told_metrics

if TYPE_CHECKING:
    from resources.platform import Platform

CORPUS = "sample/legal"
QUESTIONS = (
    "How long do web shop customers have to return something they no longer want?",
    "What should an employee do when a hardware security key goes missing?",
    "倉庫を途中で解約したいとき、いつまでに知らせればよいですか。",
)
ANSWER_CHARS = 400


def summary_lines(platform: Platform) -> list[str]:
    """The summary of the sample tenant."""
    found = status(platform)
    corpora = [entry for entry in found["corpora"] if entry["corpus"] == CORPUS]
    models = [entry for entry in found["models"] if entry["model"].startswith("sample/")]
    return [
        "",
        *_last_run(),
        *(line for entry in corpora for line in _corpus(entry)),
        *(line for entry in models for line in _model(entry)),
        "",
        *(line for question in QUESTIONS for line in _answer(question)),
        "The UI, with lineage, checks, tables and pictures: make dev, then http://127.0.0.1:3000",
    ]


def _last_run() -> list[str]:
    """What the run before did; nothing where Dagster kept no run."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        work = work_of_last_run(instance)
    if not work:
        return []
    told = ", ".join(f"{count} {name}" for name, count in work.items())
    return [f"This run    {told}{'' if any(work.values()) else ': nothing had changed'}"]


def _corpus(entry: dict[str, Any]) -> list[str]:
    metrics = entry["evaluation"] or {}
    score = f"nDCG@10 {metrics['ndcg@10']:.3f}" if "ndcg@10" in metrics else "not evaluated"
    return [
        f"Documents   {entry['documents']} parsed, {len(entry['quarantined'])} quarantined "
        f"({', '.join(row['uri'].rpartition('/')[2] + ': ' + row['code'] for row in entry['quarantined'])})",
        f"Index       {entry['chunks']} passages, {entry['vectors']} vectors served, {score}",
    ]


def _model(entry: dict[str, Any]) -> list[str]:
    return [
        f"Model       {entry['model']}: {told_metrics(entry['evaluation'])}",
        f"Promoted    {entry['promoted'] or 'nothing'}",
    ]


def _answer(question: str) -> list[str]:
    passages = search(CORPUS, question, k=1)
    if not passages:
        return [f"? {question}", "  no passage found"]
    text = " ".join(passages[0].text.split())
    short = text if len(text) <= ANSWER_CHARS else text[:ANSWER_CHARS] + "…"
    return [f"? {question}", f"  {short}", f"  — {passages[0].uri}", ""]
