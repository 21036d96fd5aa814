"""Whether the kernel ended processes for want of memory: an exit by SIGKILL alone says only that somebody did."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/")
FIELD = "oom_kill"


def oom_kills(root: Path = ROOT) -> int:
    """Processes ended so far: of this process's control group, or else of the whole machine."""
    for file in (*_of_the_group(root), root / "proc/vmstat"):
        try:
            lines = file.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for name, _, count in (line.partition(" ") for line in lines):
            if name == FIELD:
                return int(count)
    return 0


def _of_the_group(root: Path) -> list[Path]:
    """Its events, by cgroup version 2 or 1; in a container the group's own folder may be mounted as the root."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found, mounted = [], root / "sys/fs/cgroup"
    for _, controllers, path in (line.split(":", 2) for line in lines):
        if not controllers:
            found += [mounted / path.strip("/") / "memory.events", mounted / "memory.events"]
        elif "memory" in controllers.split(","):
            group = mounted / "memory"
            found += [group / path.strip("/") / "memory.oom_control", group / "memory.oom_control"]
    return found
