"""The model card: from what a version came, how well it does, what the gate decided. No text of a document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models.tracked import flat

if TYPE_CHECKING:
    from llm_assets.models.gate import Decision, Figures
    from llm_assets.models.lineage import Lineage

CARD = "README.md"
FOLDER = "card"
MODEL_CARD_LINES = 60  # of a base model's own card that are looked at for its licence
NOT_SHOWN = ("description", "owners", "tags", "name", "automation", "tests")


def write_card(run_folder: Path, text: str) -> Path:
    """Keep the card beside the weights. Returns the file."""
    file = run_folder / FOLDER / CARD
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{CARD}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
    return file


def card(made: Lineage, base: Path, figures: Figures, decision: Decision, details: Mapping[str, Any]) -> str:
    """The card as Markdown, with the header that model hubs read.

    Args:
        made: from what the version came.
        base: folder of the base model.
        figures: of its evaluation.
        decision: of the gate.
        details: of its evaluation: `examples`, `contamination`.
    """
    licence = licence_of(base)
    parts = [
        _header(made, licence),
        f"# {made.tenant}/{made.model}, version {made.version}",
        made.config.get("description") or "",
        "## Intended use",
        made.config.get("description") or "Not described: the fine-tune's YAML has no `description`.",
        "## From what it came",
        _table(_origin(made, licence), "what", "value"),
        "## How well it does",
        _evaluation(figures, details),
        "## What the gate decided",
        "\n".join(f"- {reason}" for reason in (f"{_verdict(decision)}:", *decision.reasons)).removeprefix("- "),
        "## Limitations",
        "\n".join(f"- {line}" for line in _limitations(made, figures, details)),
        "## How it was trained",
        _table(_settings(made.config), "setting", "value"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def body(text: str) -> str:
    """A card without its header, for where Markdown is shown."""
    return text.removeprefix("---\n").partition("\n---\n")[2].lstrip()


def licence_of(base: Path) -> str | None:
    """The licence that a base model states in its own card; None where it states none."""
    file = base / CARD
    if not file.is_file():
        return None
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()[:MODEL_CARD_LINES]
    if not lines or lines[0].strip() != "---":
        return None
    stated = (line.partition(":")[2].strip() for line in lines[1:] if line.startswith("license:"))
    return next(stated, "").strip("\"'") or None


def _header(made: Lineage, licence: str | None) -> str:
    method = made.config["training"].get("method", "lora")
    facts = {
        "base_model": made.base,
        "library_name": "transformers" if method == "full" else "peft",
        "pipeline_tag": "text-generation",
        **({"license": licence} if licence else {}),
    }
    return "\n".join(["---", *(f"{name}: {json.dumps(value)}" for name, value in facts.items()), "---"])


def _origin(made: Lineage, licence: str | None) -> Iterator[tuple[str, object]]:
    yield "base model", f"`{made.base}`, content `{made.base_digest[:12]}`"
    yield "licence of the base model", licence or "not stated in its files; ask where it comes from"
    yield "method", made.config["training"].get("method", "lora")
    yield "training set", f"version `{made.data_version[:12]}`"
    yield "documents learned from", made.documents
    yield "configuration", f"`{made.config_digest}`"
    yield "code", f"`{made.code_version}`"
    yield "training", f"`{made.run_key}`"
    yield "Dagster run", f"`{made.dagster_run}`" if made.dagster_run else "none"


def _evaluation(figures: Figures, details: Mapping[str, Any]) -> str:
    examples = details.get("examples")
    said = "" if examples is None else f"Measured on {examples} examples that it was not trained on. "
    rows = [_row(name, figures) for name in figures.plain]
    head = "| metric | base model | promoted before | this version | better than the base model by |"
    table = "\n".join([head, "|---|---|---|---|---|", *rows])
    return f"{said}In brackets: 95 % intervals by bootstrap; the differences are paired.\n\n{table}"


def _row(name: str, figures: Figures) -> str:
    cells = [figures.estimates.get(key) for key in (f"base_{name}", f"promoted_{name}", name, f"{name}_gain")]
    shown = ["" if found is None else f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})" for found in cells]
    return f"| {name} | {' | '.join(shown)} |"


def _verdict(decision: Decision) -> str:
    return "It may be promoted" if decision.promote else "It may not be promoted"


def _limitations(made: Lineage, figures: Figures, details: Mapping[str, Any]) -> Iterator[str]:
    yield "It was measured on the examples above only; on other tasks, languages or kinds of text nothing is known."
    yield "What the base model is known to get wrong, or to be biased in, it may get wrong as well."
    if made.documents:
        yield (
            f"It has learned from {made.documents} documents and may repeat parts of them: give it only to people "
            "who may read those. A document that is forgotten later stays in its weights; train again."
        )
    gain = figures.estimates.get(f"{made.config['gate']['metric']}_gain")
    if gain is not None and gain.low <= 0 <= gain.high:
        yield "Its difference to the base model is within what chance explains."
    for name, value in flat(details.get("contamination") or {}).items():
        yield f"Between training and evaluation data, {name.replace('_', ' ')}: {_cell(value)}."


def _settings(config: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in flat({key: part for key, part in config.items() if key not in NOT_SHOWN}).items():
        yield name, f"`{_cell(value)}`"


def _table(rows: Iterator[tuple[str, object]], *columns: str) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {name} | {_cell(value)} |" for name, value in rows)])


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ↵ ")
