"""Whose turn it is and what it gets: pure functions of a state and a time; no I/O, no clock, no Dagster."""
