"""Which version of a model is promoted: a gate decides, one transaction moves it, and it can be moved back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets.corpora.serving import is_pinned, pin
from llm_assets.names import choose
from resources import state_schema as schema
from resources.state import State, now

if TYPE_CHECKING:
    from llm_assets.models.fine_tune import Run
    from llm_assets.models.settings import FineTuneSpec, GateSettings

LOWER_IS_BETTER = ("loss",)


class PromotionError(RuntimeError):
    """A promotion cannot be moved; the message says why."""


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and why (not)."""

    promote: bool
    reasons: tuple[str, ...]


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
    """

    decision: Decision
    version: str
    promoted: Promotion | None
    moved: bool
    pinned: bool
    kept: int

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
        path: folder of its adapter.
        evaluation: the figures it was promoted on.
        promoted_at: seconds since the epoch.
    """

    version: str
    path: Path
    evaluation: dict[str, float]
    promoted_at: float


def decide(gate: GateSettings, metrics: Mapping[str, float]) -> Decision:
    """Put figures to a gate.

    Args:
        gate: from YAML.
        metrics: of an evaluation, with `base_` and `_gain` figures.
    """
    name = gate.metric
    if name not in metrics:
        known = ", ".join(sorted(metrics))
        return Decision(
            False, (f"{name} was not measured (without prompts there are no answers); measured: {known}",)
        )
    value, gain = metrics[name], metrics[f"{name}_gain"]
    better = "lower" if name in LOWER_IS_BETTER else "higher"
    tests = [
        (
            gate.at_least is None or value >= gate.at_least,
            f"{name} is {value:.3f}, at least {gate.at_least} is asked",
        ),
        (gate.at_most is None or value <= gate.at_most, f"{name} is {value:.3f}, at most {gate.at_most} is asked"),
        (
            gain >= gate.better_than_base_by and gain > 0,
            f"{name} is {value:.3f}, the base model's {metrics[f'base_{name}']:.3f}; "
            f"at least {gate.better_than_base_by} {better} is asked",
        ),
    ]
    failed = tuple(reason for passed, reason in tests if not passed)
    return Decision(not failed, failed or (f"{name} is {value:.3f}, the base model's {metrics[f'base_{name}']:.3f}",))


def promote(state: State, tenant: str, model: str, version: str, path: Path, evaluation: Mapping[str, float]) -> bool:
    """Make a version the promoted one; the previous ones stay for rollback. Returns False where it was already."""
    current = promoted(state, tenant, model)
    if current is not None and current.version == version:
        return False
    row = {"tenant": tenant, "model": model, "version": version, "path": str(path), "retired": False}
    with state.write() as connection:
        connection.execute(schema.promotions.insert().values(**row, evaluation=dict(evaluation), promoted_at=now()))
    return True


def promoted(state: State, tenant: str, model: str) -> Promotion | None:
    """The promoted version, or None."""
    return next(iter(history(state, tenant, model)), None)


def history(state: State, tenant: str, model: str) -> list[Promotion]:
    """Newest first: the first is promoted, the others can be rolled back to."""
    return [_promotion(row) for row in state.rows(_live(tenant, model))]


def rollback_model(state: State, tenant: str, model: str) -> Promotion:
    """Go back to the version before, and pin: automation trains and evaluates, but promotes nothing until `resume`.

    Raises:
        PromotionError: there is no version before.
    """
    with state.lock(f"model/{tenant}/{model}"):
        rows = state.rows(_live(tenant, model).limit(2))
        if len(rows) < 2:
            raise PromotionError(f"{tenant}/{model}: {len(rows)} version(s) promoted; there is none to go back to")
        table = schema.promotions
        with state.write() as connection:
            connection.execute(table.update().where(table.c.seq == rows[0]["seq"]).values(retired=True))
        pin(state, tenant, "model", model)
    return _promotion(rows[1])


def consider(state: State, spec: FineTuneSpec, run: Run, metrics: Mapping[str, float]) -> Outcome:
    """Put a finished run's figures to the gate, and promote it if it passes and no rollback pins another."""
    decision = decide(spec.settings.gate, metrics)
    pinned = is_pinned(state, spec.tenant, "model", spec.name)
    moved = decision.promote and not pinned
    if moved:
        moved = promote(state, spec.tenant, spec.name, run.version, run.weights, metrics)
    kept = history(state, spec.tenant, spec.name)
    return Outcome(decision, run.version, next(iter(kept), None), moved, pinned, len(kept[1:]))


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


def _live(tenant: str, model: str) -> sa.Select[Any]:
    table = schema.promotions
    query = sa.select(table).where(table.c.tenant == tenant, table.c.model == model, ~table.c.retired)
    return query.order_by(table.c.seq.desc())


def _promotion(row: Mapping[str, Any]) -> Promotion:
    return Promotion(row["version"], Path(row["path"]), row["evaluation"], row["promoted_at"])
