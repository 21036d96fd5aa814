"""Which examples are trained on and which are held out: by content, alike ones together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llm_assets.models.examples import Example
from llm_assets.models.similarity import similar_pairs, without_frame
from resources.digests import digest

HASH_BITS = 60


@dataclass(frozen=True)
class Split:
    """What is left after duplicates went, in two parts.

    Attributes:
        train: to learn from.
        held_out: to be examined on.
        exact_duplicates: examples left out because the same one was there.
        near_duplicates: left out because one much alike, with the same answer, was there.
        groups: sets of alike examples, each wholly on one side.
    """

    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    exact_duplicates: int
    near_duplicates: int
    groups: int


def split(
    examples: Sequence[Example], *, held_out: float, duplicates_at: float, together_at: float, seed: int
) -> Split:
    """Remove duplicates, then divide. An example's side depends on its group's content and the seed only.

    Examples of one document stay together too: a document's own words would give its other chunks away.

    Args:
        examples: in any order.
        held_out: share to hold out, 0 to 1; at least one group is, and one is not.
        duplicates_at: Jaccard similarity of prompts from which two examples with one answer are one.
        together_at: Jaccard similarity of prompts from which two examples stay on one side.
        seed: another one divides otherwise.
    """
    unique = list({example.example_id: example for example in reversed(examples)}.values())
    unique.sort(key=lambda example: example.example_id)
    pairs = list(similar_pairs(_compared(unique), min(duplicates_at, together_at)))
    doubled = _doubled(unique, [(i, j) for i, j, similarity in pairs if similarity >= duplicates_at])
    groups = _groups(unique, [(i, j) for i, j, similarity in pairs if similarity >= together_at])
    chosen = _chosen(groups, unique, held_out, seed)
    kept = [i for i in range(len(unique)) if i not in doubled]
    return Split(
        train=tuple(unique[i] for i in kept if groups[i] not in chosen),
        held_out=tuple(unique[i] for i in kept if groups[i] in chosen),
        exact_duplicates=len(examples) - len(unique),
        near_duplicates=len(doubled),
        groups=len(set(groups)),
    )


def compared(example: Example) -> str:
    """The part of an example that must not be known before the examination: its prompt, else its text."""
    return example.prompt or example.completion


def _compared(examples: Sequence[Example]) -> list[str]:
    return without_frame([compared(example) for example in examples])


def _doubled(examples: Sequence[Example], pairs: Iterable[tuple[int, int]]) -> set[int]:
    """Those that repeat an earlier one which is kept. Where prompt and answer are one text, it alone counts."""
    doubled: set[int] = set()
    for i, j in sorted(pairs):
        same_answer = not examples[i].prompt or examples[i].completion == examples[j].completion
        if i not in doubled and same_answer:
            doubled.add(j)
    return doubled


def _groups(examples: Sequence[Example], pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The group of each example, named by its first member's position (union-find)."""
    parent = list(range(len(examples)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first_of: dict[str, int] = {}
    of_one_document = [
        (first_of.setdefault(example.doc_id, i), i) for i, example in enumerate(examples) if example.doc_id
    ]
    for i, j in [*pairs, *of_one_document]:
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    return [root(i) for i in range(len(examples))]


def _chosen(groups: Sequence[int], examples: Sequence[Example], share: float, seed: int) -> set[int]:
    """The groups to hold out: those whose hash falls below the share, so that new examples move no other."""
    order = sorted({group: _fraction(examples[group], seed) for group in groups}.items(), key=lambda item: item[1])
    count = sum(fraction < share for _, fraction in order)
    count = min(max(count, 1), len(order) - 1)
    return {group for group, _ in order[:count]}


def _fraction(example: Example, seed: int) -> float:
    return int(digest("split", seed, example.example_id)[: HASH_BITS // 4], 16) / 2**HASH_BITS
