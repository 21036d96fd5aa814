"""Pictures of a fine-tune, as PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llm_assets.models.estimates import Estimate
from llm_assets.models.settings.evaluation import is_lower_better
from resources.accelerators.labels import Labels, families

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS_PER_INCH = 90
SIDES = {"base_": ("base", "tab:grey"), "promoted_": ("promoted", "tab:orange"), "": ("tuned", "tab:blue")}
GAINS = {"_gain": ("over base", "tab:grey"), "_gain_over_promoted": ("over promoted", "tab:orange")}
LABEL_CHARS = 24
BAR = 0.27  # from one bar to the next, where metrics are 1 apart


def loss_curve(figures: Sequence[Mapping[str, float]]) -> bytes:
    """Loss (left) and learning rate (right) over steps."""
    figure, left = _figure()
    steps = [row["step"] for row in figures]
    left.plot(steps, [row["loss"] for row in figures], color="tab:blue")
    left.set(xlabel="step", ylabel="loss of a step, nats a token", ylim=(0, None))
    left.xaxis.get_major_locator().set_params(integer=True)
    right = left.twinx()
    right.plot(steps, [row["learning_rate"] for row in figures], color="tab:grey", linestyle=":")
    right.set(ylabel="learning rate (dotted)", ylim=(0, None))
    return _png(figure)


def levels(estimates: Mapping[str, Estimate]) -> bytes:
    """Each model's figures with 95 % intervals: shares and scores to the left, losses to the right."""
    names = level_names(estimates)
    scores, losses = [n for n in names if not is_lower_better(n)], [n for n in names if is_lower_better(n)]
    sides = [prefix for prefix in SIDES if any(prefix + name in estimates for name in names)]
    figure, axes = _panels([len(scores), len(losses)])
    for panel, shown in zip(axes, filter(None, (scores, losses)), strict=True):
        for number, prefix in enumerate(sides):
            offset = BAR * (number - (len(sides) - 1) / 2)
            _bars(panel, [(i + offset, estimates.get(prefix + name)) for i, name in enumerate(shown)], *SIDES[prefix])
        panel.set_xticks(range(len(shown)), [_told(name) for name in shown])
        panel.set_ylim(0, 1.05 if shown is scores else None)
        panel.set_ylabel("score, higher is better" if shown is scores else "lower is better")
    _legend(figure, axes[0])
    return _png(figure)


def differences(estimates: Mapping[str, Estimate]) -> bytes:
    """A forest plot: how much better the tuned model is by each figure, with the 95 % interval of the difference."""
    names = [name for name in level_names(estimates) if f"{name}_gain" in estimates][::-1]
    scores, losses = [n for n in names if not is_lower_better(n)], [n for n in names if is_lower_better(n)]
    groups = [group for group in (scores, losses) if group]
    figure, axes = _panels([1] * len(groups), height=1.2 + 0.45 * max(map(len, groups)))
    for panel, shown in zip(axes, groups, strict=True):
        panel.axvline(0, color="black", linewidth=0.8)
        for offset, suffix in zip((0.12, -0.12), GAINS, strict=True):
            _whiskers(panel, [(i + offset, estimates.get(n + suffix)) for i, n in enumerate(shown)], *GAINS[suffix])
        panel.set_yticks(range(len(shown)), [_told(name) for name in shown])
        panel.set_ylim(-0.6, len(shown) - 0.4)
        panel.set_xlabel("better by (score)" if shown is scores else "lower by")
    _legend(figure, axes[0])
    return _png(figure)


def confusion(
    labels: Sequence[str], counts: Sequence[Sequence[int]], said: Sequence[str]
) -> tuple[bytes, Mapping[str, str]]:
    """How often each class (rows) was answered by which (columns); and what stands for names no font can show."""
    from matplotlib import rc_context

    drawn = Labels()
    with rc_context({"font.family": families()}):
        return _png(
            _matrix([drawn.shown(name) for name in labels], counts, [*map(drawn.shown, said)])
        ), drawn.stand_ins


def _matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], said: Sequence[str]) -> Figure:
    size = 2 + 0.42 * len(said)
    figure, axes = _figure(size + 1, size)
    axes.imshow(counts, cmap="Blues", vmin=0)
    axes.set_xticks(range(len(said)), [_short(name) for name in said], rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), [_short(name) for name in labels])
    axes.set(xlabel="answered", ylabel="right answer")
    half = max(max(row) for row in counts) / 2
    for i, row in enumerate(counts):
        for j, count in enumerate(row):
            if count:
                axes.text(j, i, count, ha="center", va="center", color="white" if count > half else "black")
    return figure


def level_names(estimates: Mapping[str, Estimate]) -> list[str]:
    """The figures of the tuned model, without differences and other models."""
    others = tuple(prefix for prefix in SIDES if prefix)
    return [name for name in estimates if not name.startswith(others) and not name.endswith(tuple(GAINS))]


def _bars(axes: Any, shown: Sequence[tuple[float, Estimate | None]], label: str, colour: str) -> None:
    known = [(place, estimate) for place, estimate in shown if estimate]
    if known:
        spread = [[max(0.0, e.value - e.low) for _, e in known], [max(0.0, e.high - e.value) for _, e in known]]
        axes.bar(
            *([place for place, _ in known], [e.value for _, e in known], 0.25),
            **{"yerr": spread, "capsize": 3, "label": label, "color": colour},
        )


def _whiskers(axes: Any, shown: Sequence[tuple[float, Estimate | None]], label: str, colour: str) -> None:
    known = [(place, estimate) for place, estimate in shown if estimate]
    if known:
        spread = [[max(0.0, e.value - e.low) for _, e in known], [max(0.0, e.high - e.value) for _, e in known]]
        values, places = [e.value for _, e in known], [place for place, _ in known]
        axes.errorbar(values, places, xerr=spread, fmt="o", capsize=3, label=label, color=colour)


def _legend(figure: Figure, axes: Any) -> None:
    """Above all panels, where it covers nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=len(labels), fontsize="small")


def _told(name: str) -> str:
    return name.replace("_", " ").replace(".", "\n")


def _short(text: str) -> str:
    return text if len(text) <= LABEL_CHARS else text[: LABEL_CHARS - 1] + "…"


def _panels(widths: Sequence[int], height: float = 3.0) -> tuple[Figure, Sequence[Any]]:
    """Panels side by side, as wide as what they hold; those of width 0 are left out."""
    from matplotlib.figure import Figure

    kept = [width for width in widths if width]
    figure = Figure(figsize=(4 + 0.9 * sum(kept), height), layout="constrained")
    return figure, figure.subplots(1, len(kept), squeeze=False, width_ratios=[width + 0.5 for width in kept])[0]


def _figure(width: float = 6, height: float = 3) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure  # without pyplot: no display, and nothing kept between calls

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
