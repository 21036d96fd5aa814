"""A server that is down, hangs, restarts or fails, and a sender that is killed: nothing is lost, doubled or stuck."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resources import state_schema as schema
from resources.platform import Platform
from resources.profile import Profile
from resources.tracking import outbox, relay
from resources.tracking.delivery import Delivery, Where
from resources.tracking.settings import TrackingSettings
from resources.tracking.tracker import Tracker
from tests.polling import until
from tests.resources.tracking.conftest import Server

pytestmark = pytest.mark.long  # a server starts in several seconds, and is started again here

KEY, EXPERIMENT = "acme/m/1", "acme/m"
DEADLINE = 120


def where(platform: Platform) -> Where:
    profile = platform.profile
    return Where(profile.url, profile.state_dir / "locks", profile.tracking.destination(profile.state_dir))


def tell(platform: Platform, steps: range = range(1, 4), key: str = KEY) -> Tracker:
    """A run with figures, a card and a promotion."""
    tracker = Tracker.of(platform)
    tracker.run_started(key, "m 1", {"rank": 8}, {"tenant": "acme"}, experiment=_experiment(platform))
    for step in steps:
        tracker.metrics(key, step, {"loss": 1.0 / step})
    tracker.evaluated(key, "digest", {"accuracy": 0.5}, lambda: {"card/levels.png": b"picture"})
    tracker.ended(key, "FINISHED")
    tracker.artifact(key, "card/README.md", "# m")
    with platform.state.write() as connection:
        tracker.registered_in(connection, key, _model(platform), f"version-of-{key}", {})
    return tracker


def _experiment(platform: Platform) -> str:
    return f"{EXPERIMENT}-{platform.profile.state_dir.parent.name}"  # tests share the server


def _model(platform: Platform) -> str:
    return f"acme.{platform.profile.state_dir.parent.name}"


class Seen:
    """What MLflow shows of what a platform has told."""

    def __init__(self, platform: Platform) -> None:
        from mlflow.tracking import MlflowClient

        uri = where(platform).destination.uri
        self.client = MlflowClient(uri, uri)
        found = self.client.get_experiment_by_name(_experiment(platform))
        assert found is not None
        self.runs = self.client.search_runs([found.experiment_id])
        self.model = _model(platform)

    def steps(self) -> list[tuple[int, float]]:
        (run,) = self.runs
        return [(m.step, m.value) for m in self.client.get_metric_history(run.info.run_id, "loss")]

    def promoted(self) -> str:
        return self.client.get_model_version_by_alias(self.model, "promoted").tags["llm_assets.version"]

    def versions(self) -> int:
        return len(self.client.search_model_versions(f"name = '{self.model}'"))

    def artifacts(self) -> list[str]:
        return [entry.path for entry in self.client.list_artifacts(self.runs[0].info.run_id, "card")]


def whole(platform: Platform, steps: int) -> None:
    """Everything has arrived, once."""
    seen = Seen(platform)
    assert seen.steps() == [(step, pytest.approx(1.0 / step)) for step in range(1, steps + 1)]
    assert seen.runs[0].data.params == {"rank": "8"}
    assert seen.runs[0].info.status == "FINISHED"
    assert seen.artifacts() == ["card/README.md", "card/levels.png"]
    assert (seen.promoted(), seen.versions()) == (f"version-of-{KEY}", 1)
    assert outbox.first(platform.state) is None
    assert outbox.refused(platform.state) == []


def deliver(platform: Platform) -> None:
    """Send until nothing waits, on however busy a machine."""
    delivery = Delivery(where(platform))

    def nothing_waits() -> bool:
        delivery.run()
        return outbox.first(platform.state) is None

    until(
        nothing_waits,
        "it is sent",
        seconds=DEADLINE,
        told=lambda: str(outbox.heard(platform.state, where(platform).destination.shown)),
    )


def test_a_server_is_told_everything_and_sending_it_again_changes_nothing(told: Platform) -> None:
    tell(told)
    first = outbox.first(told.state)
    assert first is not None
    deliver(told)
    whole(told, 3)
    with told.state.write() as connection:
        outbox.note(connection, KEY, "run", {"params": {"rank": "8"}, "tags": {}})
        Tracker.of(told).registered_in(connection, KEY, _model(told), f"version-of-{KEY}", {})
    deliver(told)
    assert Seen(told).versions() == 1
    assert len(Seen(told).runs) == 1


def test_a_rollback_moves_the_alias(told: Platform) -> None:
    tracker = tell(told)
    tell(told, key="acme/m/2")
    deliver(told)
    assert Seen(told).promoted() == "version-of-acme/m/2"
    with told.state.write() as connection:
        tracker.moved_in(connection, KEY, _model(told), f"version-of-{KEY}")
    deliver(told)
    assert Seen(told).promoted() == f"version-of-{KEY}"
    assert Seen(told).versions() == 2


def test_what_is_told_while_the_server_is_down_arrives_when_it_is_back(told: Platform, server: Server) -> None:
    server.stop()
    try:
        tell(told)
        started = time.monotonic()
        said = relay.flush(told, seconds=DEADLINE)
        assert time.monotonic() - started < DEADLINE / 2
        assert said.startswith(f"10 things wait for {server.uri} (")
        assert outbox.heard(told.state, server.uri).failure
    finally:
        server.start()
    assert "knows everything" in relay.flush(told, seconds=DEADLINE), "the failure of before is taken for one of now"
    whole(told, 3)


def _eventually(platform: Platform) -> None:
    relay.send(platform)
    until(lambda: outbox.first(platform.state) is None, "it catches up", seconds=DEADLINE)
    assert "knows everything" in relay.flush(platform)


def test_a_server_that_hangs_holds_nobody_up(told: Platform, server: Server) -> None:
    tell(told)
    with server.frozen():
        started = time.monotonic()
        relay.flush(told, seconds=5)
        assert time.monotonic() - started < 10
        assert _waiting(told) == 10
    _eventually(told)
    whole(told, 3)


def test_a_sender_that_is_killed_again_and_again_tells_nothing_twice(told: Platform) -> None:
    steps = 40
    tell(told, range(1, steps + 1))
    left, kills = _waiting(told), 0
    while left:
        sender = subprocess.Popen(
            [sys.executable, "-m", "resources.tracking.delivery"], stdin=subprocess.PIPE, text=True
        )
        assert sender.stdin is not None
        sender.stdin.write(f"{where(told).dump()}\n")
        sender.stdin.flush()
        goal = max(left - 15, 0)
        until(lambda goal=goal: _waiting(told) <= goal, "something is sent", seconds=DEADLINE)
        os.kill(sender.pid, signal.SIGKILL)
        sender.wait()
        left, kills = _waiting(told), kills + 1
    assert kills >= 3
    whole(told, steps)


def _waiting(platform: Platform) -> int:
    return outbox.heard(platform.state, where(platform).destination.shown).waiting


def test_what_was_sent_but_not_marked_is_found_again(told: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment between the server's answer and our note of it, at each thing."""
    tell(told)
    for _ in range(10):
        delivery = Delivery(where(told))
        with monkeypatch.context() as patch:
            patch.setattr(outbox, "done", _die)
            with pytest.raises(KeyboardInterrupt):
                delivery.run()
        item = outbox.first(told.state)
        assert item is not None
        outbox.done(told.state, item)  # as the next sender would after sending it a second time, below
        with told.state.write() as connection:
            outbox.note(connection, item.run_key, item.kind, item.content)
    deliver(told)
    whole(told, 3)


