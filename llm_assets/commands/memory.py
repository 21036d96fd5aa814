"""How much memory a fine-tune takes, item by item, and where it fits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.commands import command

if TYPE_CHECKING:
    from llm_assets.models.memory import Workload
    from llm_assets.models.memory.asking import Plan
    from llm_assets.models.settings import FineTuneSpec

TEXT = "What a fine-tune, or a model and a method, takes of a device's memory; where it fits, alone or linked."
LINKED = (2, 4, 8, 16)


def add(commands: Any) -> None:
    """Add the command."""
    parser = command(commands, "memory", _memory, TEXT)
    parser.add_argument("fine_tune", nargs="?", help="tenant/name, or the name alone; or give --model")
    parser.add_argument("--model", help="hf:<repo>@<revision>, path:<folder> or package:<distribution>")
    _what_if(parser)
    parser.add_argument("--json", action="store_true")


def _what_if(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--method", choices=("inference", "lora", "qlora", "full"))
    parser.add_argument("--batch", type=_count, metavar="N", help="rows at once on each device")
    parser.add_argument("--seq", type=_count, metavar="N", help="tokens of a row")
    parser.add_argument("--rank", type=_count, metavar="N", help="of the adapter")
    parser.add_argument("--devices", type=_count, metavar="N", help="that share the work")
    parser.add_argument("--sharding", choices=("ddp", "fsdp"))
    parser.add_argument("--checkpointing", action="store_true", default=None, help="activations are computed twice")
    parser.add_argument("--on", choices=("gpu", "cpu", "tpu"), help="the kind of device")


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not permitted; it takes a whole number from 1")
    return number


def _memory(options: Any) -> None:
    from llm_assets.models.memory.asking import plan_of

    name, plan, pool = _planned(options)
    workload = _changed(plan.workload, options)
    plan = plan_of(plan.known, workload, plan.fine_tune, plan.noted)
    print(json.dumps(_plain(name, plan, pool), indent=2) if options.json else "\n".join(_lines(name, plan, pool)))


def _planned(options: Any) -> tuple[str, Plan, str]:
    """The name, the plan before the command line's changes, and the pool that is asked."""
    from llm_assets.models.memory.asking import plan
    from resources.config_errors import ConfigError

    if bool(options.fine_tune) == bool(options.model):
        raise ConfigError("name a fine-tune, or give --model; `llm-assets memory --help` shows both")
    spec = _hypothetical(options.model) if options.model else _configured(options.fine_tune)
    return options.model or spec.id, plan(spec, on=options.on, devices=options.devices), spec.settings.training.pool


def _configured(name: str) -> FineTuneSpec:
    from llm_assets.configs import fine_tunes
    from resources.config_errors import ConfigError

    specs = list(fine_tunes())
    found = [spec for spec in specs if name in (spec.id, spec.name)]
    if len(found) != 1:
        among = ", ".join(spec.id for spec in found or specs) or "none"
        raise ConfigError(f"fine-tune '{name}': {'several have that name' if found else 'there is none'}: {among}")
    spec: FineTuneSpec = found[0]
    return spec


def _hypothetical(model: str) -> FineTuneSpec:
    """A fine-tune of a model with every setting at its default."""
    from llm_assets.models.settings import FineTuneSettings, FineTuneSpec

    data = {"examples": {"path": "examples.jsonl"}}
    settings = FineTuneSettings.model_validate({"name": "model", "model": model, "data": data})
    return FineTuneSpec("what_if", Path.cwd(), settings)


def _changed(workload: Workload, options: Any) -> Workload:
    """The workload with what the command line says."""
    given = {
        "method": options.method,
        "batch": options.batch,
        "tokens": options.seq,
        "adapter_rank": options.rank,
        "checkpointing": options.checkpointing,
        "sharding": options.sharding if workload.devices > 1 else None,
    }
    changed = replace(workload, **{name: value for name, value in given.items() if value is not None})
    if options.method == "inference":
        return replace(changed, weight_width=None, matrix_width=None)
    return replace(changed, matrix_width=workload.matrix_width if changed.method == "lora" else None)


