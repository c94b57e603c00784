"""Previews without any secret of the stack: two revisions compared, each as a stack that is all new.

The passphrase, the SSH key and what stands where the stack has secrets are made here and thrown away. The
hosts are not asked, the state is not read. What the change changes shows all the same.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from ci import engine
from ci.keep_secrets import PASSPHRASES
from ci.plan import Plan, compared

_PREFIX = "registry-cache:"
_KEPT_FROM_IT = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "SSH_AUTH_SOCK", PASSPHRASES)
"""Variables that the previewed program must not see."""


@dataclass(frozen=True)
class _Place:
    """A folder of its own, with the backend and the keys of stacks that live as long as it."""

    folder: Path

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    def environment(self, outer: Mapping[str, str], name: str) -> dict[str, str]:
        """The variables for the revision `name`, which gets a backend of its own."""
        state = self.folder / f"{name}.state"
        state.mkdir(mode=0o700)
        inner = {key: value for key, value in outer.items() if key not in _KEPT_FROM_IT}
        return inner | {
            "PULUMI_BACKEND_URL": f"file://{state}?metadata=skip",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.folder / "passphrase"),
        }


def preview(root: Path, base: str, head: str, stack: str, because: str, outer: Mapping[str, str]) -> Plan:
    """What the revision `head` of the repository in `root` declares differently from `base`, for `stack`.

    `because` ends the sentence that tells why it was not compared with the state.
    """
    with _place() as place:
        after = _of_revision(place, root, head, "head", stack, outer)
        if after is None:
            raise FileNotFoundError(f"{head} has no Pulumi.{stack}.yaml")
        before = None if after.failed else _of_revision(place, root, base, "base", stack, outer)
    if after.failed:
        return compared(None, after, f"No state, no host: {because}.")
    if before is not None and before.failed:
        note = f"All of it shows as new: the base branch's own preview fails. No state, no host: {because}."
        return compared(None, after, note)
    if before is None:
        return compared(
            None, after, f"A stack that the base branch does not have. No state, no host: {because}."
        )
    note = f"Compared with the base branch's program, not with the state or the hosts: {because}."
    return compared(before, after, note)


@contextmanager
def _place() -> Iterator[_Place]:
    with TemporaryDirectory(prefix="registry-cache-throwaway-") as name:
        place = _Place(Path(name))
        (place.folder / "passphrase").write_text(secrets.token_urlsafe(24))
        (place.folder / "passphrase").chmod(0o600)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place.key)], check=True)
        yield place


def _of_revision(
    place: _Place, root: Path, revision: str, name: str, stack: str, outer: Mapping[str, str]
) -> Plan | None:
    """The plan of one revision; None where it does not have the stack."""
    directory = place.folder / name
    _unpack(root, revision, directory)
    file = directory / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        return None
    paths = _make_openable(file, place.key)
    environment = place.environment(outer, name)
    _pulumi(directory, environment, "stack", "init", stack)
    for path, value in paths.items():
        _pulumi(
            directory, environment, "config", "set", "--secret", "--path", path, "--stack", stack, stdin=value
        )
    return engine.preview(directory, stack, environment).plan


def _unpack(root: Path, revision: str, directory: Path) -> None:
    done = subprocess.run(
        ["git", "-C", str(root), "archive", "--format=tar", revision], capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")


def _make_openable(file: Path, key: Path) -> dict[str, str]:
    """Rewrites a stack file so that it opens without its passphrase and logs in with `key`.

    Returns the paths of its secrets, each with what stands for it: another text where the secret is another.
    """
    content = yaml.safe_load(file.read_text()) or {}
    for name in ("encryptionsalt", "encryptedkey", "secretsprovider"):
        content.pop(name, None)
    config = content.setdefault("config", {})
    found: dict[str, str] = {}
    for name in list(config):
        config[name] = _without_secrets(config[name], name, found)
    config[f"{_PREFIX}observe"] = "never"
    inventory = _inventory(file.parent, config.get(f"{_PREFIX}include"))
    if inventory is not None and "ssh" in (settings := yaml.safe_load(inventory.read_text()) or {}):
        inventory.write_text(yaml.safe_dump({**settings, "ssh": _logging_in_with(key, settings["ssh"])}))
    else:
        config[f"{_PREFIX}ssh"] = _logging_in_with(key, config.get(f"{_PREFIX}ssh"))
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return found


def _inventory(directory: Path, named: object) -> Path | None:
    """The file that a stack includes, where it is one of the revision's own."""
    path = (directory / str(named)).resolve() if named else directory
    return path if path.is_file() and path.is_relative_to(directory.resolve()) else None


def _logging_in_with(key: Path, ssh: object) -> object:
    """The login with the throwaway key. One that is no section is left for the program to complain about."""
    if ssh is not None and not isinstance(ssh, dict):
        return ssh
    given = dict(ssh or {})
    return given if given.get("agent") else {**given, "privateKeyFile": str(key)}


def _without_secrets(value: Any, path: str, found: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"secure"}:
            digest = hashlib.sha256(str(value["secure"]).encode()).hexdigest()
            found[path] = f"not-the-secret-{digest[:24]}"
            return found[path]
        return {key: _without_secrets(entry, f"{path}.{key}", found) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_secrets(entry, f"{path}[{index}]", found) for index, entry in enumerate(value)]
    return value


def _pulumi(directory: Path, environment: Mapping[str, str], *arguments: str, stdin: str = "") -> None:
    done = subprocess.run(
        ["pulumi", "--non-interactive", *arguments],
        cwd=directory,
        env=dict(environment),
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pulumi {' '.join(arguments[:2])}: {(done.stderr or done.stdout).strip()}")
