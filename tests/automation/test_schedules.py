"""Guards against nights that fail because of what nobody has built yet, and ticks that start two runs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from llm_assets.components import Corpus, FineTune
from llm_assets.configs import Configured
from llm_assets.corpora import serving
from llm_assets.corpora.settings import CorpusSpec
from llm_assets.jobs import TRAINED_STAGES, all_jobs, parts
from llm_assets.models.fine_tune import remember_run
from llm_assets.models.settings import FineTuneSettings, FineTuneSpec
from llm_assets.models.training_set import build_training_set, store_training_set
from resources.accelerators.resource import ACCELERATOR_KEY, AcceleratorResource
from resources.dagster_platform import PLATFORM_KEY, PlatformResource
from resources.platform import Platform
from resources.profile import Profile
from resources.vector_index.protocol import Snapshot
from sensors import schedules
from tests.tiny_model import save_tiny_model
from tests.training.tiny_runs import tiny_run

ANSWERS = dg.AssetKey(["acme", "kinds", "answers"])
NIGHTS = (datetime(2026, 3, 1, 2, tzinfo=UTC) + timedelta(days=number) for number in itertools.count())
QUESTIONS = {"evaluation": {"path": "questions"}}


class PlatformAt(PlatformResource):
    """The platform in a folder, instead of that of a target of profiles.yml."""

    folder: str

    def open(self) -> Platform:
        return Platform(Profile(state_dir=Path(self.folder)))


class Clock:
    """The schedules of a configuration, and what their ticks lead to."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance, configured: Configured) -> None:
        self.platform, self.instance, self.nights = platform, instance, NIGHTS
        loaded = dg.Definitions.merge(
            *(Corpus(spec.settings, spec.tenant, spec.folder).build() for spec in configured.corpora),
            *(FineTune(spec.settings, spec.tenant, spec.folder).build() for spec in configured.fine_tunes),
        )
        found = parts(loaded)
        jobs = all_jobs(found, configured)
        resources = {PLATFORM_KEY: PlatformResource(target="dev"), ACCELERATOR_KEY: AcceleratorResource()}
        self.loaded = dg.Definitions.merge(loaded, dg.Definitions(jobs=jobs, resources=resources))
        self.schedules = {one.name: one for one in schedules.schedules(found, configured, jobs)}

    def resolved(self, job: str) -> set[str]:
        """The assets of a job."""
        return {key.to_user_string() for key in self.loaded.resolve_job_def(job).asset_layer.executable_asset_keys}

    def tick(self, job: str) -> set[str] | str:
        """The assets that a tick runs (none: all of the job), or why it runs nothing."""
        resource = PlatformAt(target="here", folder=str(self.platform.profile.state_dir))
        with dg.build_schedule_context(  # it opens the instance, and only `with` closes it
            instance=self.instance, scheduled_execution_time=next(self.nights), resources={"platform": resource}
        ) as context:
            found = self.schedules[f"{job}_schedule"].evaluate_tick(context)
        if not found.run_requests:
            return str(found.skip_message)
        (request,) = found.run_requests
        return {key.to_user_string() for key in request.asset_selection or ()}


@pytest.fixture(scope="module")
def on_disk(tmp_path_factory: pytest.TempPathFactory) -> dg.DagsterInstance:
    """An instance that a schedule can open; one in memory it cannot."""
    return dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance")))


@pytest.fixture
def clock(platform: Platform, on_disk: dg.DagsterInstance) -> Callable[..., Clock]:
    def make(*specs: CorpusSpec | FineTuneSpec) -> Clock:
        corpora = tuple(spec for spec in specs if isinstance(spec, CorpusSpec))
        models = tuple(spec for spec in specs if isinstance(spec, FineTuneSpec))
        return Clock(platform, on_disk, Configured(corpora, models))

    return make


def serve(platform: Platform, corpus: str) -> None:
    serving.serve(platform.state, "acme", corpus, Snapshot(f"{corpus}_1", 1), content="c", rows=1, settings={})


