"""A right configuration to make mistakes in, and the files that it names."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import yaml

from components.settings import Settings

ECDSA_KEY = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHPGShJIZSY5Qz5ZHTLEeIu"
    "8/RTAmiYa51uQgIjl+fWjMZNMk22rXyR1YM6hwNYaeX/GAyRbWyGa2P/3PvhQD/M="  # pragma: allowlist secret
)
ED25519_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOD8+G0yIAilaUMkDLUnKir+tFIApHMevxc8uHHvxtCX"
SAMPLE = f"""
ssh: {{privateKeyFile: ~/.ssh/id_ed25519}}
mirrors: [{{name: mirror-1, address: 203.0.113.10, hostKey: {ECDSA_KEY}}}]
clients: [{{name: web-1, address: 203.0.113.21, hostKey: {ED25519_KEY}}}]
access: {{networks: [203.0.113.0/24]}}
"""


def make_home(home: Path) -> None:
    """Put the key files of a user into `home`."""
    directory = home / ".ssh"
    directory.mkdir(parents=True)
    for name, passphrase in (("id_ed25519", ""), ("locked", "sesame")):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", str(directory / name)]
        subprocess.run(command, check=True)
    (directory / "putty.ppk").write_text("PuTTY-User-Key-File-3: ssh-ed25519\n")
    (directory / "notes.txt").write_text("not a key\n")
    for name in ("id_ed25519.pub", "putty.ppk", "notes.txt"):
        (directory / name).chmod(0o600)
    shutil.copy(directory / "id_ed25519", directory / "open")
    (directory / "open").chmod(0o644)


def read(text: str) -> dict[str, object]:
    """Read stack keys as a YAML 1.1 parser does."""
    content = yaml.safe_load(text)
    assert isinstance(content, dict)
    return content


def load(directory: Path, changes: str | Mapping[str, object] = "{}", leave_out: str = "") -> Settings:
    """Load the sample with some of its keys replaced or left out."""
    changed = read(changes) if isinstance(changes, str) else changes
    raw = {key: value for key, value in read(SAMPLE).items() if key != leave_out}
    return Settings.load({**raw, **changed}, directory)
