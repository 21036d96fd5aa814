"""What is done about finished runs: failures are told once, and tried again where that can help.

Everything is remembered in the state database, in one transaction a run: what was told is not told again, and a retry
that is due survives a restart. Only one process at a time works here (the lock `WATCH`), however many daemons run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from llm_assets.failures import ADVICE, OUTAGES, RETRIED, Failure, Kind, failure_of
from llm_assets.reexecution import (
    SOURCE_TAG,
    CannotRetry,
    first_run,
    retries_before,
    retry,
    was_overtaken,
    was_tried_again,
)
from resources.alerts import Alert, Alerts
from resources.state import now
from resources.state_schema import finished_runs, pins

if TYPE_CHECKING:
    import dagster as dg

    from resources.alerts.settings import RetrySettings
    from resources.platform import Platform

WATCH = "run_watch"
OVERLAP_SECONDS = 300.0  # looked at again each time: another host's clock, a transaction that is committed late
FIRST_SECONDS = 3600.0  # how far back the first look goes
MOST_RUNS = 200  # of one look
LATER = 4  # each further retry waits so many times as long
KEPT_SECONDS = 7 * 86_400.0


@dataclass(frozen=True)
class Watch:
    """One look at the runs of an instance.

    Args:
        instance: whose runs.
        platform: whose state database remembers.
        repository: the code location's, for retries.
    """

    instance: dg.DagsterInstance
    platform: Platform
    repository: dg.RepositoryDefinition

    @property
    def alerts(self) -> Alerts:
        """Of the platform's target."""
        return Alerts(self.platform)

    def look(self, since: float) -> float:
        """Handle the runs that finished after `since`, and the retries that are due. Where the next look begins."""
        records = self._finished(since)
        known = self._known(record.dagster_run.run_id for record in records)
        for record in records:
            if record.dagster_run.run_id not in known:
                self._handle(record.dagster_run)
        self._retry_due()
        self._tell_pins()
        self._tidy()
        latest = max((record.update_timestamp.timestamp() for record in records), default=since)
        return max(since, latest if len(records) == MOST_RUNS else min(latest, time.time() - OVERLAP_SECONDS))

    def _finished(self, since: float) -> Sequence[dg.RunRecord]:
        import dagster as dg

        states = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
        after = datetime.fromtimestamp(since, tz=UTC)
        return self.instance.get_run_records(
            dg.RunsFilter(statuses=states, updated_after=after),
            limit=MOST_RUNS,
            order_by="update_timestamp",
            ascending=True,
        )

    def _known(self, run_ids: Iterable[str]) -> set[str]:
        asked = sa.select(finished_runs.c.run_id).where(finished_runs.c.run_id.in_(list(run_ids)))
        return {row["run_id"] for row in self.platform.state.rows(asked)}

    def _handle(self, run: dg.DagsterRun) -> None:
        """Remember a run, and what is to be told of it, as one transaction."""
        failure, told = self._read(run)
        due = self._retry_at(run, failure) if failure else None
        if failure and not (failure.kind is Kind.CHECK_FAILED and told):
            tried, event = self._tried(run, failure, due), event_of(self.instance, run, failure)
            told.append(run_alert(run, failure, tried, self.alerts, event=event, retried=due is not None))
        row = {
            "run_id": run.run_id,
            "kind": failure.kind.value if failure else None,
            "retry_at": due,
            "retried_as": None,
            "seen_at": now(),
        }
        with self.platform.state.write() as connection:
            self.platform.state.put_in(connection, finished_runs, [row])
            for alert in told:
                self.alerts.send(alert, connection)

    def _read(self, run: dg.DagsterRun) -> tuple[Failure | None, list[Alert]]:
        """Why it failed, if it did, and the alerts of its checks. A log that cannot be read stops no other run's."""
        try:
            told = list(failed_checks(self.instance, run, self.alerts))
            return failure_of(self.instance, run) if run.is_failure else None, told
        except Exception as error:
            unread = Failure(Kind.CODE, (), f"its event log cannot be read ({type(error).__name__})")
            return unread if run.is_failure else None, []

    def _retry_at(self, run: dg.DagsterRun, failure: Failure) -> float | None:
        if dagster_retries(self.instance, run) or run.remote_job_origin is None:
            return None
        wait = pause_before(failure.kind, retries_before(run), self.platform.profile.retries)
        return None if wait is None else time.time() + wait

    def _tried(self, run: dg.DagsterRun, failure: Failure, due: float | None) -> str:
        """What was done about a failure, and what will be."""
        before, most = retries_before(run), self.platform.profile.retries.most
        done = f"{before} {'retry' if before == 1 else 'retries'}" if before else ""
        if due is not None:
            at = datetime.fromtimestamp(due, tz=UTC)
            return "; ".join(filter(None, [done, f"retry {before + 1} of {most} at {at:%H:%M:%S} UTC"]))
        if dagster_retries(self.instance, run):
            return "Dagster's run_retries decide about a retry"
        if failure.kind not in RETRIED:
            return "; ".join(filter(None, [done, "no further retry: it would fail again"]))
        if run.remote_job_origin is None:
            return "no retry: it was started by a one-shot command"
        return done or "no retry: retries.most is 0"

    def _retry_due(self) -> None:
        waiting = sa.select(finished_runs.c.run_id).where(
            finished_runs.c.retry_at <= now(), finished_runs.c.retried_as.is_(None)
        )
        for row in self.platform.state.rows(waiting.order_by(finished_runs.c.retry_at)):
            self._retry(row["run_id"])

    def _retry(self, run_id: str) -> None:
        run = self.instance.get_run_by_id(run_id)
        if run is None:
            return self._retried_as(run_id, "none: its record was deleted")
        if was_tried_again(self.instance, run):
            return self._retried_as(run_id, "none: somebody else has re-executed it")
        if was_overtaken(self.instance, run):
            return self._retried_as(run_id, "none: a newer run of its source does it")
        try:
            return self._retried_as(run_id, retry(self.instance, self.repository, run))
        except CannotRetry as error:
            self.alerts.send(not_retried_alert(run, str(error), self.alerts))
            return self._retried_as(run_id, f"none: {error}")

    def _retried_as(self, run_id: str, what: str) -> None:
        with self.platform.state.write() as connection:
            changed = sa.update(finished_runs).where(finished_runs.c.run_id == run_id)
            connection.execute(changed.values(retried_as=what))

    def _tidy(self) -> None:
        """What is older than any look goes back; but not a retry that waits."""
        old = finished_runs.c.seen_at < now() - KEPT_SECONDS
        waits = finished_runs.c.retry_at.is_not(None) & finished_runs.c.retried_as.is_(None)
        if self.platform.state.first(sa.select(finished_runs.c.run_id).where(old, ~waits).limit(1)):
            with self.platform.state.write() as connection:
                connection.execute(sa.delete(finished_runs).where(old, ~waits))

    def _tell_pins(self) -> None:
        for row in self.platform.state.rows(sa.select(pins)):
            self.alerts.send(pin_alert(**row))


