"""Guards against a person on call who cannot see who holds a device, why a run waits, or what a command has done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from resources.accelerators.ledger.liveness import process_of
from tests.conftest import CHECKOUT
from tests.resources.accelerators.seen.conftest import Cluster

Command = Callable[..., tuple[int, str, str]]


def test_status_shows_devices_holders_and_who_waits_with_the_reason(cluster: Cluster, accelerators: Command) -> None:
    lease = cluster.held("tuned_model")
    cluster.held("bert", "embed")
    assert cluster.claim("big", "full", tenant="acme", priority=3) is None
    code, out, _ = accelerators("status")
    assert code == 0
    assert lease.id[:8] in out
    assert "acme/tuned_model" in out
    assert "4 GB of 85.5 GB" in out
    waiting = out[out.index("WAITING") :].splitlines()
    assert waiting[1].strip().startswith("1. acme/big (full, tenant acme, priority 3; step waits")
    assert "3" in waiting[2], f"not said what it waits for: {waiting}"


def test_status_as_json_has_the_order_the_reason_and_the_holders(cluster: Cluster, accelerators: Command) -> None:
    held = [cluster.held(f"run{number}") for number in range(4)]
    cluster.claim("low")
    cluster.claim("high", priority=5)
    found = json.loads(accelerators("status", "--json")[1])
    assert [one["asset"] for one in found["waiting"]] == ["acme/high", "acme/low"]
    assert all(one["why"] for one in found["waiting"])
    by_id = {lease["lease"]: lease for lease in found["leases"]}
    assert by_id[held[0].id]["holders"] == [
        {"host": by_id[held[0].id]["holders"][0]["host"], "pid": os.getpid(), "alive": True}
    ]
    gpus = [device for device in found["devices"] if device["kind"] == "gpu"]
    assert [device["used_bytes"] == device["memory_bytes"] for device in gpus] == [True] * 4


def test_status_of_an_empty_ledger_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerators: Command
) -> None:
    monkeypatch.setenv("LLM_ASSETS_LEDGER_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert "accelerators register" in accelerators("status")[1]


def test_explain_names_the_devices_it_would_get_and_takes_none(cluster: Cluster, accelerators: Command) -> None:
    code, out, _ = accelerators("explain", "full")
    assert code == 0
    assert "Now it would get node/gpu0, node/gpu1, node/gpu2." in out
    assert not cluster.ledger.view().leases
    assert not cluster.ledger.view().waiting


def test_explain_says_what_excludes_each_device_and_that_it_would_wait(
    cluster: Cluster, accelerators: Command
) -> None:
    cluster.held("tuned_model")
    accelerators("drain", "node/gpu3", "--reason", "ECC errors")
    code, out, _ = accelerators("explain", "full")
    assert code == 3
    assert "It would wait: " in out
    assert "ECC errors" in out
    assert "has 2 free devices with 171 GB; 180 GB is asked for" in out
    plain = json.loads(accelerators("explain", "full", "--json")[1])
    assert plain["granted_now"] == []
    assert plain["why"]
    assert not cluster.ledger.view().waiting


def test_explain_says_never_and_why(cluster: Cluster, accelerators: Command) -> None:
    code, out, _ = accelerators("explain", "lora", "--memory-gb", "900")
    assert code == 1
    assert "NEVER" in out
    assert "900 GB" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["explain", "loar"], "pool 'loar' is not in"),
        (["explain", "lora", "--priority", "high"], "'high' is not permitted"),
        (["drain", "node/gpu9"], "no device 'node/gpu9'"),
        (["release", "none"], "no live lease 'none'"),
        (["usage", "--since", "yesterday"], "--since yesterday"),
        (["usage", "--since", "1h", "--until", "2h"], "is not before"),
        (["gantt", "--out", "/nowhere/at/all.png"], "/nowhere/at/all.png"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_1(
    cluster: Cluster, accelerators: Command, arguments: list[str], told: str
) -> None:
    code, _, error = accelerators(*arguments)
    assert code == 1
    assert told in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_broken_accelerators_yml_is_said_with_its_line(cluster: Cluster, accelerators: Command) -> None:
    cluster.file.write_text("pools:\n  lora: {memory_gb: -1}\n", encoding="utf-8")
    code, _, error = accelerators("status")
    assert code == 1
    assert "accelerators.yml:2" in error


def test_a_drained_device_gets_nothing_until_it_is_undrained(cluster: Cluster, accelerators: Command) -> None:
    for number in range(4):
        assert accelerators("drain", f"node/gpu{number}")[0] == 0
    assert cluster.claim("late") is None
    assert accelerators("undrain", "node/gpu2")[0] == 0
    assert [share.device for share in cluster.held("late").shares] == ["node/gpu2"]
    assert "still on it: acme/late" in accelerators("drain", "node/gpu2")[1]


def test_run_flags_print_a_lease_for_containers(cluster: Cluster, accelerators: Command) -> None:
    lease = cluster.held("tuned_model")
    code, out, _ = accelerators("run-flags", lease.id[:12], "--docker")
    assert code == 0
    assert f"LLM_ASSETS_LEASE={lease.id}" in out
    limits = json.loads(accelerators("run-flags", lease.id, "--kubernetes")[1])["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert "holds no TPU" in accelerators("run-flags", lease.id, "--tpu")[2]


def test_release_frees_the_lease_of_nobody(cluster: Cluster, accelerators: Command) -> None:
    lease = cluster.held("tuned_model")
    code, out, _ = accelerators("release", lease.id)
    assert code == 0
    assert "node/gpu0: free" in out
    assert cluster.ledger.lease(lease.id) is None


def test_release_keeps_the_devices_while_a_process_of_it_lives_and_names_it(
    cluster: Cluster, accelerators: Command
) -> None:
    lease = cluster.held("tuned_model")
    child = subprocess.Popen(["sleep", "60"], env={**os.environ, "LLM_ASSETS_LEASE": lease.id})
    try:
        process = process_of(child.pid)
        assert process is not None
        cluster.ledger.attach(lease.id, process)
        code, out, _ = accelerators("release", lease.id)
        assert code == 3
        assert f"pid {child.pid}" in out
        left = cluster.ledger.lease(lease.id)
        assert left is not None
        assert left.state == "ending"
        assert "ENDING" in accelerators("status")[1]
    finally:
        child.kill()
        child.wait()


def test_the_agent_registers_says_what_is_lost_and_ends_on_sigterm(cluster: Cluster, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "resources.accelerators.cli", "register", "--watch", "1"]
    said = tmp_path / "said"
    with said.open("wb") as output:
        agent = subprocess.Popen(command, cwd=CHECKOUT, stdout=output, stderr=subprocess.STDOUT)
    try:
        _until(lambda: "devices registered" in said.read_text(), agent)
        cluster.file.write_text(cluster.file.read_text().replace("count: 4", "count: 3"), encoding="utf-8")
        _until(lambda: "LOST: node/gpu3" in said.read_text(), agent)
        assert cluster.ledger.view().devices["node/gpu3"].state == "lost"
        agent.send_signal(signal.SIGTERM)
        assert agent.wait(10) == 0
    finally:
        agent.kill()
        agent.wait()


def test_the_catalogue_prints_what_is_known(accelerators: Command) -> None:
    assert "h100-sxm-80" in accelerators("catalogue")[1]
    models = {model["name"]: model for model in json.loads(accelerators("catalogue", "--json")[1])}
    assert models["b200"]["memory"] > 180e9


def _until(fact: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not fact():
        assert process.poll() is None, "the agent has ended"
        assert time.monotonic() < deadline, "it has not come to pass"
        time.sleep(0.05)
