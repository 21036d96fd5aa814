"""From a defs.yaml to checked settings, with and without Dagster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dagster_shared.yaml_utils.source_position import SourcePositionTree, ValueAndSourcePositionTree
from pydantic import ValidationError

from llm_assets.names import find_source, reference_function, refuse_equal_names
from llm_assets.schema import Described, Settings
from resources.config_errors import ConfigError, explain, place, read_yamls
from resources.profile import CONFIGS, load_vars
from resources.templates import env_var, render, var_function

if TYPE_CHECKING:
    from llm_assets.corpora.settings import CorpusSpec
    from llm_assets.models.settings import FineTuneSettings, FineTuneSpec

S = TypeVar("S", bound=Settings)
Fail = Callable[[tuple[str | int, ...], str], ConfigError]


def read_settings(model: type[S], attributes: Any, positions: SourcePositionTree) -> tuple[S, str, Path, Fail]:
    """Render the templates of a component's attributes and check them.

    Args:
        model: the schema.
        attributes: as they stand in the file.
        positions: of the component in the file.

    Returns:
        The settings, the tenant, the folder of the file, and what makes an error for the value at a path.

    Raises:
        ConfigError: one line for each thing that is wrong: file, line, field, what is permitted.
    """
    folder = Path(positions.position.filename).absolute().parent  # a tenant's folder may be a link to elsewhere
    tenant = tenant_of(folder)
    refuse_equal_names(CONFIGS / tenant)

    def fail(path: tuple[str | int, ...], message: str) -> ConfigError:
        return ConfigError(f"{place(positions, ('attributes', *path))}: {message}")

    if not isinstance(attributes, dict):
        raise fail((), f"fields are needed here; permitted: {', '.join(sorted(model.model_fields))}")
    rendered = render(attributes, _scope(tenant), fail)
    try:
        return model.model_validate(rendered), tenant, folder, fail
    except ValidationError as error:
        tree = ValueAndSourcePositionTree({"attributes": rendered}, positions)
        raise ConfigError(explain(error, model, tree, ("attributes",))) from None


def tenant_of(folder: Path) -> str:
    """The first-level folder of the defs folder that `folder` lies in.

    Raises:
        ConfigError: the file lies at the top, where it would belong to no tenant, or its name cannot be a key.
    """
    parts = folder.relative_to(CONFIGS).parts
    if not parts:
        raise ConfigError(f"{CONFIGS.name}/defs.yaml belongs to no tenant: move it into a folder named after one")
    if not (parts[0].isascii() and parts[0].isidentifier()):
        raise ConfigError(
            f"{CONFIGS.name}/{parts[0]}: the name of a tenant's folder has letters a to z, digits and _ only, "
            "and does not start with a digit"
        )
    return parts[0]


@dataclass(frozen=True)
class Configured:
    """Everything that is configured, of all tenants."""

    corpora: tuple[CorpusSpec, ...]
    fine_tunes: tuple[FineTuneSpec, ...]

    @property
    def settings(self) -> Mapping[str, Described]:
        """`tenant/name` to what YAML says."""
        return {spec.id: spec.settings for spec in (*self.corpora, *self.fine_tunes)}


def configured() -> Configured:
    """What is configured; every file is read once.

    Raises:
        ConfigError: some of it is wrong by itself, or names a corpus that there is not.
    """
    trees = list(_trees("*"))
    found = tuple(_corpora(trees))
    return Configured(found, tuple(_fine_tunes(trees, {spec.id for spec in found})))


def corpora(tenant: str = "*") -> Iterator[CorpusSpec]:
    """Every corpus that is configured, of one tenant or of all, without loading Dagster."""
    return _corpora(_trees(tenant))


def fine_tunes(tenant: str = "*") -> Iterator[FineTuneSpec]:
    """Every fine-tune that is configured, of one tenant or of all, without loading Dagster."""
    return _fine_tunes(_trees(tenant))


def _corpora(trees: Iterable[ValueAndSourcePositionTree]) -> Iterator[CorpusSpec]:
    from llm_assets.corpora.settings import CorpusSettings, CorpusSpec

    for attributes, positions in _components("Corpus", trees):
        settings, owner, folder, _ = read_settings(CorpusSettings, attributes, positions)
        yield CorpusSpec(owner, folder, settings)


def _fine_tunes(
    trees: Iterable[ValueAndSourcePositionTree], known: Collection[str] | None = None
) -> Iterator[FineTuneSpec]:
    from llm_assets.models.settings import FineTuneSettings, FineTuneSpec

    for attributes, positions in _components("FineTune", trees):
        settings, owner, folder, fail = read_settings(FineTuneSettings, attributes, positions)
        if known is not None:
            _refuse_unknown_corpora(settings, owner, known, fail)
        yield FineTuneSpec(owner, folder, settings)


def _refuse_unknown_corpora(settings: FineTuneSettings, tenant: str, known: Collection[str], fail: Fail) -> None:
    """A model reads the chunks of a corpus of its tenant: another model, or itself, has none."""
    answers = settings.answers
    read = {
        ("data", "corpus", "corpus"): settings.data.corpus,
        ("answers", "inputs", "corpus"): answers and answers.inputs,
    }
    for path, part in read.items():
        name = part.corpus if part else None
        if name is not None and f"{tenant}/{name}" not in known:
            own = sorted(one.partition("/")[2] for one in known if one.startswith(f"{tenant}/"))
            raise fail(path, f"tenant '{tenant}' has no corpus '{name}'; its corpora: {', '.join(own) or 'none'}")


def fine_tune_folder(tenant: str, name: str) -> Path | None:
    """The folder of a fine-tune's defs.yaml, where a relative path of its model starts; None where there is none."""
    found = _components("FineTune", _trees(tenant))
    files = (Path(positions.position.filename) for part, positions in found if part.get("name") == name)
    return next((file.absolute().parent for file in files), None)


def _trees(tenant: str) -> Iterator[ValueAndSourcePositionTree]:
    for file in sorted(CONFIGS.glob(f"{tenant}/**/defs.yaml")):
        yield from read_yamls(file)


def _components(kind: str, trees: Iterable[ValueAndSourcePositionTree]) -> Iterator[tuple[Any, SourcePositionTree]]:
    for tree in trees:
        value = tree.value if isinstance(tree.value, dict) else {}
        if str(value.get("type", "")).rpartition(".")[2] == kind:
            yield value.get("attributes") or {}, tree.source_position_tree


def _scope(tenant: str) -> Mapping[str, Any]:
    variables = load_vars()
    return {
        "ref": reference_function(CONFIGS / tenant),
        "source": lambda name: find_source(CONFIGS / tenant, name),
        "var": var_function(variables),
        "vars": variables,
        "env_var": env_var,
    }
