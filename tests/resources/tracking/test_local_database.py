"""Without any server, trainings and promotions must be seen as well: a database in the state folder takes them."""

from __future__ import annotations

from pathlib import Path

from resources.platform import Platform
from resources.profile import Profile
from resources.tracking import relay
from tests.resources.tracking.test_delivery import DEADLINE, tell, whole


def test_a_database_of_its_own_needs_no_server(tmp_path: Path) -> None:
    platform = Platform(Profile(state_dir=tmp_path / "state"))
    tell(platform)
    assert "knows everything" in relay.flush(platform, seconds=DEADLINE)
    whole(platform, 3)
    assert (tmp_path / "state" / "tracking" / "artifacts").is_dir()
