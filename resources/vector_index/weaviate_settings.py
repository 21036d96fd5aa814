"""Settings of the Weaviate backend: of the server in a profile, of a collection in a corpus."""

from __future__ import annotations

import json
from functools import cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Tokenization = Literal["kagome_ja", "gse", "trigram", "word"]
Quantisation = Literal["rq", "sq", "pq", "bq", "none"]

# What can be changed in a collection that exists; everything else builds a new one.
CHANGEABLE = ("ef", "dynamic_ef_min", "dynamic_ef_max", "dynamic_ef_factor", "filter_strategy")


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackupSettings(_Settings):
    """Backups into a module that the server has, such as backup-filesystem or backup-s3."""

    backend: Literal["filesystem", "s3", "gcs", "azure"] = "filesystem"
    before_deletion: bool = Field(default=False, description="Back a collection up before it is removed.")
    timeout_seconds: float = Field(default=1800, gt=0)


class ServerSettings(_Settings):
    """How a profile's Weaviate is used. Address and keys come from WEAVIATE_URL and WEAVIATE_API_KEY… alone."""

    name: str = Field(
        default="LlmAssets",
        pattern=r"^[A-Z][A-Za-z0-9]{0,31}$",
        description="What every collection and alias of this target begins with, so that several can use one server.",
    )
    grpc_host: str | None = Field(default=None, description="By default the host of WEAVIATE_URL.")
    grpc_port: int | None = Field(default=None, ge=1, le=65535, description="By default 443 with https, else 50051.")
    multi_tenancy: bool = Field(
        default=False,
        description="Tenants share a collection, each with shards of its own, instead of own collections. To change "
        "it later, give the target another name: everything is built anew under it.",
    )
    batch_size: int = Field(default=500, ge=1, le=10_000, description="Objects of one write.")
    concurrent_requests: int = Field(default=2, ge=1, le=64, description="Writes at once.")
    server_side_batching: bool = Field(
        default=False, description="The server paces writes; from 1.36 on, else fixed batches. Not tested here."
    )
    timeout_seconds: float = Field(default=60, gt=0, description="For one request.")
    retry_seconds: float = Field(default=120, ge=0, description="How long a busy or absent server is tried again.")
    backup: BackupSettings = BackupSettings()


class CollectionSettings(_Settings):
    """How Weaviate stores and searches a corpus.

    A change of `ef`, `dynamic_ef_*` or `filter_strategy` is made in place; of anything else, a new collection is
    built, checked and served instead of the old one.
    """

    tokenization: Tokenization = Field(
        default="kagome_ja", description="How text becomes words; trigram needs no dictionary on the server."
    )
    quantisation: Quantisation = Field(default="rq", description="rq: 8 bits a dimension, a quarter of the memory.")
    vector_name: str = Field(default="default", pattern=r"^[_A-Za-z][_0-9A-Za-z]{0,229}$")
    ef_construction: int = Field(default=128, ge=4, le=4096, description="Candidates weighed while building.")
    max_connections: int = Field(default=32, ge=4, le=2047, description="Links of a node in the graph.")
    ef: int = Field(default=-1, ge=-1, description="Candidates of a search; -1: between dynamic_ef_min and _max.")
    dynamic_ef_min: int = Field(
        default=256, ge=1, description="Weaviate's own 100 finds 96 % of the ten nearest of 100,000; 256 finds 99 %."
    )
    dynamic_ef_max: int = Field(default=500, ge=1)
    dynamic_ef_factor: int = Field(default=8, ge=1, description="Candidates per hit that is asked for.")
    filter_strategy: Literal["sweeping", "acorn"] = "acorn"
    shards: int | None = Field(default=None, ge=1, description="By default one per node.")
    replicas: int = Field(default=1, ge=1, description="Copies of each shard.")

    @model_validator(mode="after")
    def _range(self) -> CollectionSettings:
        if self.dynamic_ef_min > self.dynamic_ef_max:
            raise ValueError(
                f"dynamic_ef_min is {self.dynamic_ef_min}: at most dynamic_ef_max ({self.dynamic_ef_max})"
            )
        return self

    @property
    def shape(self) -> str:
        """What a collection is made with, as JSON; empty for the defaults."""
        chosen = self.model_dump(exclude=set(CHANGEABLE), exclude_defaults=True)
        return json.dumps(chosen, sort_keys=True) if chosen else ""

    @property
    def tuning(self) -> str:
        """What can be changed later, as JSON: all of it, so that another default reaches a collection that exists."""
        return json.dumps(self.model_dump(include=set(CHANGEABLE)), sort_keys=True)

    @classmethod
    @cache
    def parse(cls, shape: str, tuning: str) -> CollectionSettings:
        """The settings behind `shape` and `tuning`."""
        return cls(**json.loads(shape or "{}"), **json.loads(tuning or "{}"))
