"""One Weaviate server of our own: one node, its own data folder and ports, gone when this process is."""

from __future__ import annotations

import secrets
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from resources import processes
from resources.weaviate_server.address import Address
from resources.weaviate_server.ports import reserved_ports

HOST = "127.0.0.1"
ADMIN = "admin"
READY_SECONDS = 60  # 3 on a quiet machine
STOP_SECONDS = 30  # for writing out what is in memory
LOG_LINES = 15


class ServerFailed(RuntimeError):
    """The server did not start, or ended; the message carries the end of its log."""


@dataclass(frozen=True)
class ServerOptions:
    """What tests vary.

    Attributes:
        keys: further users and their API keys; without `rbac` each may do everything.
        rbac: check rights: the admin has all, another user has those of the roles it is given.
        readonly_at_percent: shards become read-only when the disk gets fuller than this; 0: never. The server looks
            until it has found that once; a shard that is loaded later can be written.
        asynchronous: vectors are indexed some time after they were written.
        gse: load the dictionary of that tokeniser too; takes 3 s, and needs Go's module cache or a container's image.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    rbac: bool = False
    readonly_at_percent: int = 0
    asynchronous: bool = False
    gse: bool = False


class WeaviateServer:
    """A server that can be stopped, killed and started again with the same data and ports.

    HTTP listens on loopback only. The server offers no such setting for gRPC and its cluster's own ports, so every
    one of them asks for a key that is made for this server.

    Args:
        program: `provide_program()`.
        folder: for its data, backups and log; kept when it stops.
        options: may be replaced between `stop` and `start`.
    """

    def __init__(self, program: Path, folder: Path, options: ServerOptions = ServerOptions()) -> None:
        self.options = options
        self.key = secrets.token_hex(16)
        self.log = folder / "log"
        self._program, self._folder = program, folder
        self._reservation = ExitStack()
        self._ports = self._reservation.enter_context(reserved_ports(6))
        self._tree: processes.ProcessTree | None = None

    @property
    def address(self) -> Address:
        """For its admin."""
        return Address(f"http://{HOST}:{self._ports[0]}", self._ports[1], self.key)

    @property
    def running(self) -> bool:
        return self._tree is not None and self._tree.poll() is None

    @property
    def backups(self) -> Path:
        """Where the backend `filesystem` keeps backups."""
        return self._folder / "backups"

    def start(self) -> Self:
        """Start it, and wait until it answers.

        Raises:
            ServerFailed: it ended, or was not ready in a minute.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        where = ["--scheme", "http", "--host", HOST, "--port", str(self._ports[0])]
        with self.log.open("ab") as log:
            self._tree = processes.start(
                [str(self._program), *where],
                env=self._environment(),
                cwd=self._folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                grace_seconds=STOP_SECONDS,
            )
        try:
            self._await_ready(self._tree)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """Let it write out what it has, and end. Nothing happens if it does not run."""
        if self._tree is not None:
            self._tree.terminate()
            self._tree = None

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL). Nothing happens if it does not run."""
        if self._tree is not None:
            self._tree.kill()
            self._tree = None

    def close(self) -> None:
        """Stop it and give its ports back."""
        self.stop()
        self._reservation.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await_ready(self, tree: processes.ProcessTree) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.address.ready:
            if (code := tree.poll()) is not None:
                raise ServerFailed(f"Weaviate ended with exit code {code}:\n{self._last_lines()}")
            if time.monotonic() > deadline:
                raise ServerFailed(f"Weaviate is not ready after {READY_SECONDS} s:\n{self._last_lines()}")
            time.sleep(0.05)

    def _last_lines(self) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join([*text.splitlines()[-LOG_LINES:], f"(the whole log: {self.log})"])

    def _environment(self) -> dict[str, str]:
        return {**self._cluster(), **self._access(), **self._behaviour()}

    def _cluster(self) -> dict[str, str]:
        """One node that looks for no other."""
        _, grpc, gossip, data, raft, raft_rpc = (str(port) for port in self._ports)
        return {
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_IN_LOCALHOST": "true",
            "CLUSTER_ADVERTISE_ADDR": HOST,
            "CLUSTER_BIND_ADDR": HOST,
            "CLUSTER_JOIN": "",
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": data,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": raft_rpc,
            "RAFT_JOIN": f"node1:{raft_rpc}",  # itself
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",  # by default it waits 5 s before it elects itself
            "GRPC_PORT": grpc,
            "GO_PROFILING_DISABLE": "true",  # it would listen on a fixed port of every interface
            "PROMETHEUS_MONITORING_ENABLED": "false",  # likewise
        }

    def _access(self) -> dict[str, str]:
        users = {ADMIN: self.key, **self.options.keys}
        return {
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_USERS": ",".join(users),
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": ",".join(users.values()),
            "AUTHORIZATION_RBAC_ENABLED": str(self.options.rbac).lower(),
            "AUTHORIZATION_RBAC_ROOT_USERS": ADMIN,
            "CLUSTER_BASIC_AUTH_USERNAME": ADMIN,
            "CLUSTER_BASIC_AUTH_PASSWORD": self.key,
        }

    def _behaviour(self) -> dict[str, str]:
        return {
            "PERSISTENCE_DATA_PATH": str(self._folder / "data"),
            "BACKUP_FILESYSTEM_PATH": str(self.backups),
            "ENABLE_MODULES": "backup-filesystem",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "ENABLE_TOKENIZER_KAGOME_JA": "true",
            "ENABLE_TOKENIZER_GSE": str(self.options.gse).lower(),
            "ASYNC_INDEXING": str(self.options.asynchronous).lower(),
            "DISK_USE_READONLY_PERCENTAGE": str(self.options.readonly_at_percent),
            "DISK_USE_WARNING_PERCENTAGE": "0",
            "LOG_LEVEL": "warning",
        }
