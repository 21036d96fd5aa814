"""Backups of collections into a module of the server, and back."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from resources.vector_index.errors import VectorIndexError

if TYPE_CHECKING:
    from resources.vector_index.weaviate_connection import Server
    from resources.vector_index.weaviate_handle import Handle

_PAUSE = 0.2


def back_up(handle: Handle) -> str:
    """Back a collection up. Returns the backup's id: the class's name, the installation and the moment.

    Raises:
        VectorIndexError: the server has no such module, or the backup failed.
    """
    name = handle.class_name
    moment = datetime.now(UTC).strftime("%Y%m%dt%H%M%S%f")
    backup_id = f"{name.lower()}-{handle.owned.installation}-{moment}"
    backend = _backend(handle.server)
    what = f"back up '{handle.name}'"
    handle.server.call(what, lambda client: client.backup.create(backup_id, backend, include_collections=[name]))
    _wait(handle.server, what, lambda client: client.backup.get_create_status(backup_id, backend))
    return backup_id


def restore_backup(server: Server, backup_id: str) -> None:
    """Bring a backup's collection back under its name.

    Raises:
        VectorIndexError: no such backup, or a class of that name is there: drop it first.
    """
    backend, what = _backend(server), f"restore the backup '{backup_id}'"
    server.call(what, lambda client: client.backup.restore(backup_id, backend))
    _wait(server, what, lambda client: client.backup.get_restore_status(backup_id, backend))


def backups(server: Server, alias: str, installation: str) -> list[tuple[str, str]]:
    """Ids and states of the backups of the collections of one corpus, given its alias."""
    backend = _backend(server)
    found = server.call("list the backups", lambda client: client.backup.list_backups(backend))
    own = (each for each in found if is_backup_of(each.backup_id, alias, installation))
    return sorted((each.backup_id, str(each.status.value)) for each in own)


def can_back_up(server: Server) -> bool:
    """Whether the server has the module that the profile names."""
    modules = server.call("look at the server", lambda client: client.get_meta()).get("modules") or {}
    return f"backup-{server.settings.backup.backend}" in modules


def is_backup_of(backup_id: str, alias: str, installation: str) -> bool:
    """Whether a backup holds a collection of the corpus with that alias, made by that installation."""
    class_name, _, rest = backup_id.partition("-")
    # A class is called as the alias, the shape of the collection and its generation.
    return class_name.rsplit("__", 2)[0] == alias.lower() and rest.rpartition("-")[0] == installation


def _backend(server: Server) -> Any:
    from weaviate.backup.backup import BackupStorage

    return BackupStorage(server.settings.backup.backend)


def _wait(server: Server, what: str, status: Any) -> None:
    deadline = time.monotonic() + server.settings.backup.timeout_seconds
    while True:
        found = server.call(what, status)
        state = str(found.status.value)
        if state == "SUCCESS":
            return
        if state in ("FAILED", "CANCELED"):
            raise VectorIndexError(f"{what}: the server says {state.lower()}: {found.error}")
        if time.monotonic() > deadline:
            raise VectorIndexError(f"{what}: not done after {server.settings.backup.timeout_seconds:g} s")
        time.sleep(_PAUSE)
