"""What the assets of a corpus and of a fine-tune share: keys, groups, tags, one run at a time, plain errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import dagster as dg
from pydantic import BaseModel

from llm_assets.reporting import clear_failures
from llm_assets.schema import Described
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json

if TYPE_CHECKING:
    from resources.platform import Platform

DATA_VERSION_TAG = "dagster/data_version"
Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


@dataclass(frozen=True)
class Stages:
    """The stages of one corpus or model of a tenant.

    Attributes:
        kind: `corpus` or `model`: the name of its tag, and of its lock.
        tenant: whose it is.
        settings: name, description, owners and tags from YAML.
    """

    kind: Literal["corpus", "model"]
    tenant: str
    settings: Described

    @property
    def id(self) -> str:
        """`tenant/name`."""
        return f"{self.tenant}/{self.settings.name}"

    def key(self, stage: str) -> dg.AssetKey:
        """The asset key of a stage: tenant, name, stage."""
        return dg.AssetKey([self.tenant, self.settings.name, stage])

    def common(self, stage: str, description: str) -> dict[str, Any]:
        """What every kind of asset says of a stage."""
        settings = self.settings
        return {
            "key": self.key(stage),
            "group_name": f"{self.tenant}_{settings.name}",
            "owners": settings.owners or None,
            "tags": {"tenant": self.tenant, self.kind: settings.name, "stage": stage, **settings.tags},
            "description": "\n\n".join(part for part in (description, settings.description) if part),
        }

    def asset(
        self,
        stage: str,
        description: str,
        *,
        after: Sequence[dg.AssetKey],
        kinds: set[str],
        version: Sequence[Any],
        checks: Sequence[dg.AssetCheckSpec] | None = None,
    ) -> Decorator:
        """The decorator of a stage.

        Args:
            stage: its name.
            description: what its table contains.
            after: the assets it reads.
            kinds: shown in the UI.
            version: settings and code versions whose change makes its result stale.
            checks: that it reports itself.
        """
        parts = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in version]
        decorator = dg.asset(
            **self.common(stage, description),
            kinds=kinds,
            deps=list(after),
            code_version=digest_json(parts)[:12],
            check_specs=checks,
        )
        return cast("Decorator", decorator)

    @contextmanager
    def hold(self, context: dg.AssetExecutionContext, platform: PlatformResource) -> "Iterator[Platform]":
        """One stage at a time, whoever runs it; errors that people can mend are said plainly."""
        opened = platform.open()

        def waiting(_name: str) -> None:
            context.log.info(f"another run works on {self.id}; waiting for it")

        with clear_failures(self.id), opened.state.lock(f"{self.kind}/{self.id}", on_wait=waiting):
            yield opened

    def observed(
        self, context: dg.AssetExecutionContext, stage: str, version: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Say which state of a source this step has read, so that its result counts as fresh."""
        key = self.key(stage)
        context.log_event(dg.AssetObservation(key, metadata=metadata, tags={DATA_VERSION_TAG: version}))
        # The source's version was looked up before the step; it is looked up again when the result is recorded.
        context.get_step_execution_context().wipe_input_asset_version_info(key)
