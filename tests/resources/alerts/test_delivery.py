"""A webhook that hangs, refuses or lies must not hold the daemon up, and must not cost an alert or tell it twice."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from resources.alerts import Alert, Alerts, outbox
from resources.alerts.settings import AlertSettings
from resources.platform import Platform
from resources.profile import Profile
from resources.state import State
from resources.state_schema import alerts as alerts_table
from tests.webhook import DRIP, ENDLESS, HANG, Webhook, webhook

SECONDS = 0.5  # a webhook's patience
ALERT = Alert(
    key="run/1",
    title="acme: a run of job ingest failed: service down",
    what="index acme: <http://10.0.0.7:8080> cannot be reached & more",
    tried="retry 1 of 3 at 12:00:00 UTC",
    advice="bring the service back",
    tenant="acme",
    assets=("acme/handbook/vector_index",),
    run_id="1",
    link="http://127.0.0.1:3000/runs/1",
)
OTHER = Alert(key="run/2", title="another")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as told:
        yield told


@pytest.fixture
def platform(state_url: str, tmp_path: Path) -> Platform:
    """On SQLite and on PostgreSQL."""
    return Platform(Profile(state_dir=tmp_path / "state", state_url=state_url))


def alerts_to(platform: Platform, **channels: str) -> Alerts:
    """As a process that has just started sees them."""
    settings = AlertSettings.model_validate({**channels, "timeout_seconds": SECONDS})
    return Alerts(Platform(platform.profile.model_copy(update={"alerts": settings})))


def wait_is_over(platform: Platform) -> None:
    """As if the pause after a failed attempt had passed."""
    with platform.state.write() as connection:
        connection.execute(alerts_table.update().values(next_at=0.0))


def test_an_alert_is_told_once_however_often_it_is_sent(platform: Platform, hook: Webhook) -> None:
    alerts = alerts_to(platform, webhook=hook.url)
    assert [alerts.send(ALERT), alerts.send(ALERT)] == [True, False]
    assert alerts.deliver() == 2  # the log and the webhook
    after_a_restart = alerts_to(platform, webhook=hook.url)
    assert not after_a_restart.send(ALERT)
    assert after_a_restart.deliver() == 0
    assert [body["title"] for body in hook.received] == [ALERT.title]
    assert hook.keys == [ALERT.key]


def test_a_webhook_gets_every_field_and_slack_its_own_format(platform: Platform, hook: Webhook) -> None:
    alerts_to(platform, webhook=hook.url).send(ALERT)
    alerts_to(platform, webhook=hook.url).deliver()
    assert hook.received[0] == ALERT.row() | {"text": ALERT.text}
    for part in (ALERT.what, ALERT.tried, ALERT.advice, ALERT.assets[0], str(ALERT.link)):
        assert part in hook.received[0]["text"]
    alerts_to(platform, slack=hook.url).send(OTHER)
    alerts_to(platform, slack=hook.url).send(Alert("run/3", "<!channel> & co", what="x" * 9000))
    alerts_to(platform, slack=hook.url).deliver()
    assert hook.received[1]["text"] == "another"
    text = hook.received[2]["blocks"][0]["text"]
    assert text["type"] == "mrkdwn"
    assert "&lt;!channel&gt; &amp; co" in text["text"]
    assert len(text["text"]) <= 3000, "Slack refuses more"


def test_the_log_has_each_alert_once_whatever_else_is_configured(
    platform: Platform, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [500]
    alerts = alerts_to(platform, webhook=hook.url)
    alerts.send(ALERT)
    for _ in range(3):
        alerts.deliver()
    assert [record.levelno for record in caplog.records if ALERT.title in record.message] == [logging.ERROR]


@pytest.mark.parametrize("bad", [500, 404, 429, HANG, DRIP, (302, {"Location": "http://127.0.0.1:1/elsewhere"})])
def test_what_was_not_taken_is_sent_again_after_a_pause_and_only_once_taken(
    platform: Platform, hook: Webhook, bad: object, caplog: pytest.LogCaptureFixture
) -> None:
    hook.answers = [bad]
    alerts = alerts_to(platform, webhook=hook.url)
    alerts.send(ALERT)
    begun = time.monotonic()
    alerts.deliver()
    assert time.monotonic() - begun < SECONDS + 2, "the daemon is held up"
    alerts.deliver()
    assert len(hook.received) == 1, "asked again before the pause was over"
    wait_is_over(platform)
    alerts_to(platform, webhook=hook.url).deliver()
    wait_is_over(platform)
    alerts_to(platform, webhook=hook.url).deliver()
    assert hook.keys == [ALERT.key] * 2
    assert "hook-secret" not in caplog.text


def test_a_redirect_takes_the_alert_to_no_other_host(platform: Platform, hook: Webhook) -> None:
    with webhook() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            hook.answers.append((status, {"Location": elsewhere.url}))
        alerts = alerts_to(platform, webhook=hook.url)
        alerts.send(ALERT)
        for _ in range(5):
            alerts.deliver()
            wait_is_over(platform)
        assert elsewhere.received == []
        assert len(hook.received) == 5


def test_an_answer_without_an_end_is_not_read(platform: Platform, hook: Webhook) -> None:
    hook.answers = [ENDLESS]
    alerts = alerts_to(platform, webhook=hook.url)
    alerts.send(ALERT)
    begun = time.monotonic()
    assert alerts.deliver() == 2
    assert time.monotonic() - begun < SECONDS + 2


def test_a_port_that_nobody_listens_on_costs_nothing_and_loses_nothing(
    platform: Platform, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as held:  # bound, not listening: refused, and nobody else's meanwhile
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/services/hook-secret"
        alerts = alerts_to(platform, webhook=url)
        alerts.send(ALERT)
        alerts.deliver()
    assert "cannot be reached" in caplog.text
    assert "hook-secret" not in caplog.text
    wait_is_over(platform)
    assert alerts_to(platform, webhook=hook.url).deliver() == 1
    assert hook.titles == [ALERT.title]


def test_a_webhook_that_is_away_is_asked_once_a_delivery_however_much_waits(
    platform: Platform, hook: Webhook
) -> None:
    hook.answers = [500] * 9
    alerts = alerts_to(platform, webhook=hook.url)
    for number in range(20):
        alerts.send(Alert(f"run/{number}", f"run {number}"))
    alerts.deliver()
    alerts.deliver()
    assert len(hook.received) == 1


def test_an_alert_that_the_receiver_refuses_does_not_keep_the_others_back(platform: Platform, hook: Webhook) -> None:
    hook.answers = [400, 200, 400]
    alerts = alerts_to(platform, webhook=hook.url)
    alerts.send(ALERT)
    alerts.send(OTHER)
    alerts.deliver()
    wait_is_over(platform)
    alerts.deliver()
    assert hook.keys == ["run/1", "run/2", "run/1"]


def test_pauses_grow_to_an_hour_and_heed_the_server(platform: Platform) -> None:
    box = outbox.Outbox(platform.state)
    box.put(ALERT, ["webhook"])
    pauses = [box.failed(ALERT.key, "webhook", "answered 500") for _ in range(12)]
    assert pauses[:3] == [15, 30, 60]
    assert pauses[-1] == outbox.LONGEST_WAIT
    assert box.failed(ALERT.key, "webhook", "answered 429", 3600.0) == 3600.0


def test_what_is_not_taken_for_days_is_given_up_and_said_once(
    platform: Platform, hook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    alerts = alerts_to(platform, webhook=hook.url)
    alerts.send(ALERT)
    with platform.state.write() as connection:
        connection.execute(alerts_table.update().values(created_at=time.time() - outbox.GIVEN_UP_AFTER - 1))
    alerts.deliver()
    alerts.deliver()
    assert hook.received == []
    assert caplog.text.count("given up") == 1


def test_two_processes_that_send_the_same_keep_one(platform: Platform) -> None:
    others = [outbox.Outbox(State(platform.profile.url, platform.profile.state_dir / "locks")) for _ in range(2)]
    assert [box.put(ALERT, ["webhook"]) for box in others] == [True, False]
    assert len(others[0].due("webhook")) == 1
