"""How much of an examination stands in the examples that were trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llm_assets.models.similarity import normalised, overlap, similar_to, windows, without_frame

COPIED = 0.5  # an examined prompt with this share of its text in the training prompts counts as given away
SHOWN = 5


@dataclass(frozen=True)
class Contamination:
    """How much of the examination stands in the training examples.

    Attributes:
        exact: examined prompts that are also trained on, width, case and spacing aside.
        near: examined prompts that are much like one that is trained on, exact ones included.
        given_away: examined prompts of which at least half stands, in long runs, in training prompts.
        mean_overlap: share of an examined prompt's runs that stand in training prompts, mean; 0 to 1.
        worst: example_id and overlap of the examined prompts with the most, worst first.
    """

    exact: int
    near: int
    given_away: int
    mean_overlap: float
    worst: tuple[tuple[str, float], ...]


def contamination_of(trained: Sequence[str], examined: Sequence[tuple[str, str]], near_at: float) -> Contamination:
    """Measure what of the examined prompts stands in the trained ones.

    Args:
        trained: prompts that were trained on.
        examined: example_id and prompt of each, at least one.
        near_at: Jaccard similarity of prompts from which two are much alike.
    """
    known, asked = _without_frames(trained, [prompt for _, prompt in examined])
    copied = {window for text in known for window in windows(normalised(text))}
    whole = {normalised(text) for text in known}
    overlaps = [overlap(text, copied) for text in asked]
    ids = (example_id for example_id, _ in examined)
    ranked = sorted(zip(ids, overlaps, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return Contamination(
        exact=sum(normalised(text) in whole for text in asked),
        near=len(similar_to(known, asked, near_at)),
        given_away=sum(share >= COPIED for share in overlaps),
        mean_overlap=sum(overlaps) / len(overlaps),
        worst=tuple((example_id, round(share, 4)) for example_id, share in ranked[:SHOWN]),
    )


def _without_frames(trained: Sequence[str], examined: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both without the instruction that all share; where each has its own, that is no resemblance either."""
    together = without_frame([*trained, *examined])
    return together[: len(trained)], together[len(trained) :]