def _die(*_: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def failing_proxy(server: Server, fails: Callable[[str], bool]) -> Iterator[str]:
    """Passes requests on, but answers 500 to those whose path `fails`."""
    import requests

    class Handler(BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if fails(self.path):
                self.send_response(500)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            answer = requests.request(
                self.command, f"{server.uri}{self.path}", data=body, headers=headers, timeout=30
            )
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", ""))
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass

        def log_message(self, *_: object) -> None:
            pass

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{proxy.server_port}"
    proxy.shutdown()
    proxy.server_close()


def test_a_server_that_fails_on_one_thing_for_ever_does_not_stop_the_others(tmp_path: Path, server: Server) -> None:
    broken = {"on": True}
    with failing_proxy(server, lambda path: broken["on"] and "artifacts" in path) as uri:
        tracking = TrackingSettings(uri=uri, timeout_seconds=5)
        platform = Platform(Profile(state_dir=tmp_path / "state", tracking=tracking))
        tell(platform)
        deliver(platform)
        assert outbox.first(platform.state) is None
        lost = outbox.refused(platform.state)
        assert [entry["kind"] for entry in lost] == ["artifact", "artifact"]
        assert "mlflow-artifacts" in lost[0]["refused"]
        assert Seen(platform).promoted() == f"version-of-{KEY}"
        broken["on"] = False
        assert outbox.put_back(platform.state) == 0, "it is left alone for a while"
        with platform.state.write() as connection:
            connection.execute(schema.tracking_put_off.update().values(at=0.0))
        relay.catch_up(platform, 0)
        until(lambda: outbox.first(platform.state) is None, "it is sent without anybody's help", seconds=DEADLINE)
        relay.catch_up(platform, 0)
        whole(platform, 3)


def test_what_the_server_refuses_is_kept_with_its_reason(told: Platform) -> None:
    tracker = tell(told)
    tracker.metrics(KEY, 4, {"no?such*name": 1.0})
    tracker.artifact(KEY, "gone.png", Path("/nonexistent/gone.png"))
    tracker.metrics(KEY, 5, {"after": 1.0})
    deliver(told)
    heard = outbox.heard(told.state, where(told).destination.shown)
    assert (heard.refused, heard.put_off) == (2, 0), "what can never be taken is not tried again"
    assert [(entry["kind"], entry["run_key"]) for entry in outbox.refused(told.state)] == [
        ("metrics", KEY),
        ("artifact", KEY),
    ]
    assert "after" in Seen(told).runs[0].data.metrics


def test_two_states_that_tell_one_server_of_equal_runs_do_not_mix(
    told: Platform, server: Server, tmp_path: Path
) -> None:
    other = Platform(
        Profile(state_dir=told.profile.state_dir.parent / "other", tracking=TrackingSettings(uri=server.uri))
    )
    for platform in (told, other):
        tell(platform)
        deliver(platform)
    assert len(Seen(told).runs) == 2
