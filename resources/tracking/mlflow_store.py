"""MLflow as it is told: every call here may be repeated, and does nothing twice.

A run is found by a tag before it is made, a figure has its step and its time, a version of a model its name in the
state database: what was sent just before a kill is found again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resources.tracking.settings import Destination

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

RUN_TAG, VERSION_TAG = "llm_assets.run", "llm_assets.version"
TRAINING = {"mlflow.experimentKind": "custom_model_development"}  # the UI shows curves, and not chats
MOST_CHARS = 5000  # of a tag
MOST_PARAMS = 100  # of one request


class MlflowStore:
    """One MLflow server, or a database of its own on this machine.

    Args:
        destination: where it is.
        source: names the state database that tells: several may tell one server.
    """

    def __init__(self, destination: Destination, source: str) -> None:
        _prepare_environment(destination)
        from mlflow.tracking import MlflowClient

        if destination.artifacts is not None:
            Path(destination.artifacts).mkdir(parents=True, exist_ok=True)
        self._client = MlflowClient(destination.uri, destination.uri)
        self._destination, self._source = destination, source
        self._runs: dict[str, Run] = {}

    def ask(self) -> None:
        """Ask for something small: raises where the server is away."""
        self._client.search_experiments(max_results=1)

    def run(self, run_key: str, name: str, experiment: str) -> Run:
        """The run of a key, made if it is not there. Of two that a lost answer has left, the older one stays."""
        if run_key not in self._runs:
            where = self._experiment(experiment)
            tag = f"{self._source}/{run_key}"
            found = self._client.search_runs(
                [where], f"tags.`{RUN_TAG}` = '{tag}'", order_by=["attributes.start_time ASC"]
            )
            for double in found[1:]:
                self._client.delete_run(double.info.run_id)
            made = found[0] if found else self._client.create_run(where, tags={RUN_TAG: tag}, run_name=name)
            self._runs[run_key] = made
        return self._runs[run_key]

    def forget_run(self, run_key: str) -> None:
        """Look for it again, the next time."""
        self._runs.pop(run_key, None)

    def describe(self, run: Run, params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Set what determines a run and what it is called; the params of a run never change, its tags may."""
        from mlflow.entities import Param, RunTag

        known = run.data.params
        missing = [Param(name, value) for name, value in params.items() if name not in known]
        for start in range(0, max(len(missing), 1), MOST_PARAMS):
            batch = missing[start : start + MOST_PARAMS]
            set_now = [RunTag(name, value[:MOST_CHARS]) for name, value in tags.items()] if start == 0 else []
            self._client.log_batch(run.info.run_id, params=batch, tags=set_now)
        self._client.update_run(run.info.run_id, status="RUNNING")

    def ended(self, run: Run, status: str, at: int) -> None:
        """Set how and when (milliseconds since the epoch) a run ended."""
        self._client.set_terminated(run.info.run_id, status, end_time=at)

    def figures(self, run: Run, values: Sequence[Sequence[Any]]) -> None:
        """Log name, value, step and milliseconds since the epoch; MLflow keeps equal ones once."""
        from mlflow.entities import Metric

        metrics = [Metric(name, float(value), at, step) for name, value, step, at in values]
        self._client.log_batch(run.info.run_id, metrics=metrics)

    def text(self, run: Run, path: str, text: str) -> None:
        """Keep a text as an artifact."""
        self._client.log_text(run.info.run_id, text, path)

    def file(self, run: Run, path: str, file: Path) -> None:
        """Keep a file as an artifact under another name.

        Raises:
            FileNotFoundError: it is gone.
        """
        self.binary(run, path, file.read_bytes())

    def binary(self, run: Run, path: str, content: bytes) -> None:
        """Keep a picture, say, as an artifact."""
        with tempfile.TemporaryDirectory(prefix="llm-assets-tracking-") as folder:
            named = Path(folder) / Path(path).name
            named.write_bytes(content)
            parent = str(Path(path).parent)
            self._client.log_artifact(run.info.run_id, str(named), None if parent == "." else parent)

    def version(self, run: Run, model: str, version: str, tags: Mapping[str, str]) -> ModelVersion:
        """The registered version of a model, made if it is not there."""
        found = self._version(model, version)
        if found is None:
            self._ensure_model(model)
            source = f"{run.info.artifact_uri}/card"
            found = self._client.create_model_version(
                model, source, run_id=run.info.run_id, tags={VERSION_TAG: version, **tags}
            )
        return found

    def alias(self, model: str, alias: str, version: str) -> None:
        """Move an alias.

        Raises:
            LookupError: the version was never registered.
        """
        found = self._version(model, version)
        if found is None:
            raise LookupError(f"{model} has no version {version}")
        self._client.set_registered_model_alias(model, alias, found.version)

    def _version(self, model: str, version: str) -> ModelVersion | None:
        found = self._client.search_model_versions(f"name = '{model}'", max_results=10_000)
        return next((entry for entry in reversed(found) if entry.tags.get(VERSION_TAG) == version), None)

    def _ensure_model(self, model: str) -> None:
        if not self._client.search_registered_models(f"name = '{model}'"):
            self._client.create_registered_model(model)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            folder = self._destination.artifacts
            where = None if folder is None else (Path(folder) / name).as_uri()
            return self._client.create_experiment(name, artifact_location=where, tags=TRAINING)
        if found.lifecycle_stage == "deleted":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id


def _prepare_environment(destination: Destination) -> None:
    """For MLflow, before it is imported: short waits, since what fails is sent later, and nothing goes elsewhere."""
    os.environ |= {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(destination.timeout_seconds),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
