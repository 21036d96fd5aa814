"""Guards against a picture that hides a lease, breaks on a name, or takes too long with many devices."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resources.accelerators.devices import Device
from resources.accelerators.gantt import Bar, gantt, natural
from resources.accelerators.lanes import lanes, offsets
from tests.resources.accelerators.seen.conftest import Cluster

START = 1_790_000_000.0
SPANS = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda pair: (float(pair[0]), float(sum(pair))))


def devices(count: int) -> list[Device]:
    return [Device(f"n{i // 8}/gpu{i % 8}", f"n{i // 8}", "gpu", "h100-sxm-80", 80, i % 8) for i in range(count)]


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


def pixels(png: bytes) -> dict[tuple[int, ...], int]:
    """Colour to how often it occurs."""
    return {colour: count for count, colour in opened(png).convert("RGB").getcolors(1 << 20) or ()}


@given(st.lists(SPANS, max_size=30))
def test_no_lane_has_two_waits_at_once_and_no_lane_is_wasted(spans: list[tuple[float, float]]) -> None:
    found = lanes(spans)
    for index, (start, end) in enumerate(spans):
        for other in range(index):
            assert found[index] != found[other] or end <= spans[other][0] or spans[other][1] <= start
    most = max((sum(s <= start < e for s, e in spans) for start, _ in spans), default=0)
    assert max(found, default=-1) + 1 == most


@given(st.lists(SPANS, max_size=8))
def test_leases_that_share_a_device_do_not_cover_each_other(spans: list[tuple[float, float]]) -> None:
    bars = [(start, end, 1 / 8) for start, end in spans]
    found = offsets(bars)
    for index, (start, end, height) in enumerate(bars):
        assert -1e-9 <= found[index] <= 1 - height + 1e-9
        for other in range(index):
            apart = end <= bars[other][0] or bars[other][1] <= start
            assert apart or abs(found[index] - found[other]) >= height - 1e-9


def test_hosts_are_in_the_order_people_count() -> None:
    assert sorted(["node-10", "node-2", "10.0.0.2", "a"], key=natural) == ["10.0.0.2", "a", "node-2", "node-10"]


def test_each_pool_has_its_colour_and_free_time_has_none() -> None:
    one, two = devices(2)
    bars = [Bar(START, START + 50, "x", "lora", "acme", one.id), Bar(START, START + 50, "y", "embed", "acme", two.id)]
    counts = pixels(gantt([one, two], bars, START, START + 100).png)
    lora, embed = sorted(count for colour, count in counts.items() if count > 2000 and len(set(colour)) > 1)
    assert abs(lora - embed) < 0.1 * lora, "both are held for half the time"
    assert counts[255, 255, 255] > 0.9 * (lora + embed), "the other half is free"


def test_a_japanese_name_is_drawn_or_has_a_stand_in(recwarn: pytest.WarningsRecorder) -> None:
    [one] = devices(1)
    bars = [
        Bar(START, START + 90, "法務/埋め込み", "推論", "法務", one.id),
        Bar(START, START + 9, "待ち", "推論", "法務"),
    ]
    drawn = gantt([one], bars, START, START + 100, by="tenant")
    assert opened(drawn.png).width > 500
    assert not [str(one.message) for one in recwarn if "Glyph" in str(one.message)]


def test_a_name_that_no_font_has_gets_a_number() -> None:
    [one] = devices(1)
    drawn = gantt([one], [Bar(START, START + 90, "\U000e0041$x_1$", "p", "t", one.id)], START, START + 100)
    assert drawn.stand_ins == {"#1": "\U000e0041$x_1$"}


def test_a_name_that_looks_like_a_formula_is_text() -> None:
    [one] = devices(1)
    assert gantt([one], [Bar(START, START + 90, "a$\\frac$", "_p$^$", "t", one.id)], START, START + 100).png


def test_200_devices_and_thousands_of_leases_are_one_legible_picture_in_seconds() -> None:
    many = devices(200)
    bars = [
        Bar(START + 36 * n, START + 36 * n + 30, "x", f"pool{n % 5}", "acme", device.id)
        for device in many
        for n in range(40)
    ]
    began = time.process_time()
    drawn = gantt(many, bars, START, START + 1440)
    assert time.process_time() - began < 10, "one box at a time takes longer"
    assert 1000 < opened(drawn.png).height < 2400
    assert len(drawn.png) < 300_000, "pictures stay in the event log"


def test_with_very_many_devices_only_those_that_were_held_are_drawn() -> None:
    many = devices(1000)
    image = opened(gantt(many, [Bar(START, START + 9, "x", "p", "t", many[7].id)], START, START + 10).png)
    assert image.height < 600


def test_nothing_at_all_is_a_picture_too() -> None:
    assert opened(gantt([], [], START, START + 1).png).width > 500


def test_the_command_writes_leases_and_waits_of_the_ledger(
    cluster: Cluster, accelerators: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    empty, full = tmp_path / "empty.png", tmp_path / "full.png"
    assert accelerators("gantt", "--out", str(empty), "--since", "10s")[0] == 0
    for number in range(4):
        cluster.held(f"run{number}")
    assert accelerators("gantt", "--out", str(full), "--since", "10s", "--by", "tenant")[0] == 0
    coloured = [
        sum(n for colour, n in pixels(file.read_bytes()).items() if len(set(colour)) > 1) for file in (empty, full)
    ]
    assert coloured[0] == 0
    assert coloured[1] > 100
