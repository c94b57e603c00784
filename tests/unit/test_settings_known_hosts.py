"""Host keys from a known_hosts file: those that it vouches for, and no others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.settings import Settings
from components.settings_errors import SettingsError
from tests.unit.settings_sample import ECDSA_KEY, ED25519_KEY, SAMPLE, read


def known_hosts(project: Path, lines: str, port: int = 22) -> Settings:
    (project / "known").write_text(lines)
    raw = read(SAMPLE) | {"ssh": {"knownHostsFile": "known", "port": port}}
    raw["mirrors"] = [{"name": "mirror-1", "address": "203.0.113.10"}]
    raw["clients"] = []
    return Settings.load(raw, project)


@pytest.mark.parametrize("name", ["203.0.113.10", "m.example,203.0.113.10", "203.0.113.*", "203.0.113.?0"])
def test_a_host_key_comes_from_the_known_hosts_file(name: str, project: Path) -> None:
    assert known_hosts(project, f"# hosts\n{name} {ECDSA_KEY} comment\n").mirrors[0].host_key == ECDSA_KEY


@pytest.mark.parametrize("port", [22, 2222])
def test_a_hashed_known_hosts_file_serves_too(port: int, project: Path) -> None:
    name = "203.0.113.10" if port == 22 else "[203.0.113.10]:2222"
    (project / "known").write_text(f"192.0.2.1 {ED25519_KEY}\n{name} {ECDSA_KEY}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", project / "known"], check=True, capture_output=True)
    hashed = (project / "known").read_text()
    assert "203.0.113.10" not in hashed
    assert known_hosts(project, hashed, port).mirrors[0].host_key == ECDSA_KEY


def test_of_several_known_keys_the_one_is_pinned_that_pulumis_ssh_asks_for_first(project: Path) -> None:
    lines = f"203.0.113.10 {ED25519_KEY}\n203.0.113.10 {ECDSA_KEY}\n"
    assert known_hosts(project, lines).mirrors[0].host_key == ECDSA_KEY


@pytest.mark.parametrize(
    "lines",
    [
        f"203.0.113.11 {ECDSA_KEY}",
        f"[203.0.113.10]:2222 {ECDSA_KEY}",
        f"@cert-authority 203.0.113.10 {ECDSA_KEY}",
        f"@revoked * {ECDSA_KEY}\n203.0.113.10 {ECDSA_KEY}",
        f"203.0.113.*,!203.0.113.10 {ECDSA_KEY}",
        "203.0.113.10 ssh-ed25519 AAAA",
        "|1|bad|worse ssh-ed25519 AAAA",
    ],
)
def test_a_host_that_the_file_does_not_vouch_for_has_no_key(lines: str, project: Path) -> None:
    with pytest.raises(SettingsError, match=r"mirrors\[0\].hostKey is missing"):
        known_hosts(project, lines)
