"""When things run: sensors and schedules. Everything here is listed in `llm_assets.definitions`."""
