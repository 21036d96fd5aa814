"""Accelerator slots: who holds which device, who waits, and whose turn it is.

    request ──→ ledger ──→ placement policy ──→ lease ──→ visibility (environment of the process)
       ↑           ↑                               │
    Dagster pool   inventory (NVML, TPU, YAML)     └─→ usage, cost

Plain Python, but for `dagster_pools`, `dagster_queue` and `resource`, through which Dagster comes here.
"""
