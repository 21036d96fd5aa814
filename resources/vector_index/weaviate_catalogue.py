"""Which classes of the server are this project's, and which one is a collection of a tenant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from resources.vector_index.checks import checked_spec
from resources.vector_index.errors import IndexRefused, UnknownCollection, VectorIndexError
from resources.vector_index.protocol import IndexSpec, Tuning
from resources.vector_index.weaviate_handle import Handle
from resources.vector_index.weaviate_schema import (
    SHARED,
    ClassNames,
    Ownership,
    class_definition,
    not_ours,
    retuned,
    tuning_of,
)
from resources.vector_index.weaviate_settings import CollectionSettings

if TYPE_CHECKING:
    from resources.vector_index.weaviate_connection import Server


class Catalogue:
    """The collections of one tenant on a server.

    A collection that was written anew is a class of the next generation; until the old one is gone, that counts.

    Args:
        server: where they are.
        tenant: whose they are.
        installation: another one's are neither used nor removed, whatever they are called.
    """

    def __init__(self, server: Server, tenant: str, installation: str) -> None:
        self.server, self.tenant, self.installation = server, tenant, installation
        self._shared, name = server.settings.multi_tenancy, server.settings.name
        self.names = ClassNames(SHARED if self._shared else tenant, name)
        self._tenants = ClassNames(tenant, name)
        self._open: dict[str, Handle] = {}

    def collections(self) -> list[str]:
        """The names of the tenant's collections, sorted."""
        return sorted({handle.name for handle in self.handles()})

    def handles(self, collection: str | None = None) -> list[Handle]:
        """The tenant's classes, of one collection or all, the oldest generation first."""
        wanted = (handle for handle in self._ours() if collection in (None, handle.name))
        return sorted(
            (handle for handle in wanted if self._has_tenant(handle)), key=lambda each: each.owned.generation
        )

    def open(self, collection: str) -> Handle:
        """The class that holds a collection.

        Raises:
            UnknownCollection: there is none.
        """
        if collection not in self._open:
            found = self.handles(collection)
            if not found:
                there = ", ".join(self.collections()) or "none"
                place = self.server.connection.place
                raise UnknownCollection(f"no collection '{collection}' in Weaviate at {place}; there are: {there}")
            self._open[collection] = found[0]
        return self._open[collection]

    def look_again(self, collection: str) -> None:
        """Forget which class it was: it may have been written anew, or removed."""
        self._open.pop(collection, None)

    def make(self, collection: str, spec: IndexSpec, generation: int = 1) -> Handle:
        """A new class, or the tenant's part of one that tenants share.

        Raises:
            VectorIndexError: somebody else has a class of that name, or tenants share one of another spec.
        """
        owned = Ownership(self.names.owner, collection, generation, spec, self.installation)
        name = self.names.of(collection, generation)
        handle = Handle(self.server, name, owned, self.tenant if self._shared else None)
        present = next((each for each in self._ours() if each.class_name == name), None)
        if present is None:
            self._refuse_foreign(name)
            definition = class_definition(owned, name, multi_tenancy=self._shared)
            self.server.call(f"make '{collection}'", lambda client: self._made(client, definition))
        else:
            checked_spec(collection, present.owned.spec if present.name == collection else None, spec)
        if self._shared:
            self.server.call(f"add '{self.tenant}' to '{collection}'", self._add_tenant(name))
        return handle

    def tuning(self, handle: Handle, spec: IndexSpec) -> Tuning | None:
        """What brings the settings of a class that can be changed in place up to `spec`.

        What the class says of itself is what was verified, so a change that was cut off is taken up again.
        """
        verified, wanted = handle.owned.spec, CollectionSettings.parse(spec.shape, spec.tuning).tuning
        config: Any = handle.run("look at", lambda rows: rows.config.get())
        if handle.settings.tuning == wanted == tuning_of(config.vector_config[handle.settings.vector_name]):
            return None

        def change(to: IndexSpec) -> None:
            handle.run("change the settings of", lambda rows: rows.config.update(vector_config=retuned(to)))

        def keep() -> None:
            owned = replace(handle.owned, spec=spec)
            what = "note the settings of"
            handle.run(what, lambda rows: rows.config.update(description=owned.description()))
            handle.owned = owned
            handle.__dict__.pop("settings", None)

        return Tuning(make=lambda: change(spec), keep=keep, undo=lambda: change(verified))

    def remove(self, handle: Handle) -> None:
        """Delete a class, or the tenant's part of it."""
        self.look_again(handle.name)
        name = handle.class_name

        def run(client: Any) -> None:
            if handle.tenant:
                client.collections.use(name).tenants.remove([handle.tenant])
            else:
                client.collections.delete(name)

        self.server.call(f"remove '{handle.name}'", run)

    def publish(self, corpus: str, handle: Handle) -> None:
        """Let the corpus's alias lead to a class; see `VectorIndex.publish`."""
        name, target = self._tenants.alias(corpus), handle.class_name
        found = self.target(corpus)
        if found == target:
            return
        if found is None:
            self._refuse_foreign(name)
            self.server.call(
                f"publish '{corpus}'",
                lambda client: client.alias.create(alias_name=name, target_collection=target),
            )
        elif found not in {each.class_name for each in self._ours()} and self.exists(found):
            raise VectorIndexError(
                f"the alias {name} at {self.server.connection.place} leads to {found}, which is not this tenant's, "
                "is another target's, or was made with another multi_tenancy: remove the alias, rename the corpus, "
                "or give this target a name of its own in profiles.yml (weaviate: {name: …})"
            )
        else:
            self.server.call(
                f"publish '{corpus}'",
                lambda client: client.alias.update(alias_name=name, new_target_collection=target),
            )

    def target(self, corpus: str) -> str | None:
        """The class that the corpus's alias leads to."""
        name = self._tenants.alias(corpus)
        found = self.server.call(f"look up '{corpus}'", lambda client: client.alias.get(alias_name=name))
        return found.collection if found else None

    def move_aliases(self, old: Handle, new: Handle) -> None:
        """Let this tenant's aliases of one class lead to another."""

        def run(client: Any) -> None:
            for name in client.alias.list_all(collection=old.class_name):
                if name.startswith(self._tenants.prefix):
                    client.alias.update(alias_name=name, new_target_collection=new.class_name)

        self.server.call(f"publish '{old.name}'", run)

    def _ours(self) -> Iterator[Handle]:
        classes = self.server.call("list the collections", lambda client: client.collections.list_all())
        for name, config in classes.items():
            owned = Ownership.read(config.description)
            if owned and self._is_ours(owned) and name.startswith(self.names.prefix):
                yield Handle(self.server, name, owned, self.tenant if self._shared else None)

    def _is_ours(self, owned: Ownership) -> bool:
        return (owned.owner, owned.installation) == (self.names.owner, self.installation)

    def _has_tenant(self, handle: Handle) -> bool:
        if not handle.tenant:
            return True

        def run(client: Any) -> bool:
            return client.collections.use(handle.class_name).tenants.exists(handle.tenant)

        return self.server.call(f"look for '{self.tenant}' in '{handle.name}'", run)

    def _add_tenant(self, name: str) -> Any:
        def run(client: Any) -> None:
            tenants = client.collections.use(name).tenants
            if not tenants.exists(self.tenant):
                tenants.create([self.tenant])

        return run

    def exists(self, class_name: str) -> bool:
        """Whether the server has a class of that name, whosever it is."""
        return self.server.call(f"look for {class_name}", lambda client: client.collections.exists(class_name))

    def _refuse_foreign(self, name: str) -> None:
        try:
            self.server.call(f"look for {name}", lambda client: self._refuse_in(client, name))
        except IndexRefused:
            return  # a key for this tenant's collections alone: the server will say if the name is taken

    def _refuse_in(self, client: Any, name: str) -> bool:
        """Whether there is a class of ours of that name. Raises for somebody else's."""
        if not client.collections.exists(name):
            return False
        owned = Ownership.read(client.collections.use(name).config.get(simple=True).description)
        if owned is None or not self._is_ours(owned):
            raise not_ours(name, self.server.connection.place, owned)
        return True

    def _made(self, client: Any, definition: dict[str, Any]) -> None:
        """Made again after a lost answer, or by two at once, the class is there already."""
        if not self._refuse_in(client, definition["name"]):
            client.collections.create(**definition)
