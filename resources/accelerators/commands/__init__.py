"""The commands of `accelerators`, a module each: `HELP`, `arguments(parser)` and `run(options) -> exit code`."""
