"""What can go wrong with accelerators; each message names the thing, the place and the way out."""

from __future__ import annotations

from collections.abc import Mapping


class AcceleratorError(RuntimeError):
    """Base of all errors of this package."""


class RequestError(AcceleratorError, ValueError):
    """A request or one of its tags cannot be understood, or exceeds what its tenant may ask for."""


class ImpossibleRequest(AcceleratorError):
    """No state of the present devices could ever satisfy the request.

    Attributes:
        excluded: device id to the constraint that excludes it.
    """

    def __init__(self, message: str, excluded: Mapping[str, str]) -> None:
        super().__init__(message)
        self.excluded = dict(excluded)


class LedgerError(AcceleratorError):
    """The ledger cannot be used as it is: locked, damaged, read-only, from a newer version, or gone."""


class LeaseLost(AcceleratorError):
    """The lease is not held any more: it was pre-empted, or given away while this process could not renew it."""
