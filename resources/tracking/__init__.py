"""Tracking and model registry: MLflow mirrors what the state database knows.

What is told is noted in the state database (`outbox`) by a `Tracker`, and sent by a process of its own (`relay`
starts it, `delivery` is it), so that work goes on while the server is away, and nothing is lost or told twice.
"""
