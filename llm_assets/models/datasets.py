"""Examples from a data set of the `datasets` library: on a hub, or a local folder or file. Its code is never run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_assets.models.examples import Example, ExamplesError, examples_of
from resources.sources.local import LocalFolder, one_file
from resources.sources.selection import Selection

if TYPE_CHECKING:
    from llm_assets.models.settings.data import DatasetSettings
    from resources.sources import SourceFile

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


def dataset_files(place: Path) -> list[SourceFile]:
    """The files of a local data set: their names, sizes and times.

    Raises:
        SourceError: it is not there, or cannot be listed completely.
    """
    return [one_file(place)] if place.is_file() else LocalFolder(place.name, str(place), Selection()).list()


def _rows(settings: DatasetSettings, place: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and columns of each row; classes by their names."""
    with _plainly(settings, place):  # a file of many is opened, and a connection lost, only when its rows are read
        found = _loaded(settings, place)
        classes = {
            column: feature
            for column, feature in (found.features or {}).items()
            if type(feature).__name__ == "ClassLabel"
        }
        for number, row in enumerate(found, 1):
            where = f"data set {place}, row {number}"
            yield (
                number,
                {key: _named(classes.get(key), value, f"{where}: column '{key}'") for key, value in row.items()},
            )


def _named(classes: Any, value: Any, where: str) -> Any:
    """A value, or the name of a class."""
    if classes is None or value is None:
        return value
    if not 0 <= value < classes.num_classes:
        raise ExamplesError(f"{where} is class {value}, which has no name: the row has no label; leave such rows out")
    return classes.int2str(value)


def _loaded(settings: DatasetSettings, place: Path) -> Any:
    import datasets

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


@contextmanager
def _plainly(settings: DatasetSettings, place: Path) -> Iterator[None]:
    """The library's errors, which are of every kind, as ours; of one that says nothing, its cause."""
    try:
        yield
    except ExamplesError:
        raise
    except Exception as error:
        said = str(error.__cause__ or error)
        raise ExamplesError(f"data set {place}, split '{settings.split}': {said}") from error


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
