"""`accelerators.yml`: pools, tenants' shares, declared devices, and the rules of the queue."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from resources.accelerators.devices import Kind, Link
from resources.accelerators.units import gb_to_bytes
from resources.config_errors import ConfigError, explain, read_yaml, shown
from resources.profile import CONFIGS, ROOT
from resources.templates import render_env

FILE_VARIABLE = "LLM_ASSETS_ACCELERATORS"  # another accelerators.yml, for a demo or a test
LEDGER_VARIABLE = "LLM_ASSETS_LEDGER_URL"
MOST_GB = 1_000_000  # a petabyte: a larger number is a slip


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class PoolSettings(_Settings):
    """A named request: what a step of this pool asks for."""

    memory_gb: float = Field(gt=0, le=MOST_GB, description="Decimal GB in total, over all of its devices.")
    devices: int | None = Field(default=None, ge=1, le=100_000, description="By default as few as hold the memory.")
    linked: Link | None = Field(default=None, description="true means nvlink: several devices, all linked.")
    share: bool = Field(default=False, description="Other leases may lie on the same device.")
    compute: float | None = Field(
        default=None, gt=0, le=1, description="With share: its part of the device's compute."
    )
    kind: Kind | None = Field(default=None, description="By default an accelerator, or the CPU where there is none.")
    models: list[str] = Field(default_factory=list, description="Names of the catalogue; by default any.")
    cpus: float | None = Field(default=None, gt=0)
    host_memory_gb: float | None = Field(default=None, gt=0, le=MOST_GB)
    priority: int = Field(default=0, ge=-1000, le=1000)
    preemptible: bool = False
    expected_minutes: float | None = Field(default=None, gt=0)
    description: str = ""

    @field_validator("linked", mode="before")
    @classmethod
    def _true_is_nvlink(cls, value: object) -> object:
        return {True: "nvlink", False: None}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _sensible(self) -> PoolSettings:
        if self.share and (self.linked or (self.devices or 1) > 1):
            raise ValueError("share is for one device: leave out linked and devices, or share")
        if self.compute is not None and not self.share:
            raise ValueError("compute is a part of a shared device: set share: true, or leave it out")
        return self

    @property
    def memory(self) -> int:
        """Bytes."""
        return gb_to_bytes(self.memory_gb)


class TenantSettings(_Settings):
    """What a tenant is entitled to. Tenants that are not named have share 1 and no limit of priority."""

    share: float = Field(default=1.0, gt=0, description="In proportion to the other tenants' shares.")
    max_priority: int = Field(default=1000, description="A request above it is refused.")


class DeclaredDevices(_Settings):
    """Devices that are not found by probing: on another host, or pretended."""

    model: str = Field(description="Name in the catalogue.")
    count: int = Field(default=1, ge=1, le=100_000)
    host: str = Field(description="The host they are in.")
    kind: Kind = "gpu"
    memory_gb: float | None = Field(default=None, gt=0, le=MOST_GB, description="Usable; by default the catalogue's.")
    nvlink: str | None = Field(default=None, description="Name of the group linked by NVLink, NVSwitch or ICI.")
    rdma: str | None = None
    site: str | None = None
    shareable: bool = True
    tenants: list[str] | None = Field(default=None, description="Who may use them; by default everybody.")
    pretend: bool = Field(default=False, description="No hardware: for demos and tests; every launcher reaches them.")
    ids: list[str] | None = Field(default=None, description="UUIDs, one a device; by default host/kind<index>.")

    @model_validator(mode="after")
    def _one_id_each(self) -> DeclaredDevices:
        if self.ids is not None and len(self.ids) != self.count:
            raise ValueError(f"ids names {len(self.ids)} devices; count is {self.count}")
        return self


class PolicySettings(_Settings):
    """How a device is chosen among those that will do."""

    name: Literal["first_fit", "best_fit", "topsis"] = "best_fit"
    weights: dict[Literal["response_time", "energy", "cost"], float] = Field(
        default_factory=lambda: {"response_time": 1.0, "energy": 1.0, "cost": 1.0}, description="For topsis."
    )

    @field_validator("weights")
    @classmethod
    def _weigh(cls, weights: dict[str, float]) -> dict[str, float]:
        if min(weights.values(), default=0) < 0 or not any(weights.values()):
            raise ValueError("weights are not negative, and one of them is above 0")
        return weights


class PreemptionSettings(_Settings):
    """When a higher priority may take devices back from `preemptible` leases."""

    enabled: bool = True
    notice_seconds: float = Field(default=60, ge=0, description="Between SIGTERM and SIGKILL: time for a checkpoint.")
    minimum_minutes: float = Field(default=5, ge=0, description="Younger leases are left alone.")


class QueueSettings(_Settings):
    """The rules of the order."""

    raise_priority_minutes: float = Field(default=10, gt=0, description="Waiting so long raises the priority by one.")
    offer_seconds: float = Field(
        default=60, gt=0, description="So long devices are kept for a queued run that Dagster itself does not start."
    )


class Accelerators(_Settings):
    """The whole of `accelerators.yml`."""

    ledger: str | None = Field(default=None, description="SQLAlchemy URL; by default a SQLite file in .state.")
    probe: bool = Field(default=True, description="Register this host's own devices; false: only the declared ones.")
    devices: list[DeclaredDevices] = Field(default_factory=list)
    pools: dict[str, PoolSettings] = Field(default_factory=dict)
    tenants: dict[str, TenantSettings] = Field(default_factory=dict)
    policy: PolicySettings = PolicySettings()
    preemption: PreemptionSettings = PreemptionSettings()
    queue: QueueSettings = QueueSettings()
    enforce: Literal["warn", "kill"] = Field(
        default="warn", description="A lease that uses more memory than it was granted is reported, or ended."
    )
    usd_per_kwh: float | None = Field(default=None, ge=0, description="Price of energy; without it none is added.")
    usd_per_hour: dict[str, float] = Field(default_factory=dict, description="Model to price of a device-hour.")

    @field_validator("pools")
    @classmethod
    def _names(cls, pools: dict[str, PoolSettings]) -> dict[str, PoolSettings]:
        for name in pools:
            if not name or any(char.isspace() or char == "/" for char in name):
                raise ValueError(f"pool '{name}': a name has neither spaces nor slashes")
        return pools

    @model_validator(mode="after")
    def _one_device_an_id(self) -> Accelerators:
        seen: set[str] = set()
        for device in self.devices:
            for name in device.ids or []:
                if name in seen:
                    raise ValueError(f"two devices have the id '{name}'")
                seen.add(name)
        return self

    @property
    def ledger_url(self) -> str:
        """Where the ledger is. One file for all targets: they share this machine's devices."""
        import sqlalchemy as sa

        default = sa.URL.create("sqlite", database=str(ROOT / ".state" / "accelerators" / "ledger.db"))
        return os.environ.get(LEDGER_VARIABLE) or self.ledger or default.render_as_string()

    def tenant(self, name: str) -> TenantSettings:
        """What a tenant is entitled to."""
        return self.tenants.get(name) or TenantSettings()


