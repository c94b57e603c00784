"""The hosts of a stack, reached over SSH outside of a Pulumi run: to look, or to run one thing there.

Reads the stack's files, and so needs neither a backend nor a passphrase: secrets stay as they are there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from components import settings_reading
from components.lib.remote import Remote, remote_by
from components.lib.ssh_options import Endpoint, Login, portable_path
from components.settings import Host, Settings, Ssh
from components.settings_errors import Problem, SettingsError

SECRET = "[secret]"  # noqa: S105
"""What stands in the settings in place of an encrypted value."""


@dataclass(frozen=True)
class StackHosts:
    """A stack's settings and its hosts by name. ``clients`` has the mirrors too, where they are clients."""

    settings: Settings
    mirrors: Mapping[str, Remote]
    clients: Mapping[str, Remote]

    @property
    def all(self) -> Sequence[Remote]:
        """Every host once, mirrors first."""
        return list({**self.mirrors, **self.clients}.values())


def hosts_of(stack: str, root: Path) -> StackHosts:
    """The hosts of ``stack`` of the project in ``root``. Raises SettingsError with every mistake."""
    settings = settings_of(stack, root)

    def reach(hosts: Sequence[Host]) -> dict[str, Remote]:
        return {
            host.name: remote_by(host.name, login_from_anywhere(settings.ssh, host, root)) for host in hosts
        }

    mirrors = reach(settings.mirrors)
    own = mirrors if settings.mirrors_are_clients else {}
    return StackHosts(settings, mirrors, {**own, **reach(settings.clients)})


def settings_of(stack: str, root: Path) -> Settings:
    """The settings of a stack as its files say, with SECRET for what is encrypted there."""
    project, own = _read(root / "Pulumi.yaml"), _read(root / f"Pulumi.{stack}.yaml")
    return Settings.load(written(project, own), root)


def written(project: Mapping[str, object], stack: Mapping[str, object]) -> dict[str, object]:
    """The keys of both files without their prefix, as Pulumi puts them together: the stack's own win."""
    name = project.get("name")
    shared, own = project.get("config"), stack.get("config")
    values: dict[str, object] = {}
    for key, value in shared.items() if isinstance(shared, dict) else ():
        # A declaration with a default, a plain value, or {value: …}.
        declared = value if isinstance(value, dict) else {"value": value}
        values[_bare(str(key), name)] = declared.get("value", declared.get("default"))
    if isinstance(own, dict):
        values |= {_bare(key, name): value for key, value in own.items() if str(key).startswith(f"{name}:")}
    plain = {key: _without_secrets(value) for key, value in values.items() if value is not None}
    return settings_reading.without_empty(
        {
            key: settings_reading.value_of_text(value) if isinstance(value, str) else value
            for key, value in plain.items()
        }
    )


def login_of(ssh: Ssh, host: Host, project: Path) -> Login:
    """The way onto a host, as it reads the same on each person's machine."""
    hop, key = ssh.jump_host, ssh.private_key_file
    return Login(
        address=host.address,
        port=host.port,
        user=host.user,
        host_key=host.host_key,
        private_key_file=None if key is None else portable_path(key.expanduser(), project, Path.home()),
        jump=None if hop is None else Endpoint(hop.address, hop.port, hop.user, hop.host_key),
    )


def login_from_anywhere(ssh: Ssh, host: Host, root: Path) -> Login:
    """The way onto a host for a process that may run in any directory."""
    key = ssh.private_key_file
    login = login_of(ssh, host, root)
    return login if key is None else dataclasses.replace(login, private_key_file=str(key.expanduser()))


def _bare(key: str, project: object) -> str:
    return key.removeprefix(f"{project}:")


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        if list(value) == ["secure"]:
            return SECRET
        return {key: _without_secrets(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner) for inner in value]
    return value


def _read(file: Path) -> dict[str, object]:
    def wrong(what: str, remedy: str) -> SettingsError:
        return SettingsError([Problem((file.name,), what, remedy)])

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise wrong("does not exist", "make it from Pulumi.prod.yaml, or name another STACK") from None
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise wrong(f"cannot be read: {type(error).__name__}", "correct it there") from None
    return content if isinstance(content, dict) else {}
