"""A picture of who held which device when, and who waited: a Gantt chart as PNG bytes."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Literal

from resources.accelerators.devices import Device
from resources.accelerators.lanes import lanes, offsets

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from resources.accelerators.labels import Labels

DOTS_PER_INCH = 100
WIDTH = 12.0  # inches
MOST_ROWS = 400  # devices that are drawn; beyond, only those that were held
NAMED_ROWS = 48  # up to so many devices each has its name at the side, beyond only hosts
MOST_LANES = 40  # waits beside each other that are drawn one by one
LEGEND = 18  # colours that are told apart
GREY = "#9a9a9a"
LIGHT = 0.35  # opacity of a wait
PALETTE = 128  # colours in the file
LETTERS = 150  # of a bar's name that the whole width holds


@dataclass(frozen=True, slots=True)
class Bar:
    """One lease on one device, or (`device` None) one wait.

    Attributes:
        start, end: seconds since the epoch.
        device: its id.
        part: of the device's memory, 0 to 1.
        name: what was materialised.
        pool, tenant: what colours stand for.
    """

    start: float
    end: float
    name: str
    pool: str
    tenant: str
    device: str | None = None
    part: float = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG, and what stands in it for names that no font at hand can show."""

    png: bytes
    stand_ins: Mapping[str, str]


def gantt(
    devices: Sequence[Device],
    bars: Sequence[Bar],
    since: float,
    until: float,
    by: Literal["pool", "tenant"] = "pool",
) -> Picture:
    """Devices grouped by host over time, with their leases above and the waits below.

    Args:
        devices: the rows; more than `MOST_ROWS`: only those that were held.
        bars: leases and waits; what lies outside the time is cut off.
        since, until: seconds since the epoch, the first below the second.
        by: what colours stand for.
    """
    from matplotlib import rc_context

    from resources.accelerators.labels import Labels, families

    labels = Labels()
    with rc_context({"font.family": families()}):
        return Picture(_png(_drawn(devices, bars, since, until, by, labels)), labels.stand_ins)


def _drawn(
    devices: Sequence[Device], bars: Sequence[Bar], since: float, until: float, by: str, labels: Labels
) -> Figure:
    shown = [bar for bar in bars if bar.end > since and bar.start < until]
    held = [bar for bar in shown if bar.device is not None]
    waits = [bar for bar in shown if bar.device is None]
    rows = _rows(devices, {bar.device for bar in held})
    lane = lanes([(bar.start, bar.end) for bar in waits])
    figure, above, below = _figure(_heights(len(rows), max(lane, default=-1) + 1))
    colour = _colours(shown, by)
    _draw_devices(above, rows, held, (since, until), colour, by, labels)
    _draw_waits(below, waits, lane, colour, by)
    _time_axis(below, since, until)
    _legend(figure, shown, colour, by, labels)
    above.set_title(_title(len(rows), len(devices) - len(rows)), loc="left", fontsize=9)
    return figure


