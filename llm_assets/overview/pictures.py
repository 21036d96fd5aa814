"""The pictures of the overview, as PNG bytes; a name that no font at hand can show is told beside the picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resources.accelerators.labels import Labels, families

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from llm_assets.overview.built import Corpus, Point

DOTS_PER_INCH = 100
MOST_BARS = 20  # corpora with a bar of their own; one more stands for the rest
DAY = 24 * 3600.0  # what matplotlib counts time in, from 1970
HOUR = 1 / 24
MOST_LINES = 10  # curves that are told apart
PARSED, QUARANTINED, VECTORS = "#2a7f62", "#b3423a", "#3d6fb4"


@dataclass(frozen=True)
class Picture:
    """A PNG, and what stands in it for names that no font at hand can show."""

    png: bytes
    stand_ins: dict[str, str]


def size_chart(corpora: Sequence[Corpus]) -> Picture:
    """Documents (parsed, quarantined) and served vectors of each corpus, the largest first."""
    ordered = sorted(corpora, key=lambda corpus: -(corpus.parsed + corpus.quarantined))
    shown, rest = ordered[:MOST_BARS], ordered[MOST_BARS:]
    labels = Labels()
    names = [labels.shown(corpus.name) for corpus in shown] + ([f"{len(rest)} more"] if rest else [])

    def bars(part: str) -> list[int]:
        return [getattr(one, part) for one in shown] + ([sum(getattr(one, part) for one in rest)] if rest else [])

    with _drawing(10, 1.4 + 0.28 * len(names)) as (figure, png):
        left, right = figure.subplots(1, 2, sharey=True)
        parsed = bars("parsed")
        left.barh(names, parsed, color=PARSED, label="parsed")
        left.barh(names, bars("quarantined"), left=parsed, color=QUARANTINED, label="quarantined")
        left.set(xlabel="documents")
        right.barh(names, bars("vectors"), color=VECTORS)
        right.set(xlabel="vectors served")
        for axes in (left, right):
            axes.set_xlim(0, max(axes.get_xlim()[1], 1))  # with nothing to show, it would begin below 0
            axes.xaxis.get_major_locator().set_params(integer=True)
        left.invert_yaxis()
        figure.legend(loc="outside upper left", ncols=2, fontsize=8)
    return Picture(png.getvalue(), labels.stand_ins)


def quality_chart(points: Sequence[Point]) -> Picture:
    """Each name's measurements over time: those measured last, where there are many."""
    newest = list(dict.fromkeys(point.name for point in reversed(points)))
    labels = Labels()
    with _drawing(10, 3.4) as (figure, png):
        axes = figure.subplots()
        for name in newest[:MOST_LINES]:
            own = [point for point in points if point.name == name]
            times = [point.at / DAY for point in own]
            label = f"{labels.shown(name)}: {own[-1].measure} {own[-1].value:.3f}"
            axes.plot(times, [point.value for point in own], marker="o", markersize=4, label=label)
        if (more := len(newest) - MOST_LINES) > 0:
            axes.plot([], [], color="none", label=f"{more} more")
        _over_time(axes, [point.at / DAY for point in points])
        axes.set(ylim=(0, 1.04), ylabel="1 is best")
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)
    return Picture(png.getvalue(), labels.stand_ins)


def _over_time(axes: Axes, days: Sequence[float]) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    margin = max(0.03 * (max(days) - min(days)), HOUR)  # one measurement alone has no span
    axes.set_xlim(min(days) - margin, max(days) + margin)
    locator = AutoDateLocator(maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.set_xlabel("UTC")
    axes.grid(axis="y", alpha=0.3)


@contextmanager
def _drawing(width: float, height: float) -> Iterator[tuple[Figure, io.BytesIO]]:
    """A figure to draw in, of so many inches, and where its PNG is afterwards."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure  # without pyplot: no display, and nothing kept between calls

    buffer = io.BytesIO()
    with rc_context({"font.family": families()}):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, buffer
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
