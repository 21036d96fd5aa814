"""Which languages an embedder is known to serve: its card says so, or a short list of well-known models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

ENGLISH = frozenset({"en"})
WELL_KNOWN = {  # base model or repository name, lower case → languages, from the models' cards
    "nreimers/minilm-l6-h384-uncased": ENGLISH,
    "microsoft/minilm-l12-h384-uncased": ENGLISH,
    "microsoft/mpnet-base": ENGLISH,
    "bert-base-uncased": ENGLISH,
    "bert-large-uncased": ENGLISH,
}


def known_languages(folder: Path, declared: Iterable[str] | None = None) -> frozenset[str] | None:
    """ISO 639-1 codes of the languages an embedder serves; None if nobody says.

    Args:
        folder: the model's; the front matter of its README.md and its config.json are read.
        declared: what the user says; it wins.
    """
    if declared is not None:
        return frozenset(declared)
    return _from_card(folder / "README.md") or _well_known(folder / "config.json")


def _from_card(card: Path) -> frozenset[str] | None:
    """`language: en` or `language:` with a list, in the YAML front matter of a model card."""
    if not card.is_file():
        return None
    import yaml

    matter = re.match(r"\A---\s*\n(.*?)\n---\s*$", card.read_text("utf-8", "replace"), re.DOTALL | re.MULTILINE)
    try:
        fields = yaml.load(matter[1], Loader=yaml.BaseLoader) if matter else None  # noqa: S506  (builds text only; `no` stays Norwegian)
    except yaml.YAMLError:
        return None  # a broken card says nothing
    named = fields.get("language") if isinstance(fields, dict) else None
    names = [named] if isinstance(named, str) else named or []
    codes = {str(name).lower() for name in names if re.fullmatch(r"[A-Za-z]{2}", str(name))}
    return frozenset(codes) or None  # "multilingual" alone names no language


def _well_known(config: Path) -> frozenset[str] | None:
    if not config.is_file():
        return None
    return WELL_KNOWN.get(str(json.loads(config.read_text("utf-8")).get("_name_or_path", "")).lower())
