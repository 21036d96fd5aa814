"""What is asked of models: from what a version came, a folder for others, what the tracking server knows."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from llm_assets.commands import command
from resources.platform import Platform

SEND_SECONDS = 60


def add(commands: Any) -> None:
    """Add the commands."""
    lineage = command(commands, "lineage", _lineage, "From what a promoted version of a model came.")
    lineage.add_argument("model", help="tenant/name, or the name alone")
    lineage.add_argument("--version", help="that is or was promoted (default: the promoted one)")
    lineage.add_argument("--json", action="store_true")

    export = command(commands, "export", _export, "Write a promoted model into a folder that transformers loads.")
    export.add_argument("model", help="tenant/name, or the name alone")
    export.add_argument("--to", required=True, type=Path, metavar="FOLDER", help="new or empty")
    export.add_argument("--merge", action="store_true", help="the adapter merged into its base model, as one model")
    export.add_argument("--version", help="that is or was promoted (default: the promoted one)")

    tracking = command(commands, "tracking", _tracking, "Send what MLflow has still to be told; say what waits.")
    tracking.add_argument("--again", action="store_true", help="try what was refused once more")


def _lineage(options: Any) -> None:
    import json

    from llm_assets.models import lineage
    from llm_assets.models.promotion import PromotionError, history, promoted, resolve_model

    state = Platform.open().state
    tenant, name = resolve_model(state, options.model)
    current = promoted(state, tenant, name)
    version = options.version or (current.version if current else None)
    if version is None:
        raise PromotionError(f"{tenant}/{name}: no version is promoted; llm-assets status shows its evaluation")
    found = lineage.find(state, tenant, name, version)
    if found is None:
        known = ", ".join(dict.fromkeys(one.version for one in history(state, tenant, name))) or "none"
        raise PromotionError(f"{tenant}/{name}: nothing is known of version {version}; promoted so far: {known}")
    print(
        json.dumps(asdict(found), ensure_ascii=False, indent=2) if options.json else "\n".join(lineage.lines(found))
    )


def _export(options: Any) -> None:
    from llm_assets.configs import fine_tune_folder
    from llm_assets.models.exporting import export
    from llm_assets.models.promotion import resolve_model

    platform = Platform.open()
    tenant, name = resolve_model(platform.state, options.model)
    folder = fine_tune_folder(tenant, name)
    done = export(platform, tenant, name, options.to, merge=options.merge, version=options.version, folder=folder)
    print(f"model {tenant}/{name} version {done.version} is in {options.to}")


def _tracking(options: Any) -> None:
    from resources.tracking import outbox, relay

    platform = Platform.open()
    if options.again:
        print(f"{outbox.try_again(platform.state)} refused things are tried again")
    print(relay.flush(platform, SEND_SECONDS))
    for lost in outbox.refused(platform.state):
        print(f"  refused: {lost['kind']} of {lost['run_key']}: {lost['refused']}")
