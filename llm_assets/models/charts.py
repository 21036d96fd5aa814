"""Pictures of a fine-tune, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_assets.models.scoring import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 90


def loss_curve(figures: Sequence[Mapping[str, float]]) -> bytes:
    """Loss (left) and learning rate (right) over steps."""
    figure, left = _figure()
    steps = [row["step"] for row in figures]
    left.plot(steps, [row["loss"] for row in figures], color="tab:blue")
    left.set(xlabel="step", ylabel="loss of a step, nats a token", ylim=(0, None))
    right = left.twinx()
    right.plot(steps, [row["learning_rate"] for row in figures], color="tab:grey", linestyle=":")
    right.set(ylabel="learning rate (dotted)", ylim=(0, None))
    return _png(figure)


def comparison(estimates: Mapping[str, Estimate]) -> bytes:
    """Base model beside tuned model, with 95 % intervals: the shares where there are answers, else the loss."""
    figure, axes = _figure()
    names = [name for name in ("accuracy", "exact_match") if name in estimates] or ["loss"]
    for offset, prefix, label, colour in ((-0.2, "base_", "base", "tab:grey"), (0.2, "", "tuned", "tab:blue")):
        shown = [estimates[prefix + name] for name in names]
        spread = [[e.value - e.low for e in shown], [e.high - e.value for e in shown]]
        places = [i + offset for i in range(len(names))]
        axes.bar(places, [e.value for e in shown], 0.36, yerr=spread, capsize=4, label=label, color=colour)
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(0, None if names == ["loss"] else 1.05)
    axes.legend(loc="upper left")
    return _png(figure)


def _figure() -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # without pyplot: no display, and nothing kept between calls

    figure = Figure(figsize=(6, 3), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
