"""What the registry is told, by version."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from components.lib.registry_config import (
    CERTIFICATE_IN_CONTAINER,
    CREDENTIALS_IN_CONTAINER,
    UPSTREAM_CA_IN_CONTAINER,
    CacheSettings,
    credential_helper,
    environment,
    render,
)

THREE = CacheSettings("docker.io", "https://registry-1.docker.io", major=3, tls=True)
TWO = dataclasses.replace(THREE, major=2)
AWKWARD = 'it\'s "#" a: b\n$(reboot) LOGIN \\ é'


@pytest.mark.parametrize("cache", [TWO, THREE], ids=["2", "3"])
def test_deletion_is_on_and_no_descriptor_cache_is_there(cache: CacheSettings) -> None:
    storage = yaml.safe_load(render(cache))["storage"]
    assert storage["delete"] == {"enabled": True}, "what expires while it is off is never reclaimed"
    assert "cache" not in storage, "with a cache, expiry next to a running registry corrupts answers"
    assert storage["filesystem"] == {"rootdirectory": "/var/lib/registry"}


@pytest.mark.parametrize("cache", [TWO, THREE], ids=["2", "3"])
def test_health_and_metrics_stay_on_the_loopback_interface(cache: CacheSettings) -> None:
    assert yaml.safe_load(render(cache))["http"]["debug"]["addr"].startswith("127.0.0.1:")


def test_tls_is_1_2_at_least_and_absent_without_a_certificate() -> None:
    tls = yaml.safe_load(render(THREE))["http"]["tls"]
    assert tls == {
        "certificate": CERTIFICATE_IN_CONTAINER,
        "key": CERTIFICATE_IN_CONTAINER,
        "minimumtls": "tls1.2",
    }
    assert "tls" not in yaml.safe_load(render(dataclasses.replace(THREE, tls=False)))["http"]


def test_version_2_gets_no_key_that_it_does_not_know() -> None:
    document = yaml.safe_load(render(TWO))
    assert document["proxy"] == {}
    assert "prometheus" not in document["http"]["debug"]


def test_version_3_asks_for_its_login_only_when_it_fetches() -> None:
    proxy = yaml.safe_load(render(THREE))["proxy"]
    assert proxy == {"ttl": "0s", "exec": {"command": CREDENTIALS_IN_CONTAINER}}


def test_the_text_is_the_same_each_time_and_in_a_reader_s_order() -> None:
    text = render(THREE)
    assert text == render(dataclasses.replace(THREE))
    assert text.startswith("version: 0.1\nlog:\n")


@pytest.mark.parametrize("cache", [TWO, THREE], ids=["2", "3"])
def test_a_password_is_in_one_file_and_nowhere_else(cache: CacheSettings) -> None:
    cache = dataclasses.replace(cache, username="reader", password=AWKWARD)
    assert AWKWARD not in str(environment(cache))
    assert AWKWARD not in repr(cache)
    if cache.major == 2:
        assert yaml.safe_load(render(cache))["proxy"] == {"username": "reader", "password": AWKWARD}
        assert credential_helper(cache) is None
    else:
        assert "reboot" not in render(cache)


@pytest.mark.parametrize(
    ("username", "password", "login"),
    [
        (None, None, {"Username": "", "Secret": ""}),
        ("reader", AWKWARD, {"Username": "reader", "Secret": AWKWARD}),
    ],
)
def test_the_credential_helper_says_the_login_and_nothing_else(
    username: str | None, password: str | None, login: dict[str, str], tmp_path: Path
) -> None:
    program = credential_helper(dataclasses.replace(THREE, username=username, password=password))
    assert program is not None
    file = tmp_path / "credentials"
    file.write_text(program)
    file.chmod(0o500)
    done = subprocess.run([file, "get"], input="auth.docker.io", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == login
    assert done.stderr == ""


def test_plain_values_are_in_the_environment() -> None:
    cache = dataclasses.replace(
        THREE, http_proxy="http://p.example:3128", https_proxy="http://p.example:3128", no_proxy=("a", "b")
    )
    assert environment(cache) == {
        "REGISTRY_PROXY_REMOTEURL": "https://registry-1.docker.io",
        "OTEL_TRACES_EXPORTER": "none",
        "HTTP_PROXY": "http://p.example:3128",
        "HTTPS_PROXY": "http://p.example:3128",
        "NO_PROXY": "a,b",
    }
    assert "OTEL_TRACES_EXPORTER" not in environment(TWO)


@pytest.mark.parametrize("cache", [TWO, THREE], ids=["2", "3"])
def test_an_upstreams_own_ca_is_trusted_besides_the_public_ones(cache: CacheSettings) -> None:
    folders = environment(dataclasses.replace(cache, upstream_ca="PEM"))["SSL_CERT_DIR"].split(":")
    assert folders == ["/etc/ssl/certs", str(Path(UPSTREAM_CA_IN_CONTAINER).parent)]
    assert "SSL_CERT_DIR" not in environment(cache)


@pytest.mark.parametrize("url", ["https://a #b", "~", "@x", "*x", "a: b", "'x", "", " https://a", "0x10"])
def test_a_value_that_yaml_would_change_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="REGISTRY_PROXY_REMOTEURL"):
        environment(dataclasses.replace(THREE, upstream_url=url))
