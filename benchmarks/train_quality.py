"""How well a short LoRA fine-tune of the bundled 135M model answers, against a classical classifier of the same rows.

    python -m benchmarks.train_quality [--full]

CLINC150's ten domains; 1,600 rows, twice, in 200 steps of 16; 1,000 test rows chosen by digest, `--full` takes all
4,500. The classifier has the same rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import report, shared
from benchmarks.tuning import fine_tune_of, row
from llm_assets.models.evaluation.asking import ask
from llm_assets.models.evaluation.judging import judge
from llm_assets.models.evaluation.suites import prepare
from llm_assets.models.fine_tune import train
from resources.digests import digest

ROWS, STEPS, BATCH, TESTED = 1_600, 200, 16, 1_000
GOAL = 0.88
TRAINING = {"batch": BATCH, "max_steps": STEPS, "epochs": 2, "learning_rate": 1e-3, "max_tokens": 64}


def main() -> None:
    """Train, examine with the product's evaluation, compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="all test rows")
    tested = None if parser.parse_args().full else TESTED
    data = shared()
    if data is None:
        raise SystemExit("benchmarks.train_quality: needs ../shared/data/finetune-clinc150")
    trained = _chosen(data / "finetune-clinc150" / "train.jsonl", ROWS)
    examined = _chosen(data / "finetune-clinc150" / "test.jsonl", tested)
    rows = [*(_row(one, "train") for one in trained), *(_row(one, "held_out") for one in examined)]
    with tempfile.TemporaryDirectory() as scratch:
        platform, spec, run = fine_tune_of(Path(scratch), rows, TRAINING, evaluation={"batch": 32})
        train(run, spec, rows)
        examination = prepare(platform, run, spec, rows)
        ask(examination)
        metrics = judge(examination).metrics
        summary = run.summary
    classical = _classical(trained, examined)
    accuracy = metrics["accuracy"]
    details = {
        "tf-idf + logistic regression": round(classical, 4),
        "untuned": round(metrics["base_accuracy"], 4),
        "test rows": len(examined),
        "training": {"rows": len(trained), **TRAINING},
        "tokens/s": summary["tokens_per_second"],
    }
    holds = accuracy >= GOAL and accuracy > classical
    report("train_quality", round(accuracy, 4), "accuracy", f"≥ {GOAL}, and more than TF-IDF", holds, details)


def _chosen(file: Path, count: int | None) -> list[dict[str, str]]:
    """Rows of a file, in the order of their digests."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted(rows, key=lambda one: digest("clinc", one["text"]))[:count]


def _row(one: dict[str, str], split: str) -> dict[str, Any]:
    return row(f"Request: {one['text']}\nDomain:", f" {one['domain']}", split)


def _classical(trained: list[dict[str, str]], examined: list[dict[str, str]]) -> float:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1_000))
    model.fit([one["text"] for one in trained], [one["domain"] for one in trained])
    return float(model.score([one["text"] for one in examined], [one["domain"] for one in examined]))


if __name__ == "__main__":
    main()
