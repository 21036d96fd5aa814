"""Where experiments are tracked, in `profiles.yml`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

URI_VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE, ARTIFACTS = "mlflow.db", "artifacts"

_SIGNED = re.compile(r"(?<=://)[^\s/?#]*@")  # user and password of an address, however they are quoted


class TrackingSettings(BaseModel):
    """MLflow, which mirrors what the state database knows. User and password stand in MLFLOW_TRACKING_USERNAME and
    MLFLOW_TRACKING_PASSWORD, a token in MLFLOW_TRACKING_TOKEN, as MLflow reads them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = Field(default=True, description="Whether MLflow is told of trainings and promotions.")
    uri: str | None = Field(
        default=None,
        description=f"Of an MLflow server; by default {URI_VARIABLE}, and without that a database in state_dir.",
    )
    timeout_seconds: int = Field(default=10, ge=1, description="How long one request may take.")

    def destination(self, state_dir: Path) -> Destination:
        """Where it is told.

        Args:
            state_dir: of the target; holds the local database.
        """
        uri = self.uri or os.environ.get(URI_VARIABLE)
        if uri:
            return Destination(uri, None, self.timeout_seconds)
        folder = (state_dir / "tracking").absolute()
        return Destination(f"sqlite:///{folder / DATABASE}", str(folder / ARTIFACTS), self.timeout_seconds)


@dataclass(frozen=True)
class Destination:
    """An MLflow server, or the local database.

    Attributes:
        uri: as MLflow reads it.
        artifacts: folder of the artifacts; None where the server decides.
        timeout_seconds: of one request.
    """

    uri: str
    artifacts: str | None
    timeout_seconds: int

    @property
    def shown(self) -> str:
        """The address without a password."""
        return _SIGNED.sub("", self.uri)

    def safe(self, text: str) -> str:
        """What a library says, without a password: requests and MLflow put the whole address into their words."""
        signed = _SIGNED.search(self.uri)
        return _SIGNED.sub("", text.replace(signed[0], "") if signed else text)

    @property
    def local(self) -> bool:
        """Whether it is the database in state_dir."""
        return self.artifacts is not None
