"""A picture of a retrieval evaluation, for the Dagster UI. Imports matplotlib: load it only where one is drawn."""

from __future__ import annotations

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from llm_assets.corpora.retrieval.evaluation import QueryResult, RetrievalReport

BARS = 60  # up to so many questions each has a bar; more become a histogram
GOOD, FAIR, MISSED = "#2a7f62", "#d9a441", "#b3423a"


def retrieval_chart(report: RetrievalReport) -> bytes:
    """PNG: how each question fared, and at which rank its first relevant result stood.

    Questions are named by id, never by text: the fonts at hand may lack the script of the text.
    """
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1)
    figure.suptitle("   ".join(f"{name} {value:.3f}" for name, value in report.metrics.items()))
    results = sorted(report.per_query, key=lambda result: (result.ndcg, result.query_id))
    if len(results) <= BARS:
        _bars(above, results)
    else:
        _histogram(above, results)
    _ranks(below, results)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()


def _bars(axes: Axes, results: list[QueryResult]) -> None:
    colours = [GOOD if result.ndcg >= 0.99 else FAIR if result.ndcg > 0 else MISSED for result in results]
    axes.bar(range(len(results)), [max(result.ndcg, 0.01) for result in results], color=colours)
    names = [result.query_id if result.query_id.isascii() else str(n) for n, result in enumerate(results, start=1)]
    axes.set_xticks(range(len(results)), names, rotation=90, fontsize=7)
    axes.set(ylabel="nDCG@10", ylim=(0, 1.02), title="each question, worst first")


def _histogram(axes: Axes, results: list[QueryResult]) -> None:
    axes.hist([result.ndcg for result in results], bins=[n / 20 for n in range(21)], color=GOOD)
    axes.set(xlabel="nDCG@10", ylabel="questions", title=f"{len(results)} questions")


def _ranks(axes: Axes, results: list[QueryResult]) -> None:
    """Bars for the ranks 1 to 10 of the first relevant result, then for later, then for not found."""
    labels = [*map(str, range(1, 11)), "later", "not found"]
    places = [11 if rank is None else min(rank, 11) - 1 for rank in (result.first_relevant for result in results)]
    heights = [places.count(place) for place in range(len(labels))]
    axes.bar(labels, heights, color=[GOOD] * 10 + [FAIR, MISSED])
    axes.set(xlabel="rank of the first relevant result", ylabel="questions")
