"""What waiting for accelerators costs: a share of one core, processes, and the time of a step that need not wait.

    python -m benchmarks.waiting [--full]

Thirty steps of one run wait for a pool whose devices are held: the run's process is measured for some seconds, then
told to end. A run with one trivial step is timed in a pool of accelerators.yml and in one of Dagster's own. `--full`
measures longer, and the same thirty steps with Dagster's own pool too, for comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import yaml

from benchmarks.common import ROOT, paired, report

STEPS = 30
SETTLE_SECONDS = 5  # each step writes once into the event log that it waits
MOST_SHARE = 0.02  # of a core
MOST_RATIO = 1.1
NO_LOGS = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
DEVICE = {"model": "a100-sxm-80", "memory_gb": 80, "host": "pretended", "pretend": True}
ACCELERATORS = {"probe": False, "devices": [DEVICE], "pools": {"ours": {"memory_gb": 60}}}


def main() -> None:
    """Measure all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="longer, and Dagster's own pools too")
    full = parser.parse_args().full
    with tempfile.TemporaryDirectory() as folder:
        _configure(Path(folder))
        share, children, to_end = _waiting_run("ours", 20 if full else 10)
        stock = _waiting_run("stock", 10)[0] if full else None
        ours, theirs = paired(lambda: _trivial("ours"), lambda: _trivial("stock"), 30 if full else 10)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(
        f"{STEPS} waiting steps: {share:.1%} of a core, {children} processes beside the run's, {to_end:.1f} s to end"
    )
    print(f"a trivial step takes {ratio:.2f} times that in one of Dagster's own pools")
    details = {
        "processes_beside_the_run": children,
        "seconds_to_end_at_sigterm": round(to_end, 2),
        "trivial_step_ratio": round(ratio, 3),
        "trivial_step_ms": round(1000 * statistics.median(ours), 1),
        "share_with_dagsters_own_pools": stock and round(stock, 3),
    }
    holds = share <= MOST_SHARE and children == 0 and ratio <= MOST_RATIO
    report("waiting", round(share, 4), "of a core", f"<= {MOST_SHARE}", holds, details)


def _configure(folder: Path) -> None:
    text = (ROOT / "dagster.yaml").read_text(encoding="utf-8").replace(".state/dagster", str(folder / "state"))
    # What a run prints is otherwise copied by processes of their own, however its steps wait.
    settings = yaml.safe_load(text) | {"compute_logs": NO_LOGS}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    (folder / "accelerators.yml").write_text(yaml.safe_dump(ACCELERATORS), encoding="utf-8")
    os.environ |= {
        "DAGSTER_HOME": str(folder),
        "LLM_ASSETS_ACCELERATORS": str(folder / "accelerators.yml"),
        "LLM_ASSETS_LEDGER_URL": f"sqlite:///{folder / 'ledger.db'}",
    }
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        instance.event_log_storage.set_concurrency_slots("stock", 1)


def _waiting_run(pool: str, seconds: float) -> tuple[float, int, float]:
    """Share of a core and number of children of a run in which all waits, and seconds until it ended at SIGTERM."""
    with _held(pool):
        run = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.waiting_jobs", pool, str(STEPS)],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _until_all_wait(pool)
            time.sleep(SETTLE_SECONDS)
            before, started = _cpu_seconds(run.pid), time.perf_counter()
            time.sleep(seconds)
            share = (_cpu_seconds(run.pid) - before) / (time.perf_counter() - started)
            children = len(Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split())
            told = time.perf_counter()
            run.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):  # with Dagster's own pools it does not end
                run.wait(30)
            return share, children, time.perf_counter() - told
        finally:
            run.kill()
            run.wait()


@contextmanager
def _held(pool: str) -> Iterator[None]:
    """The whole of a pool is held by a step of another run."""
    import dagster as dg

    from benchmarks.waiting_jobs import trivial

    with dg.DagsterInstance.get() as instance:
        run = instance.create_run_for_job(trivial(pool))
        key = next(iter(trivial(pool).nodes)).name
        claimed = instance.event_log_storage.claim_concurrency_slot(pool, run.run_id, key)
        if not claimed.is_claimed:
            raise RuntimeError(f"pool {pool} is not free at the beginning")
        try:
            yield
        finally:
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def _until_all_wait(pool: str) -> None:
    import dagster as dg

    deadline = time.monotonic() + 60
    with dg.DagsterInstance.get() as instance:
        while len(instance.event_log_storage.get_concurrency_info(pool).pending_steps) < STEPS + 1:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the steps of pool {pool} do not wait")
            time.sleep(0.1)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime: see proc(5)


def _trivial(pool: str) -> None:
    import dagster as dg

    from benchmarks.waiting_jobs import trivial

    with dg.DagsterInstance.get() as instance:
        if not trivial(pool).execute_in_process(instance=instance).success:
            raise RuntimeError(f"the step of pool {pool} failed: {json.dumps(pool)}")


if __name__ == "__main__":
    main()
