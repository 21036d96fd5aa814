"""Watching sources: what changed, whether it has settled, whether a run is needed. `sensors/source_files.py` asks."""
