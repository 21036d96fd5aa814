"""Programs that make what the project carries; nothing here runs in a pipeline."""