def _figure(heights: Sequence[float]) -> tuple[Figure, Axes, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # without pyplot: no display, and nothing kept between calls

    figure = Figure(figsize=(WIDTH, sum(heights) + 1.3), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    return figure, above, below


def _title(rows: int, left_out: int) -> str:
    more = f"; {left_out} more that nobody held" if left_out else ""
    return f"{rows} device{'' if rows == 1 else 's'}{more}"


def _rows(devices: Sequence[Device], held: set[str | None]) -> list[Device]:
    kept = devices if len(devices) <= MOST_ROWS else [device for device in devices if device.id in held]
    return sorted(kept, key=lambda device: (natural(device.host), device.kind, device.index, device.id))[:MOST_ROWS]


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts node-2 before node-10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _heights(rows: int, waiting: int) -> list[float]:
    """Inches of the two parts: legible with 8 devices, on one screen with 200."""
    return [max(1.2, rows * (0.34 if rows <= 24 else 0.16 if rows <= NAMED_ROWS else 0.065)), _waits_height(waiting)]


def _waits_height(lanes_used: int) -> float:
    return max(0.6, min(lanes_used, MOST_LANES) * 0.1)


def _colours(bars: Sequence[Bar], by: str) -> Callable[[str], str]:
    """A colour for each name, the most used names first; the rest share grey."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    seconds: dict[str, float] = defaultdict(float)
    for bar in bars:
        seconds[getattr(bar, by)] += bar.end - bar.start
    palette = colormaps["tab20"].colors[::2] + colormaps["tab20"].colors[1::2]  # type: ignore[attr-defined]  # listed
    ordered = sorted(seconds, key=lambda name: (-seconds[name], name))[:LEGEND]
    chosen = {name: to_hex(palette[index]) for index, name in enumerate(ordered)}
    return lambda name: chosen.get(name, GREY)


def _draw_devices(
    axes: Axes,
    rows: Sequence[Device],
    held: Sequence[Bar],
    span: tuple[float, float],
    colour: Callable[[str], str],
    by: str,
    labels: Labels,
) -> None:
    of_device: dict[str, list[Bar]] = defaultdict(list)
    for bar in held:
        of_device[bar.device or ""].append(bar)
    bars: list[Bar] = []
    bottoms: list[float] = []
    for row, device in enumerate(rows):
        here = of_device[device.id]
        places = offsets([(bar.start, bar.end, bar.part) for bar in here])
        bars += here
        bottoms += [row - 0.45 + 0.9 * place for place in places]
        if device.state != "ok":
            axes.axhspan(row - 0.5, row + 0.5, color=GREY, alpha=0.25, linewidth=0)
    _boxes(axes, bars, bottoms, 0.9, colour, by)
    if len(rows) <= 24:
        _names(axes, bars, bottoms, span, labels)
    _sides(axes, rows, labels)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)


def _boxes(
    axes: Axes, bars: Sequence[Bar], bottoms: Sequence[float], height: float, colour: Callable[[str], str], by: str
) -> None:
    """One collection a colour: thousands of single boxes take seconds."""
    from matplotlib.collections import PolyCollection

    corners: dict[tuple[str, float], list[list[tuple[float, float]]]] = defaultdict(list)
    for bar, bottom in zip(bars, bottoms, strict=True):
        left, right, top = _day(bar.start), _day(bar.end), bottom + height * bar.part
        box = [(left, bottom), (left, top), (right, top), (right, bottom)]
        corners[colour(getattr(bar, by)), LIGHT if bar.device is None else 1.0].append(box)
    for (face, alpha), boxes in corners.items():
        axes.add_collection(PolyCollection(boxes, facecolor=face, edgecolor="white", linewidth=0.3, alpha=alpha))


def _names(
    axes: Axes, bars: Sequence[Bar], bottoms: Sequence[float], span: tuple[float, float], labels: Labels
) -> None:
    """What was materialised, inside the bars that have room for some letters of it."""
    for bar, bottom in zip(bars, bottoms, strict=True):
        left = max(bar.start, span[0])
        room = int((min(bar.end, span[1]) - left) / (span[1] - span[0]) * LETTERS)
        label = labels.shown(bar.name)
        if bar.part > 0.4 and room >= min(4, len(label)):
            shown = label if len(label) <= room else f"{label[: room - 1]}…"
            text = axes.text(_day(left), bottom + 0.45 * bar.part, f" {shown}", fontsize=6, va="center")
            text.set_parse_math(False)


def _sides(axes: Axes, rows: Sequence[Device], labels: Labels) -> None:
    """Names of devices at the left, or of hosts where there are many, and lines between the hosts."""
    first = [row for row, device in enumerate(rows) if row == 0 or device.host != rows[row - 1].host]
    for row in first[1:]:
        axes.axhline(row - 0.5, color=GREY, linewidth=0.6)
    if len(rows) <= NAMED_ROWS:
        places, names = list(range(len(rows))), [_name(device) for device in rows]
    else:
        ends = [*first[1:], len(rows)]
        places = [(start + end - 1) / 2 for start, end in zip(first, ends, strict=True)]
        names = [f"{rows[start].host} ({end - start})" for start, end in zip(first, ends, strict=True)]
    axes.set_yticks(places, [labels.shown(name) for name in names], fontsize=7, parse_math=False)


def _name(device: Device) -> str:
    where = f"{device.host} {device.kind}{device.index}"
    return where if device.state == "ok" else f"{where} ({device.state})"


def _draw_waits(axes: Axes, waits: Sequence[Bar], lane: Sequence[int], colour: Callable[[str], str], by: str) -> None:
    drawn = [(bar, place) for bar, place in zip(waits, lane, strict=True) if place < MOST_LANES]
    _boxes(axes, [bar for bar, _ in drawn], [place - 0.45 for _, place in drawn], 0.9, colour, by)
    highest = min(max(lane, default=0), MOST_LANES - 1)
    more = sum(place >= MOST_LANES for place in lane)
    axes.set_ylim(highest + 0.5, -0.5)
    axes.set_yticks([])
    axes.set_ylabel("waiting" + (f"\n({more} more)" if more else ""), fontsize=8)


def _time_axis(axes: Axes, since: float, until: float) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))
    axes.set_xlim(_day(since), _day(until))
    axes.set_xlabel("UTC", fontsize=8)


def _legend(figure: Figure, bars: Sequence[Bar], colour: Callable[[str], str], by: str, labels: Labels) -> None:
    from matplotlib.patches import Patch

    names = sorted({getattr(bar, by) for bar in bars})
    handles = [Patch(color=colour(name), label=labels.shown(name)) for name in names if colour(name) != GREY]
    if len(handles) < len(names):
        handles.append(Patch(color=GREY, label=f"{len(names) - len(handles)} others"))
    handles.append(Patch(color=GREY, alpha=LIGHT, label="waits (light)"))
    legend = figure.legend(
        handles=handles, loc="outside upper right", ncols=min(len(handles), 6), fontsize=8, title=by
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _day(seconds: float) -> float:
    """Matplotlib counts time in days since 1970."""
    return seconds / 86400


def _png(figure: Figure) -> bytes:
    """With a palette: a third of the size, and pictures stay in the event log."""
    from PIL import Image

    drawn, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(PALETTE, dither=Image.Dither.NONE).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
