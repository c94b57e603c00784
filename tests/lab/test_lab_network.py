"""Who reaches whom in the lab, and what the upstream counts."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest

from lab import Lab
from lab.proxy import Passage

NGINX = "docker.io/library/nginx:latest"


def test_a_stranger_reaches_an_unlimited_port_by_both_ip_versions(
    lab: Lab, guests: Callable[..., None]
) -> None:
    guests("client-1", "stranger")
    server, stranger = lab.host("client-1"), lab.host("stranger")
    server.run(f"docker rm -f web; docker run -d --name web -p 8080:80 {NGINX}")

    for address in (server.address, f"[{server.address6}]"):
        answer = stranger.run(f"curl -fsS --retry-connrefused --retry 5 http://{address}:8080/")
        assert "hello from nginx" in answer.stdout, f"unlimited, {address} is open to all"
    server.run("docker rm -f web")


def test_only_the_stranger_is_outside_the_allowed_networks(lab: Lab, guests: Callable[..., None]) -> None:
    guests("mirror-1", "client-1", "client-2", "stranger")
    allowed = [ipaddress.ip_network(text) for text in lab.network.allowed]

    def inside(address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in allowed)

    for name in ("mirror-1", "client-1", "client-2"):
        assert inside(lab.host(name).address)
        assert inside(lab.host(name).address6)
    assert not inside(lab.host("stranger").address)
    assert not inside(lab.host("stranger").address6)


def test_names_of_the_lab_resolve_and_all_others_do_not_exist(lab: Lab) -> None:
    client = lab.host("client-1")

    assert lab.host("mirror-1").address in client.run("getent ahostsv4 mirror-1.lab.test").stdout
    assert lab.host("mirror-1").address6 in client.run("getent ahostsv6 mirror-1.lab.test").stdout
    for name in ("mirrorlist.centos.org", "example.com"):
        assert client.run(f"getent ahosts {name}", check=False).code != 0


def test_the_upstream_counts_requests_by_method_path_and_client(lab: Lab) -> None:
    client = lab.host("client-1")
    client.run(f"docker image rm -f {NGINX}", check=False)
    lab.upstream.forget()

    client.run(f"docker pull -q {NGINX}")

    seen = lab.upstream.requests()
    assert {request.client for request in seen} == {"client-1"}
    blobs = {request.path for request in seen if "/blobs/" in request.path and request.method == "GET"}
    assert len(blobs) == 4, "three layers and the configuration"
    lab.upstream.forget()
    assert not lab.upstream.requests()


def test_the_upstream_can_refuse_connections_and_come_back(lab: Lab) -> None:
    client = lab.host("client-1")
    question = "curl -sS -o /dev/null -w '%{http_code}' https://registry-1.docker.io/v2/"

    lab.upstream.stop()
    try:
        refused = client.run(question, check=False)
    finally:
        lab.upstream.start()

    assert refused.code == 7, f"curl's code for a refused connection, not: {refused.stderr}"
    assert client.run(question).stdout == "200"


@pytest.mark.parametrize("status", [429, 500])
def test_the_upstream_can_answer_with_an_error_for_a_while(lab: Lab, status: int) -> None:
    client = lab.host("client-1")
    question = "curl -sS -o /dev/null -w '%{http_code}' https://registry-1.docker.io/v2/"

    lab.upstream.answer_with(status)
    try:
        answer = client.run(question).stdout
    finally:
        lab.upstream.answer_with(None)

    assert answer == str(status)
    assert client.run(question).stdout == "200"


def test_ghcr_gives_public_images_to_who_has_a_token_and_private_ones_to_who_logged_in_for_it(
    lab: Lab,
) -> None:
    client = lab.host("client-1")
    ask = """
token() { curl -sS $2 "https://ghcr.io/token?service=ghcr.io&scope=repository:acme/$1:pull" |
    sed 's/.*"token": "\\([^"]*\\)".*/\\1/'; }
manifest() { curl -sS -o /dev/null -w '%{http_code} ' -H "Authorization: Bearer $2" \
    https://ghcr.io/v2/acme/$1/manifests/1.0; }
manifest tool none
manifest tool "$(token tool)"
manifest private "$(token private)"
manifest private "$(token private '-u reader:a-lab-token')"
curl -sS -o /dev/null -w '%{http_code}' -u reader:wrong https://ghcr.io/token
"""

    assert client.run("bash -s", ask).stdout.split() == ["401", "200", "401", "200", "401"]


def test_an_upstream_tells_its_limit_and_refuses_manifests_once_it_is_used_up(lab: Lab) -> None:
    client = lab.host("client-1")
    question = "curl -sSI https://registry-1.docker.io/v2/library/nginx/manifests/latest"

    def answer(remaining: int | None) -> tuple[str, dict[str, str]]:
        lab.upstream.rate_limit(remaining)
        status, *lines = client.run(question).stdout.strip().splitlines()
        return status.split()[1], dict(line.split(": ", 1) for line in lines)

    try:
        left, some = answer(37)
        refused, none = answer(0)
    finally:
        free, headers = answer(None)

    assert (left, refused, free) == ("200", "429", "200")
    assert (some["ratelimit-limit"], some["ratelimit-remaining"]) == ("100;w=21600", "37;w=21600")
    assert (none["ratelimit-remaining"], none["retry-after"]) == ("0;w=21600", "21600")
    assert some["docker-ratelimit-source"] in {client.address, client.address6}
    assert not [name for name in headers if "ratelimit" in name]


def test_a_host_that_is_cut_off_reaches_the_upstreams_by_the_proxy_alone(lab: Lab) -> None:
    client = lab.host("client-1")
    straight = "curl -sS -o /dev/null --max-time 10 -w '%{http_code}' https://quay.io/v2/"
    lab.proxy.forget()
    lab.cut_off("client-1")
    try:
        assert client.run(straight, check=False).code == 7
        assert client.run(f"{straight} --proxy {lab.proxy.url}").stdout == "200"
    finally:
        lab.reconnect("client-1")

    assert client.run(straight).stdout == "200"
    assert lab.proxy.passages() == {Passage("client-1", "quay.io:443"): 1}


@pytest.mark.parametrize("major", ["2", "3"])
def test_the_upstream_serves_the_registry_image_by_the_digest_that_the_stack_names(
    lab: Lab, major: str
) -> None:
    client = lab.host("client-2")
    image = lab.registry_images[major]

    client.run(f"docker pull -q {image}")

    configuration = {"2": "/etc/docker/registry/config.yml", "3": "/etc/distribution/config.yml"}[major]
    stock = client.run(f"docker run --rm --entrypoint cat {image} {configuration}").stdout
    assert "blobdescriptor: inmemory" in stock, "as the stock configuration has it"
    client.run(f"docker run --rm --entrypoint wget {image} --help")