def pause_before(kind: Kind, before: int, settings: RetrySettings) -> float | None:
    """Seconds until a failed run is tried again; None: it is not.

    Args:
        kind: of its failure.
        before: how many retries there were.
        settings: how many there may be, and how long the first waits.
    """
    if kind not in RETRIED or before >= settings.most:
        return None
    return settings.after_seconds * LATER**before


def dagster_retries(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether Dagster's own `run_retries` care for a run: then nothing here does."""
    return instance.run_retries_enabled or "dagster/max_retries" in run.tags


def event_of(instance: dg.DagsterInstance, run: dg.DagsterRun, failure: Failure) -> str:
    """Names what a failure is part of: a run and its retries, or all runs of a source that one outage has failed."""
    import dagster as dg

    source = run.tags.get(SOURCE_TAG)
    if source is None or failure.kind not in OUTAGES:
        return f"run/{first_run(run)}"
    succeeded = dg.RunsFilter(tags={SOURCE_TAG: source}, statuses=[dg.DagsterRunStatus.SUCCESS])
    last = next(iter(instance.get_run_records(succeeded, limit=1)), None)
    return f"outage/{source}/{failure.kind}/{last.dagster_run.run_id if last else 'first'}"


def run_alert(
    run: dg.DagsterRun, failure: Failure, tried: str, alerts: Alerts, *, event: str, retried: bool
) -> Alert:
    """What is told of a failed run.

    Of an event the first failure is told, and the end of the first retries if they did not help.
    """
    tenants = sorted({asset.partition("/")[0] for asset in failure.assets})
    whose = f"{', '.join(tenants)}: " if tenants else ""
    last = retries_before(run) > 0 and not retried
    return Alert(
        key=event + ("/end" if last else ""),
        title=f"{whose}{'retries of a run' if last else 'a run'} of {_name(run)} failed: {failure.kind.words}",
        severity="warning" if retried else "error",
        what=failure.said,
        tried=tried,
        advice=ADVICE[failure.kind],
        tenant=tenants[0] if len(tenants) == 1 else None,
        assets=failure.assets,
        run_id=run.run_id,
        link=alerts.run_link(run.run_id),
    )


def not_retried_alert(run: dg.DagsterRun, why: str, alerts: Alerts) -> Alert:
    """What is told where a retry was due and cannot be done."""
    return Alert(
        key=f"run/{first_run(run)}/end",
        title=f"a run of {_name(run)} failed, and cannot be tried again",
        what=why,
        advice="materialise its assets anew",
        run_id=run.run_id,
        link=alerts.run_link(run.run_id),
    )


def failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun, alerts: Alerts) -> Iterator[Alert]:
    """An alert for each asset check of severity error that failed in a run."""
    import dagster as dg

    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        found = entry.asset_check_evaluation
        if found is None or found.passed or found.severity is not dg.AssetCheckSeverity.ERROR:
            continue
        asset, name = "/".join(found.asset_key.path), found.check_name
        yield Alert(
            key=f"check/{run.run_id}/{asset}/{name}",
            title=f"{found.asset_key.path[0]}: check {name} of {asset} failed",
            tried="what is downstream of it was not built" if run.is_failure else "",
            advice=ADVICE[Kind.CHECK_FAILED],
            tenant=found.asset_key.path[0],
            assets=(asset,),
            run_id=run.run_id,
            link=alerts.run_link(run.run_id),
        )


def pin_alert(tenant: str, kind: str, name: str, pinned_at: float) -> Alert:
    """What is told of an index or model that does not follow its builds."""
    return Alert(
        key=f"pin/{tenant}/{kind}/{name}/{pinned_at:.0f}",
        title=f"{tenant}: {kind} {tenant}/{name} is pinned; builds go on, but are not served",
        severity="warning",
        advice=f"llm-assets resume {kind} {tenant}/{name}, once builds are to be served again",
        tenant=tenant,
    )


def _name(run: dg.DagsterRun) -> str:
    return "assets" if run.job_name.startswith("__ASSET_JOB") else f"job {run.job_name}"
