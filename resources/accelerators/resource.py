"""Devices for a step, as a Dagster resource: `with accelerator.lease(context, pool="embed") as held: …`."""

import multiprocessing
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from resources.accelerators.held import HeldLease
    from resources.accelerators.leases import Lease
    from resources.accelerators.ledger.ledger import Ledger
    from resources.accelerators.requests import Process

ACCELERATOR_KEY = "accelerator"
TAKEN_BACK_AT_MOST = 1000  # times that one step may be asked to make way before it fails


class AcceleratorResource(dg.ConfigurableResource):
    """The devices of `accelerators.yml`. What a step starts with `held.start` sees those of its lease and no others.

    Under an instance with our event log storage the executor has claimed the lease before the step began. Under any
    other, a `materialize()` in a test or a run of the command line with a temporary home, the step waits here.
    """

    @contextmanager
    def lease(
        self,
        context: dg.AssetExecutionContext | dg.OpExecutionContext,
        *,
        pool: str,
        asks: Mapping[str, str] | None = None,
    ) -> "Iterator[HeldLease]":
        """Hold devices of a pool.

        Args:
            context: of the step.
            pool: of accelerators.yml; the op's and the run's tags refine what it asks for.
            asks: tags beside the run's, for a step that asks for other devices than its executor has claimed; it has
                given those back.

        Raises:
            ImpossibleRequest: no state of the devices could ever satisfy it.
            RequestError: a tag cannot be understood, or it asks for more than its tenant may.
            LedgerError: the ledger cannot be used.
            dg.RetryRequested: the devices were taken back while it worked: the step waits for its turn again.
        """
        from resources.accelerators.held import TakenBack, hold
        from resources.accelerators.ledger.ledger import open_ledger

        ledger = open_ledger()
        run_id, step_key = context.run.run_id, _step_key(context)
        lease = ledger.lease_of(run_id, step_key)
        claimed = lease is not None and lease.state == "held"
        if lease is None or not claimed:
            lease = self._wait(context, step_key, pool, ledger, asks or {})
        owners = _owners(context, lease)
        try:
            with hold(
                ledger, ledger.accelerators, lease, owners=owners, release=not claimed, tell=context.log.warning
            ) as held:
                yield held
        except TakenBack as taken:
            context.log.warning(f"{pool}: {taken}; waiting for devices again")
            raise dg.RetryRequested(max_retries=TAKEN_BACK_AT_MOST, seconds_to_wait=0) from taken

    def give_back(self, context: dg.AssetExecutionContext | dg.OpExecutionContext) -> None:
        """Give the step's devices back before its end, to ask for others: who waits for those holds none."""
        from resources.accelerators.ledger.ledger import open_ledger

        open_ledger().release(context.run.run_id, _step_key(context))

    def _wait(
        self,
        context: dg.AssetExecutionContext | dg.OpExecutionContext,
        step_key: str,
        pool: str,
        ledger: "Ledger",
        asks: Mapping[str, str],
    ) -> "Lease":
        from resources.accelerators.claiming import wait_for_lease
        from resources.accelerators.dagster_registration import ensure_registered
        from resources.accelerators.dagster_requests import waiting_of
        from resources.accelerators.ledger.liveness import this_process

        ensure_registered(ledger, ledger.accelerators)
        waiting = waiting_of(
            context.instance,
            context.run.with_tags({**context.run.tags, **asks}) if asks else context.run,
            step_key,
            pool,
            submitted=time.time(),
            claimant=this_process(),
            accelerators=ledger.accelerators,
        )
        return wait_for_lease(ledger, waiting, context.log.info)


def _step_key(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> str:
    return context.get_step_execution_context().step.key


def _owners(context: dg.AssetExecutionContext | dg.OpExecutionContext, lease: "Lease") -> "list[Process]":
    """The run's worker, where it is another process on this host than the one that runs the step."""
    from dagster._core.execution.retries import RetryMode

    from resources.accelerators.ledger.liveness import alive, process_of, this_process

    me = this_process()
    owners = [holder for holder in lease.holders[:1] if holder != me and alive(holder)]  # first is who asked
    worker = multiprocessing.parent_process()
    # Only where the worker retries steps itself are we its child; else our parent is a server that may well end.
    if worker and worker.pid and context.get_step_execution_context().retry_mode == RetryMode.DEFERRED:
        parent = process_of(worker.pid)
        owners += [parent] if parent and parent not in owners else []
    return owners
