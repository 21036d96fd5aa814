"""What a tick of the sensor costs over a corpus in which nothing has changed.

    python -m benchmarks.sensor_tick

The whole of `Look`, as the sensor calls it: list 10,000 files, compare, write the cursor; 100,000 in the details.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import dagster as dg

from benchmarks.common import report, seconds
from llm_assets.watching import cursor
from llm_assets.watching.cursor import Seen
from llm_assets.watching.listings import Listing, Listings, list_source
from llm_assets.watching.looking import Look
from llm_assets.watching.watched import Watched
from resources.platform import Platform
from resources.profile import Profile
from resources.sources import open_source

GOAL_MS = 100.0
FOLDERS = 100
TICKS = 15


def main() -> None:
    """Time ticks over both sizes."""
    small, large = median_ms(10_000), median_ms(100_000)
    details = {"ms_100000_files": large, "ticks": TICKS}
    report("sensor_tick", small, "ms, median", f"<= {GOAL_MS:.0f}", small <= GOAL_MS, details)


def median_ms(files: int) -> float:
    """The median of `TICKS` ticks over so many files."""
    with (
        tempfile.TemporaryDirectory() as folder,
        dg.DagsterInstance.ephemeral(settings={"telemetry": {"enabled": False}}) as instance,
    ):
        base = Path(folder)
        for number in range(files):
            path = base / "documents" / str(number % FOLDERS) / f"{number}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        key = dg.AssetKey(["acme", "handbook", "source_files"])
        listed = open_source("documents", base=base).list
        source = Watched("acme/handbook", key, "documents", listed, may_be_empty=False)
        platform, listings = Platform(Profile(state_dir=base / "state")), Listings()
        found = list_source(source)
        if not isinstance(found, Listing):
            raise TypeError(f"the folder could not be listed: {found}")
        text = cursor.dumps({source.id: Seen(found.version, found.files, done=found.version)})

        def tick() -> None:
            looked = Look(instance, platform, listings).at([source], cursor.loads(text))
            if looked.requests or cursor.dumps(looked.seen) != text:
                raise RuntimeError(f"nothing has changed, but the tick says: {looked}")

        return round(statistics.median(seconds(tick) for _ in range(TICKS)) * 1000, 1)


if __name__ == "__main__":
    main()