def test_nights_examine_what_is_served_also_in_buckets_and_wait_for_what_is_not(
    platform: Platform, clock: Callable[..., Clock], make_corpus: Callable[..., CorpusSpec], tmp_path: Path
) -> None:
    settings = {"name": "kinds", "data": {"examples": {"path": "e.jsonl"}}}
    model = FineTuneSpec("acme", tmp_path, FineTuneSettings.model_validate(settings))
    corpora = [make_corpus(tmp_path, **QUESTIONS, name=name, buckets=n) for name, n in (("whole", 1), ("parted", 3))]
    by_hand = make_corpus(tmp_path, **QUESTIONS, name="by_hand", automation="manual")
    night = clock(model, *corpora, by_hand)
    said = night.tick("evaluate")
    assert "acme/whole: nothing is served yet" in said
    assert "acme/kinds: nothing has been trained yet; materialise acme/kinds/tuned_model first" in said
    for name in ("parted", "by_hand"):
        serve(platform, name)
    assert night.tick("evaluate") == {"acme/parted/retrieval_evaluation"}
    serve(platform, "whole")
    served = {"acme/parted/retrieval_evaluation", "acme/whole/retrieval_evaluation"}
    assert clock(model, *corpora).tick("evaluate") == served


def test_nights_examine_a_model_that_was_trained_until_its_training_set_is_another(
    platform: Platform, clock: Callable[..., Clock], tmp_path: Path
) -> None:
    tiny = tiny_run(tmp_path, save_tiny_model(tmp_path / "model"), max_steps=1, batch=4, micro_batch=4)
    store_training_set(platform, tiny.spec, build_training_set(tiny.spec, lambda: ([], "")))
    night = clock(tiny.spec)
    assert "nothing has been trained yet" in night.tick("evaluate")
    tiny.go()
    remember_run(platform, tiny.spec, tiny.run)
    assert night.tick("evaluate") == {"acme/tiny/evaluation"}
    examples = tmp_path / "examples.jsonl"
    examples.write_text("".join(examples.read_text().splitlines(keepends=True)[:-4]))
    store_training_set(platform, tiny.spec, build_training_set(tiny.spec, lambda: ([], "")))
    assert "the training set has changed" in night.tick("evaluate")


def test_a_model_with_a_cron_is_trained_promoted_and_asked_by_its_job(
    clock: Callable[..., Clock], tmp_path: Path
) -> None:
    settings = {
        "name": "kinds",
        "automation": {"cron": "0 3 * * *"},
        "data": {"examples": {"path": "e.jsonl"}},
        "answers": {"inputs": {"path": "i.jsonl"}, "prompt": "{question}"},
    }
    night = clock(FineTuneSpec("acme", tmp_path, FineTuneSettings.model_validate(settings)))
    assert night.tick("train_acme_kinds") == set(), "all of the job"
    for name in ("everything", "train", "train_acme_kinds"):
        keys = night.resolved(name)
        assert keys == {f"acme/kinds/{stage}" for stage in TRAINED_STAGES}
    graph = night.loaded.resolve_asset_graph()
    assert dg.AssetKey(["acme", "kinds", "promoted_model"]) in graph.get(ANSWERS).parent_keys, "asked afterwards"


def test_of_two_daemons_with_one_tick_one_starts_its_run(platform: Platform, instance: dg.DagsterInstance) -> None:
    @dg.asset
    def made() -> None: ...

    def daemon(_: int) -> bool:
        first = schedules.is_first(platform, instance, "nightly:2026")
        if first:
            dg.materialize([made], instance=instance, tags={"dagster/run_key": "nightly:2026"})
        return first

    assert platform.state.installation
    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(daemon, range(2))) == [False, True]


def test_a_tick_whose_daemon_died_before_its_run_began_is_taken_over(
    platform: Platform, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "CLAIM_SECONDS", 1.0)
    assert schedules.is_first(platform, instance, "nightly:2026")
    assert schedules.is_first(platform, instance, "nightly:2026")
