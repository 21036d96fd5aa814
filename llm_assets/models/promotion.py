"""Which version of a model is promoted: a gate decides, one transaction moves it, and it can be moved back.

The state database is the truth; what tells MLflow of it is noted in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets import evaluations
from llm_assets.corpora.serving import is_pinned, pin_in
from llm_assets.models import lineage
from llm_assets.models.cards import body, card, write_card
from llm_assets.models.estimates import Estimate
from llm_assets.models.gate import Decision, Figures, decide
from llm_assets.models.lineage import Lineage, lineage_of
from llm_assets.names import choose
from llm_assets.training.checkpoints import is_whole
from resources import state_schema as schema
from resources.state import State, now
from resources.tracking.tracker import Tracker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_assets.models.fine_tune import Run
    from llm_assets.models.settings import FineTuneSpec
    from resources.platform import Platform


class PromotionError(RuntimeError):
    """A promotion cannot be moved; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of a version that was considered.

    Attributes:
        decision: of the gate.
        version: that was considered.
        promoted: the promoted version afterwards, or None.
        moved: whether it was promoted now.
        pinned: whether a rollback holds the promoted version.
        kept: earlier versions that can be rolled back to.
        made: from what the version came.
        card: of the model, Markdown.
    """

    decision: Decision
    version: str
    promoted: Promotion | None
    moved: bool
    pinned: bool
    kept: int
    made: Lineage
    card: str

    @property
    def summary(self) -> str:
        """In one sentence, for the log."""
        stays = f"version {self.promoted.version} stays promoted" if self.promoted else "nothing is promoted"
        reasons = "; ".join(self.decision.reasons)
        if not self.decision.promote:
            return f"version {self.version} is not promoted: {reasons}; {stays}"
        if self.pinned:
            return f"version {self.version} passes ({reasons}), but a rollback pins the model; {stays}"
        return f"version {self.version} {'is now' if self.moved else 'was already'} promoted: {reasons}"


@dataclass(frozen=True)
class Promotion:
    """A version that is or was promoted.

    Attributes:
        version: names the tuned model by its content.
        path: folder of its weights.
        evaluation: the figures it was promoted on.
        promoted_at: seconds since the epoch.
    """

    version: str
    path: Path
    evaluation: dict[str, float]
    promoted_at: float


def promote(platform: Platform, made: Lineage, path: Path) -> bool:
    """Make a version the promoted one; the previous ones stay for rollback. Two at once: one after the other.

    Args:
        platform: whose state database says what is promoted.
        made: from what the version came; kept with the promotion.
        path: folder of its weights.

    Returns:
        False where it was promoted already.
    """
    state = platform.state
    row = {"tenant": made.tenant, "model": made.model, "version": made.version, "retired": False}
    tags = {"tenant": made.tenant, "model": made.model, "base": made.base, "weights": path, "data": made.data_version}
    with _moving(state, made.tenant, made.model):
        current = promoted(state, made.tenant, made.model)
        if current is not None and current.version == made.version:
            return False
        with state.write() as connection:
            values = {**row, "path": state.kept_path(path), "evaluation": made.evaluation, "promoted_at": now()}
            connection.execute(schema.promotions.insert().values(**values))
            lineage.record_in(state, connection, made)
            name = registered_name(made.tenant, made.model)
            Tracker.of(platform).registered_in(connection, made.run_key, name, made.version, tags)
    return True


def registered_name(tenant: str, model: str) -> str:
    """What a model registry calls it: MLflow permits no slash."""
    return f"{tenant}.{model}"


def promoted(state: State, tenant: str, model: str) -> Promotion | None:
    """The promoted version, or None."""
    return next(iter(history(state, tenant, model)), None)


def history(state: State, tenant: str, model: str) -> list[Promotion]:
    """Newest first: the first is promoted, the others can be rolled back to."""
    return [_promotion(state, row) for row in state.rows(_live(tenant, model))]


def kept_paths(state: State, tenant: str, model: str) -> set[Path]:
    """Folders of weights that may not be removed: of the promoted version, and of those to roll back to."""
    return {entry.path for entry in history(state, tenant, model)}


def rollback_model(platform: Platform, tenant: str, model: str) -> Promotion:
    """Go back to the version before, and pin: automation trains and evaluates, but promotes nothing until `resume`.

    Raises:
        PromotionError: there is no version before, or its weights are not whole.
    """
    state, table = platform.state, schema.promotions
    with state.lock(f"model/{tenant}/{model}"), _moving(state, tenant, model):
        rows = state.rows(_live(tenant, model).limit(2))
        if len(rows) < 2:
            now = f"version {rows[0]['version']} is the only one that was promoted" if rows else "none is promoted"
            raise PromotionError(f"{tenant}/{model}: {now}; there is none to go back to")
        back = _promotion(state, rows[1])
        if not is_whole(back.path):
            gone = f"the weights of version {back.version} are not whole in {back.path}"
            raise PromotionError(f"{tenant}/{model}: {gone}; bring them back from a copy")
        made = lineage.find(state, tenant, model, back.version)
        with state.write() as connection:
            connection.execute(table.update().where(table.c.seq == rows[0]["seq"]).values(retired=True))
            if made is not None:
                name = registered_name(tenant, model)
                Tracker.of(platform).moved_in(connection, made.run_key, name, back.version)
            pin_in(state, connection, tenant, "model", model)
    return back


def consider(
    platform: Platform,
    spec: FineTuneSpec,
    run: Run,
    rows: Sequence[dict[str, Any]],
    dagster_run: str | None = None,
) -> Outcome:
    """Put a finished run's figures to the gate, and promote it if it passes and no rollback pins another.

    Args:
        platform: whose state database holds the evaluation.
        spec: the fine-tune.
        run: finished and evaluated.
        rows: of the training set.
        dagster_run: that asks.

    Raises:
        PromotionError: the run was not evaluated.
    """
    state = platform.state
    found = evaluations.find(state, spec.tenant, "model", spec.name, run.version)
    if found is None:
        raise PromotionError(f"{spec.id}: version {run.version} was not examined; materialise {spec.id}/evaluation")
    current = promoted(state, spec.tenant, spec.name)
    figures = figures_of(found, current)
    decision = decide(spec.settings.gate_with_regressions(figures.estimates.keys()), figures)
    pinned = is_pinned(state, spec.tenant, "model", spec.name)
    made = lineage_of(state, spec, run, rows, found.metrics, decision.reasons, dagster_run)
    text = card(made, run.base.path, figures, decision, found.details)
    write_card(run.path, text)
    if Tracker.of(platform).known(made.run_key):
        Tracker.of(platform).artifact(made.run_key, "card/README.md", body(text))
    moved = decision.promote and not pinned and promote(platform, made, run.weights)
    kept = history(state, spec.tenant, spec.name)
    return Outcome(decision, run.version, next(iter(kept), None), moved, pinned, len(kept[1:]), made, text)


def figures_of(found: evaluations.Evaluation, current: Promotion | None) -> Figures:
    """A recorded evaluation as the gate reads it."""
    estimates = {name: Estimate(**estimate) for name, estimate in found.details["estimates"].items()}
    version = current.version if current else None
    beside, gone = found.details.get("compared_with"), found.details.get("incomparable")
    return Figures(estimates, found.subject, beside, version, gone)


def known_models(state: State) -> list[tuple[str, str]]:
    """Tenant and name of everything that was evaluated or promoted."""
    evaluated, promotions = schema.evaluations, schema.promotions
    queries = (
        sa.select(evaluated.c.tenant, evaluated.c.name).where(evaluated.c.kind == "model"),
        sa.select(promotions.c.tenant, promotions.c.model.label("name")),
    )
    return sorted({(row["tenant"], row["name"]) for query in queries for row in state.rows(query)})


def resolve_model(state: State, model: str) -> tuple[str, str]:
    """Tenant and name of a model, given as `tenant/name` or as the name alone.

    Raises:
        PromotionError: none or several tenants have it.
    """
    try:
        return choose(model, known_models(state), "model", "evaluated")
    except LookupError as error:
        raise PromotionError(str(error)) from None


def _moving(state: State, tenant: str, model: str) -> AbstractContextManager[None]:
    """Held by whoever moves a promotion."""
    return state.lock(f"promotion/{tenant}/{model}")


def _live(tenant: str, model: str) -> sa.Select[Any]:
    table = schema.promotions
    query = sa.select(table).where(table.c.tenant == tenant, table.c.model == model, ~table.c.retired)
    return query.order_by(table.c.seq.desc())


def _promotion(state: State, row: Mapping[str, Any]) -> Promotion:
    return Promotion(row["version"], state.path_of(row["path"]), row["evaluation"], row["promoted_at"])
