"""How OpenSSH is told whom to reach, as whom, and which host key must answer."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """Where an SSH server listens, the user there, and the only host key that is accepted."""

    address: str
    port: int
    user: str
    host_key: str


@dataclass(frozen=True)
class Login(Endpoint):
    """The way onto a host: by a private key file or the agent, and maybe through a jump host."""

    private_key_file: str | None = None
    jump: Endpoint | None = None

    @property
    def needs_sudo(self) -> bool:
        """True where root's work goes through passwordless sudo."""
        return self.user != "root"

    @property
    def destination(self) -> str:
        """``user@address``, as ssh takes it."""
        return f"{self.user}@{self.address}"


def portable_path(path: Path, project: Path, home: Path) -> str:
    """A path as it reads the same on each person's machine, where it can: state and previews hold it.

    Relative inside the project, where the plugins run, and with ``~``, which ssh expands, inside
    the home directory.
    """
    for base, prefix in ((project, ""), (home, "~/")):
        if path.is_relative_to(base):
            return prefix + str(path.relative_to(base))
    return str(path)


def arguments(login: Login) -> list[str]:
    """Options for ``ssh`` that accept the pinned host key and no other.

    The key comes from ``KnownHostsCommand`` (OpenSSH 8.5, 2021), so that no file has to be
    written and a preview reads the same on every machine. Nothing here is secret: the private
    key is named by its path, and ``~`` is left for ssh to expand.
    """
    options = _verified(login, login.private_key_file)
    if login.jump is not None:
        hop = ["ssh", *_verified(login.jump, login.private_key_file), "-W", "[%h]:%p"]
        # ssh expands % once more for the hop's own command line.
        inner = [part if part == "[%h]:%p" else part.replace("%", "%%") for part in hop]
        options += ["-o", f"ProxyCommand={shlex.join([*inner, f'{login.jump.user}@{login.jump.address}'])}"]
    return options


def _verified(endpoint: Endpoint, private_key_file: str | None) -> list[str]:
    kind, key = endpoint.host_key.split()[:2]
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "KnownHostsCommand": f"/bin/echo %H {kind} {key}",
        "UpdateHostKeys": "no",
        # A seventh of the CPU time of OpenSSH's default, which adds secrecy against recordings that
        # are broken decades later; nothing secret goes over these connections (secrets are
        # pulumi-command's, over its own). Measured in docs/bench.md.
        "KexAlgorithms": "^curve25519-sha256",
        "LogLevel": "ERROR",
    }
    if private_key_file is not None:
        options |= {"IdentityFile": private_key_file, "IdentitiesOnly": "yes"}
    flags = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return [*flags, "-p", str(endpoint.port)]
