"""What the assets of a corpus and of a fine-tune share: keys, groups, tags, one run at a time, plain errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import dagster as dg
from pydantic import BaseModel

from llm_assets.columns import columns_of
from llm_assets.corpora.buckets import WHOLE, Buckets, bucket_keys
from llm_assets.following import condition, freshness
from llm_assets.reporting import clear_failures
from llm_assets.schema import Described
from resources.accelerators.configuration import load_accelerators
from resources.dagster_platform import PlatformResource
from resources.digests import digest_json

if TYPE_CHECKING:
    from resources.accelerators.held import HeldLease
    from resources.accelerators.resource import AcceleratorResource
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
            "tags": {**settings.tags, "tenant": self.tenant, self.kind: settings.name, "stage": stage},
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
        pool: str | None = None,
        config: dg.Field | None = None,
        asks: Mapping[str, str] | None = None,
        buckets: int = 1,
    ) -> Decorator:
        """The decorator of a stage.

        Args:
            stage: its name.
            description: what its table contains.
            after: the assets it reads.
            kinds: shown in the UI.
            version: settings and code versions whose change makes its result stale.
            checks: that it reports itself.
            pool: of accelerators.yml, for a stage that computes on a device; its function uses `leased`.
            config: what one run may change: `launchpad.config_of`; its function reads it by `launchpad.applied`.
            asks: tags that refine what its pool is asked for: `accelerator/memory_gb`.
            buckets: partitions; its function works on `buckets_of(context)`.
        """
        parts = [part.model_dump(mode="json") if isinstance(part, BaseModel) else part for part in version]
        common, on_device = self.common(stage, description), pool_tags(pool)
        common["tags"] |= on_device
        decorator = dg.asset(
            **common,
            kinds=kinds,
            deps=list(after),
            code_version=digest_json(parts)[:12],
            check_specs=checks,
            pool=pool,
            config_schema=config,
            metadata=columns_of(stage),
            partitions_def=dg.StaticPartitionsDefinition(bucket_keys(buckets)) if buckets > 1 else None,
            automation_condition=condition(self.settings, self.key(stage)),
            freshness_policy=freshness(self.settings),
            op_tags={"tenant": self.tenant, **on_device, **(asks or {})} if pool else None,
        )
        return cast("Decorator", decorator)

    @contextmanager
    def hold(
        self, context: dg.AssetExecutionContext, platform: PlatformResource, buckets: Buckets = WHOLE
    ) -> "Iterator[Platform]":
        """One stage (of a bucket) at a time, whoever runs it; errors that people can mend are said plainly."""
        opened, name = platform.open(), f"{self.kind}/{self.id}"
        parted = buckets.chosen is not None

        def waiting(_name: str) -> None:
            context.log.info(f"another run works on {self.id}; waiting for it")

        with clear_failures(self.id), ExitStack() as locks:
            locks.enter_context(opened.state.lock(name, on_wait=waiting, shared=parted))
            for key in buckets.keys if parted else ():
                locks.enter_context(opened.state.lock(f"{name}/{key}", on_wait=waiting))
            yield opened

    @contextmanager
    def leased(
        self,
        context: dg.AssetExecutionContext,
        platform: PlatformResource,
        accelerator: "AcceleratorResource",
        pool: str,
        buckets: Buckets = WHOLE,
        asks: Mapping[str, str] | None = None,
    ) -> "Iterator[tuple[Platform, HeldLease]]":
        """As `hold`, with devices. The lease comes first: whoever holds the lock never waits for a device."""
        with (
            clear_failures(self.id),
            accelerator.lease(context, pool=pool, asks=asks) as held,
            self.hold(context, platform, buckets) as opened,
        ):
            yield opened, held

    def observed(
        self, context: dg.AssetExecutionContext, stage: str, version: str, metadata: Mapping[str, Any] | None = None
    ) -> None:
        """Say which state of a source this step has read, so that its result counts as fresh."""
        key = self.key(stage)
        context.log_event(dg.AssetObservation(key, metadata=metadata, tags={DATA_VERSION_TAG: version}))
        # The source's version was looked up before the step; it is looked up again when the result is recorded.
        context.get_step_execution_context().wipe_input_asset_version_info(key)


def buckets_of(context: dg.AssetExecutionContext, count: int) -> Buckets:
    """The buckets of a run's partitions, of `count` in all; a stage without partitions works on the whole corpus."""
    return Buckets.of_keys(count, context.partition_keys) if count > 1 else WHOLE


def pool_tags(pool: str | None) -> dict[str, str]:
    """Plain tags, by which stock Dagster can limit what our storage would: see `tag_concurrency_limits`."""
    if pool is None:
        return {}
    settings = load_accelerators().pools.get(pool)
    kind = {"accelerator/kind": settings.kind} if settings and settings.kind else {}
    return {"accelerator/pool": pool, **kind}
