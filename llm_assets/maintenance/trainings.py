"""Folders of trainings that were superseded or abandoned. Promoted ones and those a rollback may reach stay."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llm_assets.models import promotion
from resources import state_schema as schema

if TYPE_CHECKING:
    from resources.platform import Platform

DAY = 86400.0
SHARED = ("evaluations", "answers")  # of all versions; `forget` removes them, and they are made again when missing


def remove_old_trainings(platform: Platform, days: float) -> list[str]:
    """Remove the run folders that nobody has written to for `days`. Returns them as `tenant/model/key`."""
    removed = []
    for models in sorted(platform.profile.state_dir.glob("tenants/*/models/*")):
        tenant, model = models.parent.parent.name, models.name
        with platform.state.lock(f"model/{tenant}/{model}"):
            kept = kept_folders(platform, tenant, model)
            for folder in sorted(path for path in models.iterdir() if path.is_dir()):
                if folder.name not in {*kept, *SHARED} and _newest_change(folder) < time.time() - days * DAY:
                    shutil.rmtree(folder)
                    removed.append(f"{tenant}/{model}/{folder.name}")
    return removed


def kept_folders(platform: Platform, tenant: str, model: str) -> set[str]:
    """The folders of what is promoted or can be rolled back to, and of the newest training."""
    kept = {part for path in promotion.kept_paths(platform.state, tenant, model) for part in path.parts}
    table = schema.trained_runs
    own = sa.select(table.c.key).where(table.c.tenant == tenant, table.c.model == model).order_by(table.c.seq.desc())
    newest = platform.state.first(own.limit(1))
    folders = platform.runs(tenant, model).iterdir()
    return kept | ({path.name for path in folders if newest["key"].startswith(path.name)} if newest else set())


def _newest_change(folder: Path) -> float:
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
