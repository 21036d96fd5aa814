"""Find the lease that an operator means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.accelerators.errors import AcceleratorError

if TYPE_CHECKING:
    from resources.accelerators.deciding.state import State
    from resources.accelerators.leases import Lease


def one_lease(state: State, start: str) -> Lease:
    """The live lease of that id, or of the only id that begins so.

    Raises:
        AcceleratorError: there is none, or several.
    """
    found = [lease for lease_id, lease in state.leases.items() if lease_id.startswith(start)]
    if len(found) == 1:
        return found[0]
    if found:
        raise AcceleratorError(f"lease '{start}' is not unique: {', '.join(sorted(lease.id for lease in found))}")
    known = ", ".join(sorted(state.leases)) or "none"
    raise AcceleratorError(f"no live lease '{start}'; live leases: {known}")
