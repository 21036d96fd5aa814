"""Examples from a data set of the `datasets` library: on a hub, or a local folder or file. Its code is never run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models.examples import Example, ExamplesError, examples_of

if TYPE_CHECKING:
    from llm_assets.models.settings.data import DatasetSettings

BUILDERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv", ".arrow": "arrow"}


def read_dataset(settings: DatasetSettings, folder: Path) -> list[Example]:
    """The examples of one split.

    Args:
        settings: which.
        folder: where a relative path starts.

    Raises:
        ExamplesError: it cannot be read, has no such split, needs code of its own, or lacks a column.
    """
    place = folder / settings.name if settings.local else Path(settings.name)
    return examples_of(place, _rows(settings, place), settings.columns)


def _rows(settings: DatasetSettings, place: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and columns of each row; classes by their names."""
    found = _loaded(settings, place)
    names = {
        column: feature
        for column, feature in (found.features or {}).items()
        if type(feature).__name__ == "ClassLabel"
    }
    for number, row in enumerate(found, 1):
        yield number, {key: names[key].int2str(value) if key in names else value for key, value in row.items()}


def _loaded(settings: DatasetSettings, place: Path) -> Any:
    import datasets

    try:
        if not settings.local:
            named = {"name": settings.subset, "split": settings.split, "revision": settings.revision}
            return datasets.load_dataset(settings.name, streaming=True, **named)
        _check_local(place)
        if place.is_file():
            builder = BUILDERS[place.suffix.lower()]
            return datasets.load_dataset(builder, data_files=str(place), split="train", streaming=True)
        if (place / "dataset_dict.json").exists():
            return datasets.load_from_disk(str(place))[settings.split]
        if (place / "state.json").exists():
            return datasets.load_from_disk(str(place))
        return datasets.load_dataset(str(place), name=settings.subset, split=settings.split, streaming=True)
    except ExamplesError:
        raise
    except Exception as error:  # the library raises of every kind
        raise ExamplesError(f"data set {place}, split '{settings.split}': {error}") from None


def _check_local(place: Path) -> None:
    if not place.exists():
        raise ExamplesError(f"data set {place}: there is no such file or folder")
    if place.is_file() and place.suffix.lower() not in BUILDERS:
        raise ExamplesError(f"data set {place}: '{place.suffix}' cannot be read; permitted: {', '.join(BUILDERS)}")
    if place.is_dir() and (scripts := sorted(path.name for path in place.glob("*.py"))):
        raise ExamplesError(
            f"data set {place}: brings code of its own ({', '.join(scripts)}), which is not run; "
            "convert it to parquet, or remove the scripts"
        )
