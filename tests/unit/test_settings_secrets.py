"""Secrets in a configuration, and what is pasted into it by mistake, are never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from components.settings_errors import SettingsError
from tests.unit.settings_sample import ED25519_KEY, load

PASSWORD = "open sesame"  # pragma: allowlist secret
PRIVATE_KEY_LINE = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"  # pragma: allowlist secret


def test_a_password_is_in_no_message_and_no_representation(project: Path) -> None:
    upstream = {"registry": "docker.io", "username": "u", "password": PASSWORD, "prot": PASSWORD}
    with pytest.raises(SettingsError) as caught:
        load(project, {"upstreams": [upstream]})
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None or "sesame" not in str(caught.value.__cause__)
    del upstream["prot"]
    settings = load(project, {"upstreams": [upstream]})
    assert "sesame" not in repr(settings) + str(settings) + settings.model_dump_json()
    password = settings.upstreams[0].password
    assert password is not None
    assert password.get_secret_value() == PASSWORD


@pytest.mark.parametrize("kept", [PASSWORD, f"{PASSWORD}\n"])
def test_a_password_in_a_file_of_its_own_is_taken_without_the_end_of_its_line(
    kept: str, project: Path
) -> None:
    file = project / "password"
    file.write_text(kept)
    file.chmod(0o600)

    upstream = {"registry": "docker.io", "username": "u"}
    upstream["passwordFile"] = file.name
    settings = load(project, {"upstreams": [upstream]})

    assert settings.upstreams[0].read_password() == PASSWORD
    assert settings.upstreams[0].has_login
    assert "sesame" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_a_mirror_open_to_all_is_refused_with_a_password_from_a_file_too(project: Path) -> None:
    file = project / "password"
    file.write_text(PASSWORD)
    file.chmod(0o600)
    upstream = {"registry": "docker.io", "username": "u", "passwordFile": file.name}

    with pytest.raises(SettingsError, match=r"passwordFile is given while access.networks lets everyone in"):
        load(project, {"upstreams": [upstream], "access": {"networks": ["0.0.0.0/0"]}})


@pytest.mark.parametrize("password", [12345678, ["12345678"], {"secret": "12345678"}, True])
def test_a_password_of_a_wrong_kind_is_refused_without_being_shown(password: object, project: Path) -> None:
    with pytest.raises(SettingsError, match=r"upstreams\[0\]\.password is .*, not text") as caught:
        load(project, {"upstreams": [{"registry": "docker.io", "username": "u", "password": password}]})
    assert "12345678" not in str(caught.value)


def test_a_private_key_pasted_as_host_key_is_refused_without_being_shown(project: Path) -> None:
    fence = "-----%s OPENSSH PRIVATE KEY-----"
    pasted = f"{fence % 'BEGIN'}\n{PRIVATE_KEY_LINE}\n{fence % 'END'}\n"
    host = {"name": "m", "address": "203.0.113.10", "hostKey": pasted}
    with pytest.raises(SettingsError, match="is a private key") as caught:
        load(project, {"mirrors": [host]})
    assert PRIVATE_KEY_LINE not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"proxy": {"https": "http://user:sesame@proxy.example:3128"}},  # pragma: allowlist secret
        {"upstreams": [{"registry": "user:sesame@ghcr.io/acme"}]},
        {"upstreams": [{"registry": "https://user:sesame@docker.io"}]},  # pragma: allowlist secret
        {"mirrors": [{"name": "m", "address": "root:sesame@203.0.113.10", "hostKey": ED25519_KEY}]},
        {"mirrors": [{"name": "m", "address": "ssh://u:sesame@m.example"}]},  # pragma: allowlist secret
    ],
)
def test_credentials_in_an_address_are_refused_without_being_shown(
    changes: Mapping[str, object], project: Path
) -> None:
    with pytest.raises(SettingsError) as caught:
        load(project, changes)
    assert "sesame" not in str(caught.value)