def configuration_file() -> Path:
    """The accelerators.yml in use."""
    return Path(os.environ.get(FILE_VARIABLE) or CONFIGS / "accelerators.yml")


def pool_problem(pool: str) -> str | None:
    """What is wrong with the name of a pool: the file does not have it."""
    file = configuration_file()
    pools = load_accelerators(file).pools
    known = ", ".join(sorted(pools)) or "none"
    return None if pool in pools else f"{shown(file)} has no pool '{pool}'; pools there: {known}"


def load_accelerators(file: Path | None = None) -> Accelerators:
    """Read and check `accelerators.yml`; read again when the file has changed. A missing file: only defaults.

    Raises:
        ConfigError: with file, line, field and what is permitted there.
    """
    file = file or configuration_file()
    try:
        stamp = file.stat().st_mtime_ns
    except FileNotFoundError:
        if os.environ.get(FILE_VARIABLE):
            raise ConfigError(f"{file}: this file is missing; {FILE_VARIABLE} names it") from None
        return Accelerators()
    return _load(file, stamp)


@lru_cache(maxsize=8)
def _load(file: Path, _stamp: int) -> Accelerators:
    tree = read_yaml(file)
    value: Any = render_env(tree.value, file)
    try:
        return Accelerators.model_validate(value)
    except ValidationError as error:
        raise ConfigError(explain(error, Accelerators, tree, prefix=())) from None
