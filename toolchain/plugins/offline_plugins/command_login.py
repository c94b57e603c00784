"""Logging in to a host over SSH as pulumi-command does: the same keys, retries and error texts.

Each operation opens a connection of its own and closes it at its end. (The official plugin leaves them open
until it ends; closing is kinder to the host, and what counts against sshd's MaxStartups is the same.)
asyncssh is imported at the first login: a preview needs no SSH, and the import takes 0.2 s.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from offline_plugins.engine import ResourceLog
from offline_plugins.handler import OperationError

if TYPE_CHECKING:
    from asyncssh import SSHClientConnection, SSHKey

_FIRST_DELAY, _DELAY_GROWTH, _LONGEST_DELAY = 0.1, 1.5, 5.0
"""Seconds between dials, as in pulumi/sdk `retry.Until`, which the official plugin uses."""


class _LoginFailed(Exception):
    """One dial failed; the text has the form of Go's ssh package."""


@dataclass(frozen=True)
class Login:
    """How one host is reached. `per_dial_timeout` is in seconds, 0 for none; a negative limit is no limit."""

    host: str
    port: int
    user: str
    dial_error_limit: int
    per_dial_timeout: float
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    agent_socket: str | None = None
    host_key: str | None = None
    proxy: "Login | None" = None

    @classmethod
    def of(cls, connection: dict[str, Any]) -> "Login":
        """The login that a checked `connection` input describes; the agent defaults to SSH_AUTH_SOCK."""
        proxy = connection.get("proxy")
        return cls(
            host=connection["host"],
            port=int(connection["port"]),
            user=connection["user"],
            dial_error_limit=connection["dialErrorLimit"],
            per_dial_timeout=connection["perDialTimeout"],
            password=connection.get("password"),
            private_key=connection.get("privateKey"),
            private_key_password=connection.get("privateKeyPassword"),
            agent_socket=connection.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK") or None,
            host_key=connection.get("hostKey"),
            proxy=cls.of(proxy) if proxy else None,
        )

    @property
    def endpoint(self) -> str:
        """Host and port as Go writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@asynccontextmanager
async def logged_in(login: Login, log: ResourceLog) -> "AsyncIterator[SSHClientConnection]":
    """A connection to the host, through its proxy if it has one; OperationError at the dial limit."""
    async with AsyncExitStack() as opened:
        tunnel = None
        if login.proxy is not None:
            proxy = login.proxy
            try:
                tunnel_options = await _options(proxy)
                tunnel = await _dial(
                    "Dial proxy", proxy.dial_error_limit, log, lambda: _connect(proxy, tunnel_options, None)
                )
            except OperationError as error:
                raise OperationError(f"proxy: {error}") from error
            opened.callback(tunnel.abort)
        options = await _options(login)
        what = "Dial" if tunnel is None else "Dial from proxy"
        try:
            connection = await _dial(
                what, login.dial_error_limit, log, lambda: _connect(login, options, tunnel)
            )
        except OperationError as error:
            raise OperationError(f"proxy: {error}" if tunnel is not None else str(error)) from error
        opened.callback(connection.abort)
        yield connection
        connection.close()
        await connection.wait_closed()


async def _dial(
    what: str, limit: int, log: ResourceLog, connect: "Callable[[], Awaitable[SSHClientConnection]]"
) -> "SSHClientConnection":
    """Dial until it works or failed more than `limit` times. Every failure counts, a wrong host key too."""
    delay = _FIRST_DELAY
    failures = 0
    while True:
        try:
            return await connect()
        except _LoginFailed as error:
            failures += 1
            if 0 <= limit < failures:
                raise OperationError(f"after {failures - 1} failed attempts: {error}") from error
        log.status(f"{what} {failures}/{'inf' if limit < 0 else limit} failed: retrying")
        await asyncio.sleep(delay)
        delay = min(delay * _DELAY_GROWTH, _LONGEST_DELAY)


async def _options(login: Login) -> dict[str, Any]:
    """What asyncssh needs to know; OperationError for unreadable keys, before anything is dialled."""
    options: dict[str, Any] = {
        "host": login.host,
        "port": login.port,
        "username": login.user,
        "connect_timeout": login.per_dial_timeout or None,
        "config": [],  # the official plugin does not read ~/.ssh/config
        "client_keys": [],
        "agent_path": None,
        "known_hosts": None,
        "gss_kex": False,
        "gss_auth": False,
        "compression_algs": None,
    }
    if login.private_key is not None:
        options["client_keys"] = [_private_key(login.private_key, login.private_key_password)]
    if login.password is not None:
        options["password"] = login.password
    if login.agent_socket is not None:
        await _probe_agent(login.agent_socket)
        options["agent_path"] = login.agent_socket
    if login.host_key is not None:
        key, algorithms = _host_key(login.host_key)
        options["known_hosts"] = ([key], [], [])
        options["server_host_key_algs"] = algorithms
    return options


@lru_cache(maxsize=64)
def _private_key(text: str, passphrase: str | None) -> "SSHKey":
    import asyncssh

    try:
        return asyncssh.import_private_key(text, passphrase)
    except asyncssh.KeyEncryptionError as error:
        raise OperationError(
            "x509: decryption password incorrect"
            if passphrase is not None
            else "ssh: this private key is passphrase protected"
        ) from error
    except asyncssh.KeyImportError as error:
        if passphrase is None and "passphrase" in str(error).lower():
            raise OperationError("ssh: this private key is passphrase protected") from error
        raise OperationError("ssh: no key found") from error


@lru_cache(maxsize=64)
def _host_key(text: str) -> "tuple[SSHKey, list[str]]":
    """The pinned key and the signature algorithms it can be proven with."""
    import asyncssh

    try:
        key = asyncssh.import_public_key(text)
    except asyncssh.KeyImportError as error:
        raise OperationError("failed to parse host key: ssh: no key found") from error
    name = key.get_algorithm()
    return key, ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] if name == "ssh-rsa" else [name]


async def _probe_agent(path: str) -> None:
    # asyncssh goes on without an agent that does not answer; the official plugin fails
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise OperationError(f"dial unix {path}: connect: {_system_text(error)}") from error
    writer.close()


async def _connect(
    login: Login, options: dict[str, Any], tunnel: "SSHClientConnection | None"
) -> "SSHClientConnection":
    import asyncssh

    try:
        return await asyncssh.connect(tunnel=tunnel or (), **options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise _LoginFailed("ssh: handshake failed: ssh: host key mismatch") from error
    except asyncssh.PermissionDenied as error:
        methods = ["none", *(["publickey"] if options["client_keys"] or options["agent_path"] else [])]
        methods += ["password", "keyboard-interactive"] if "password" in options else []
        raise _LoginFailed(
            "ssh: handshake failed: ssh: unable to authenticate, "
            f"attempted methods [{' '.join(methods)}], no supported methods remain"
        ) from error
    except asyncssh.ChannelOpenError as error:
        raise _LoginFailed(f"ssh: rejected: connect failed ({error.reason})") from error
    except asyncssh.ConnectionLost as error:
        raise _LoginFailed("ssh: handshake failed: EOF") from error
    except asyncssh.Error as error:
        raise _LoginFailed(f"ssh: handshake failed: {error.reason}") from error
    except TimeoutError as error:
        raise _LoginFailed(f"dial tcp {login.endpoint}: i/o timeout") from error
    except socket.gaierror as error:
        raise _LoginFailed(f"dial tcp: lookup {login.host}: no such host") from error
    except OSError as error:
        raise _LoginFailed(f"dial tcp {login.endpoint}: connect: {_system_text(error)}") from error


def _system_text(error: OSError) -> str:
    """Go's text of a system error: the C library's in lower case."""
    return (os.strerror(error.errno) if error.errno else str(error)).lower()
