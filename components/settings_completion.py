"""Filling in what depends on another setting: logins, host keys, ports of upstreams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from components.lib.ssh_keys import KnownHosts

if TYPE_CHECKING:
    from components.settings import Host, Settings, Ssh, Upstream

AnyHost = TypeVar("AnyHost", bound="Host")


def completed(settings: Settings) -> Settings:
    """Return the settings with every default that another setting decides."""
    known = _known_hosts(settings.ssh.known_hosts_file)
    ssh = _completed_ssh(settings.ssh, known)

    def host(entry: AnyHost) -> AnyHost:
        port = entry.port or ssh.port
        key = entry.host_key or known.key_of(entry.address, port) or ""
        return entry.model_copy(update={"user": entry.user or ssh.user, "port": port, "host_key": key})

    return settings.model_copy(
        update={
            "ssh": ssh,
            "mirrors": tuple(map(host, settings.mirrors)),
            "clients": tuple(map(host, settings.clients)),
            "upstreams": tuple(_with_port(settings, index) for index in range(len(settings.upstreams))),
        }
    )


def _completed_ssh(ssh: Ssh, known: KnownHosts) -> Ssh:
    if ssh.agent and "private_key_file" not in ssh.model_fields_set:
        ssh = ssh.model_copy(update={"private_key_file": None})
    jump = ssh.jump_host
    if jump is None:
        return ssh
    key = jump.host_key or known.key_of(jump.address, jump.port) or ""
    jump = jump.model_copy(update={"user": jump.user or ssh.user, "host_key": key})
    return ssh.model_copy(update={"jump_host": jump})


def _with_port(settings: Settings, index: int) -> Upstream:
    upstream = settings.upstreams[index]
    default = 5000 if settings.tls.mode == "off" else 443
    return upstream if upstream.port or index else upstream.model_copy(update={"port": default})


def _known_hosts(path: Path | None) -> KnownHosts:
    """An unreadable file is reported with the other problems; here it only holds no keys."""
    try:
        return KnownHosts(path.read_text(encoding="utf-8", errors="replace") if path else "")
    except OSError:
        return KnownHosts("")
