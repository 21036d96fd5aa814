"""From what a version of a model came: data, configuration, code, base model, evaluation, run."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llm_assets.models.training_set import rows_digest
from resources import state_schema as schema
from resources.digests import digest, digest_json
from resources.profile import ROOT
from resources.state import State, now

if TYPE_CHECKING:
    from llm_assets.models.fine_tune import Run
    from llm_assets.models.settings import FineTuneSpec

CODE = ("llm_assets", "resources")
DIGEST_CHARS = 12
GIT_SECONDS = 10


@dataclass(frozen=True)
class Lineage:
    """From what a version came.

    Attributes:
        tenant, model, version: whose it is.
        data_version: of the training set.
        config_digest, config: what was configured, parameters changed at launch included.
        code_version: the commit, if the project is in git, and a digest of the code.
        base, base_digest: the base model as it was named, and its content.
        evaluation: the figures it was promoted on.
        decision: the gate's reasons.
        documents: how many documents of a corpus it has learned from.
        run_key: of its training, which trackers know it by.
        dagster_run: that promoted it.
        made_at: seconds since the epoch.
    """

    tenant: str
    model: str
    version: str
    data_version: str
    config_digest: str
    config: dict[str, Any]
    code_version: str
    base: str
    base_digest: str
    evaluation: dict[str, float]
    decision: list[str]
    documents: int
    run_key: str
    dagster_run: str | None
    made_at: float


def lineage_of(
    state: State,
    spec: FineTuneSpec,
    run: Run,
    rows: Sequence[dict[str, Any]],
    evaluation: Mapping[str, float],
    decision: Sequence[str],
    dagster_run: str | None,
) -> Lineage:
    """The lineage of a finished run that is promoted now.

    Args:
        state: knows which documents the run has learned from.
        spec: the fine-tune.
        run: finished.
        rows: of the training set.
        evaluation: its figures.
        decision: the gate's reasons.
        dagster_run: that promotes it.
    """
    config = spec.settings.model_dump(mode="json") | {"training": run.settings.model_dump(mode="json")}
    return Lineage(
        tenant=spec.tenant,
        model=spec.name,
        version=run.version,
        data_version=rows_digest(rows),
        config_digest=digest_json(config)[:DIGEST_CHARS],
        config=config,
        code_version=code_version(),
        base=run.base.reference,
        base_digest=run.base.digest,
        evaluation=dict(evaluation),
        decision=list(decision),
        documents=count_documents(state, spec.tenant, spec.name, run.version),
        run_key=run_key(spec, run),
        dagster_run=dagster_run,
        made_at=now(),
    )


def run_key(spec: FineTuneSpec, run: Run) -> str:
    """What trackers know a training by: one key for ever, however often it was killed or asked for again."""
    return f"{spec.id}/{run.path.name}"


def record_in(state: State, connection: sa.Connection, lineage: Lineage) -> None:
    """Keep a lineage, in the transaction of its promotion."""
    state.put_in(connection, schema.lineage, [asdict(lineage)])


def find(state: State, tenant: str, model: str, version: str) -> Lineage | None:
    """The lineage of a version that is or was promoted."""
    table = schema.lineage
    row = state.first(
        sa.select(table).where(table.c.tenant == tenant, table.c.model == model, table.c.version == version)
    )
    return Lineage(**{field.name: row[field.name] for field in fields(Lineage)}) if row else None


def count_documents(state: State, tenant: str, model: str, version: str) -> int:
    """How many documents a version has learned from."""
    table = schema.trained_on
    query = sa.select(sa.func.count()).where(
        table.c.tenant == tenant, table.c.model == model, table.c.version == version
    )
    with state.read() as connection:
        return int(connection.execute(query).scalar_one())


def lines(lineage: Lineage) -> list[str]:
    """For people: one line a fact."""
    made = datetime.fromtimestamp(lineage.made_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    learned = f"; from {lineage.documents} documents" if lineage.documents else ""
    return [
        f"model {lineage.tenant}/{lineage.model} version {lineage.version}, promoted {made}",
        f"  base model  {lineage.base} ({lineage.base_digest[:DIGEST_CHARS]})",
        f"  data        training set {lineage.data_version[:DIGEST_CHARS]}{learned}",
        f"  config      {lineage.config_digest}",
        f"  code        {lineage.code_version}",
        f"  training    {lineage.run_key}",
        f"  promoted by {lineage.dagster_run or 'no Dagster run'}",
        *(f"  decided     {reason}" for reason in lineage.decision),
        *(f"  {name:<28} {value:.4f}" for name, value in sorted(lineage.evaluation.items())),
    ]


@cache
def code_version(root: Path = ROOT) -> str:
    """The commit, with `+` where files were changed after it, if there is one; and a digest of the code itself."""
    files = sorted(path for part in CODE for path in (root / part).rglob("*.py"))
    content = digest(*(part for path in files for part in (str(path.relative_to(root)), path.read_bytes())))
    code = f"code {content[:DIGEST_CHARS]}"
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return code
    return f"commit {commit}{'+' if _git(root, 'status', '--porcelain', '--', *CODE) else ''}, {code}"


def _git(root: Path, *arguments: str) -> str:
    """What git says; nothing where there is no git, or no repository of this project's own."""
    if not (root / ".git").exists():
        return ""
    try:
        command = ["git", "-C", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
