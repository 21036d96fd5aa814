"""Which models are examined: the base model, the tuned one, and the version that is promoted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from llm_assets.models import lineage, promotion
from llm_assets.training.checkpoints import is_whole
from llm_assets.training.jobs import PROVENANCE
from resources.language_model import open_language_model
from resources.model_sources import ModelError

if TYPE_CHECKING:
    from llm_assets.models.fine_tune import Run
    from llm_assets.models.promotion import Promotion
    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform

SideName = Literal["base", "promoted", "tuned"]
BASE, PROMOTED, TUNED = "base", "promoted", "tuned"
SIDES: tuple[SideName, ...] = (BASE, PROMOTED, TUNED)


@dataclass(frozen=True)
class Side:
    """A model that is examined.

    Attributes:
        name: its part in the comparison.
        version: names it by its content.
        base: folder of the base model.
        max_tokens, chat: how prompts are encoded for it: as for its training, and as where it is used. The base
            model is asked as the tuned one is.
        weights: sealed folder of tuned weights; of the base model there is none.
        unusable: why it cannot be asked; answers that it gave before still count.
    """

    name: SideName
    version: str
    base: Path
    max_tokens: int
    chat: bool
    weights: Path | None = None
    unusable: str | None = None


def sides_of(platform: Platform, spec: FineTuneSpec, run: Run) -> tuple[Side, ...]:
    """The models to compare a finished run with, and the run itself, last."""
    encoded = (run.settings.max_tokens, run.settings.chat)
    base = Side(BASE, run.base.digest, run.base.path, *encoded)
    tuned = Side(TUNED, run.version, run.base.path, *encoded, run.weights)
    rival = _rival(promotion.history(platform.state, spec.tenant, spec.name), run.version)
    return (base, _promoted(platform, spec, run, rival), tuned) if rival else (base, tuned)


def _rival(history: list[Promotion], version: str) -> Promotion | None:
    """The promoted version; of a version that is promoted itself, the one that it replaced.

    So an evaluation does not change by the promotion that it led to.
    """
    return next((entry for entry in history if entry.version != version), None)


def _promoted(platform: Platform, spec: FineTuneSpec, run: Run, rival: Promotion) -> Side:
    made = lineage.find(platform.state, spec.tenant, spec.name, rival.version)
    trained = made.config["training"] if made else run.settings.model_dump()
    base = run.base
    side = Side(PROMOTED, rival.version, base.path, trained["max_tokens"], trained["chat"], rival.path)
    if not is_whole(rival.path) or not (rival.path / PROVENANCE).is_file():
        said = f"version {rival.version} cannot be compared with: {rival.path} is gone or not whole"
        return replace(side, unusable=said)
    made_of = json.loads((rival.path / PROVENANCE).read_text(encoding="utf-8"))
    if made_of["method"] == "full" or made_of["base_digest"] == base.digest:
        return side
    try:
        own = open_language_model(made_of["base"], base=spec.folder, cache_dir=platform.cache)
    except ModelError as error:
        said = f"version {rival.version} cannot be compared with: it needs another base model; {error}"
        return replace(side, unusable=said)
    if own.digest != made_of["base_digest"]:
        said = f"version {rival.version} cannot be compared with: {made_of['base']} has changed since it was trained"
        return replace(side, unusable=said)
    return replace(side, base=own.path)
