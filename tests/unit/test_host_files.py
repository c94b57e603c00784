"""Small files for the hosts: Docker's yum repository and containerd's hosts.toml."""

from __future__ import annotations

import configparser
import tomllib

import pytest

from components.lib import docker_repo, hosts_toml


@pytest.mark.parametrize("packages", ["https://download.docker.com", "https://download.docker.com/"])
def test_the_yum_repository_checks_signatures_and_leaves_the_release_to_yum(packages: str) -> None:
    text = docker_repo.render(packages)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    repository = dict(parser["docker-ce-stable"])
    assert repository["gpgcheck"] == "1"
    assert repository["gpgkey"] == "https://download.docker.com/linux/@DISTRO@/gpg"
    assert repository["baseurl"] == "https://download.docker.com/linux/@DISTRO@/$releasever/$basearch/stable"


def test_a_copy_of_the_packages_below_a_path_serves_too() -> None:
    text = docker_repo.render("https://mirrors.aliyun.com/docker-ce")
    assert "baseurl=https://mirrors.aliyun.com/docker-ce/linux/@DISTRO@/" in text


def test_containerd_tries_the_mirrors_in_order_and_then_docker_hub() -> None:
    text = hosts_toml.render("docker.io", ["https://m1", "http://[2001:db8::1]:5000"], "/etc/docker/ca.crt")
    document = tomllib.loads(text)
    assert document["server"] == "https://registry-1.docker.io"
    assert list(document["host"]) == ["https://m1", "http://[2001:db8::1]:5000"]
    assert document["host"]["https://m1"] == {
        "capabilities": ["pull", "resolve"],
        "ca": "/etc/docker/ca.crt",
        "dial_timeout": "5s",
    }


def test_a_mirror_without_tls_or_with_a_known_ca_names_none() -> None:
    plain = tomllib.loads(hosts_toml.render("docker.io", ["http://m1:5000"], "/etc/docker/ca.crt"))
    assert "ca" not in plain["host"]["http://m1:5000"]
    public = tomllib.loads(hosts_toml.render("docker.io", ["https://m1"], None))
    assert "ca" not in public["host"]["https://m1"]


def test_other_registries_have_mirrors_too_and_themselves_after_those() -> None:
    texts = hosts_toml.render_all(
        {"docker.io": ["https://m1"], "ghcr.io": ["https://m1:5001", "https://m2:5001"]}, None
    )
    first, _, second = texts.removeprefix("==== docker.io\n").partition("==== ghcr.io\n")
    assert tomllib.loads(first)["server"] == "https://registry-1.docker.io"
    document = tomllib.loads(second)
    assert document["server"] == "https://ghcr.io"
    assert list(document["host"]) == ["https://m1:5001", "https://m2:5001"]