def _lines(name: str, plan: Plan, pool: str) -> Iterator[str]:
    from resources.accelerators.commands.text import columns
    from resources.accelerators.units import shown_gb

    work, found = plan.workload, plan.corrected
    estimate = found.estimate
    many = f" on each of {plan.devices} devices ({work.sharding})" if plan.devices > 1 else ""
    what = f"{work.batch} rows of {work.tokens} tokens at once{many}, on a {work.on}"
    yield f"{name}: {work.method}, {what}"
    guess = "" if plan.known.shape.exact else f" (type '{plan.known.shape.family}' is not known: read like Llama)"
    yield f"  {estimate.parameters / 1e6:,.1f} M parameters, {estimate.trained / 1e6:,.1f} M of them trained{guess}"
    yield ""
    rows = [[item, shown_mb(count)] for item, count in estimate.items.items()]
    yield from columns([*rows, [f"peak, {estimate.moment}", shown_mb(estimate.peak)]])
    if found.source != "formulas":
        yield f"  {found.source} by earlier runs: {shown_gb(found.peak)}"
    yield f"  asked for: {shown_gb(found.asked)}" + (f", {shown_gb(plan.total)} in all" if plan.devices > 1 else "")
    yield ""
    alone, linked = _catalogue_fits(plan)
    yield f"Fits alone on: {', '.join(alone) or 'no device of the catalogue'}"
    for number, names in linked.items():
        yield f"Fits linked, {number} × (fsdp): {', '.join(names)}"
    yield from _pool_lines(plan, pool)


def _pool_lines(plan: Plan, pool: str) -> Iterator[str]:
    from resources.accelerators.units import shown_gb

    for name, (memory, fits) in _pools(plan).items():
        mark = "asked by this fine-tune; " if name == pool else ""
        yield f"Pool {name}, {shown_gb(memory)}: {mark}{'enough' if fits else 'too small'}"
    for device, reason in _registered(plan, pool):
        yield f"Registered {device}: {reason or 'fits'}"


def shown_mb(count: int) -> str:
    """Bytes in GB with three decimals: items of small models differ in the third."""
    return f"{count / 1e9:.3f} GB"


def _plain(name: str, plan: Plan, pool: str) -> dict[str, Any]:
    found = plan.corrected
    alone, linked = _catalogue_fits(plan)
    return {
        "name": name,
        "method": plan.workload.method,
        "devices": plan.devices,
        "parameters": found.estimate.parameters,
        "trained": found.estimate.trained,
        "exact": plan.known.shape.exact,
        "items": dict(found.estimate.items),
        "moment": found.estimate.moment,
        "peak_bytes": found.peak,
        "asked_bytes": found.asked,
        "source": found.source,
        "fits_alone": alone,
        "fits_linked": {str(number): names for number, names in linked.items()},
        "pools": {name: {"memory_bytes": memory, "fits": fits} for name, (memory, fits) in _pools(plan).items()},
        "registered": [{"device": device, "excluded_by": reason} for device, reason in _registered(plan, pool)],
    }


def _catalogue_fits(plan: Plan) -> tuple[list[str], dict[int, list[str]]]:
    """Whole devices of the catalogue that hold it alone; and those that do so only linked, by how many it takes."""
    from llm_assets.models.memory import estimate
    from resources.accelerators.catalogue import catalogue

    models = [model for model in catalogue().values() if model.parent is None and model.kind != "cpu"]
    on_device = replace(plan.workload, on="gpu", devices=1, sharding="none")
    need = estimate(plan.known.shape, on_device).asked
    alone = [model.name for model in models if model.memory >= need]
    linked: dict[int, list[str]] = {}
    placed = set(alone)
    for number in LINKED:
        shared = estimate(plan.known.shape, replace(on_device, devices=number, sharding="fsdp")).asked
        fitting = [m.name for m in models if m.link_bandwidth and m.name not in placed and m.memory >= shared]
        placed.update(fitting)
        if fitting:
            linked[number] = fitting
    return alone, linked


def _pools(plan: Plan) -> dict[str, tuple[int, bool]]:
    """Pool to its memory, and whether that is enough in all."""
    from resources.accelerators.configuration import load_accelerators

    return {name: (pool.memory, pool.memory >= plan.total) for name, pool in load_accelerators().pools.items()}


def _registered(plan: Plan, pool: str) -> list[tuple[str, str | None]]:
    """Registered devices with what excludes each from holding it, were it empty; none where nothing is registered."""
    from llm_assets.models.memory.asking import shown
    from resources.accelerators.commands.explain import request_for
    from resources.accelerators.commands.snapshot import look
    from resources.accelerators.deciding.explain import admits
    from resources.accelerators.errors import AcceleratorError
    from resources.accelerators.ledger.ledger import open_ledger

    try:
        ledger = open_ledger()
        moment = look(ledger)
        values = {"memory_gb": shown(plan.total), "devices": plan.devices if plan.devices > 1 else None}
        request = request_for(ledger.accelerators, pool, values, moment.now)
        return [(device.id, reason) for device, reason in admits(moment.state, request)]
    except AcceleratorError as error:
        return [("devices", str(error))]
