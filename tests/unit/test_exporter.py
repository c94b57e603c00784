"""The exporter: several sources become one valid text, for those who may read it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.collector import report
from components.exporter import families, registry_counters
from components.exporter.__main__ import CONTENT_TYPE, Server
from components.exporter.sources import STALE_SECONDS, Removed, Sources
from components.prober import exposition
from components.prober.upstream import Finding
from monitoring.catalogue import METRICS

# As registry 3.1.1 writes it, shortened.
REGISTRY_3 = """\
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 25
# HELP registry_http_request_duration_seconds The HTTP request latencies in seconds.
# TYPE registry_http_request_duration_seconds histogram
registry_http_request_duration_seconds_bucket{handler="base",method="get",le="0.005"} 1
registry_http_request_duration_seconds_sum{handler="base",method="get"} 0.0001
# HELP registry_proxy_hits_total The number of total proxy request hits
# TYPE registry_proxy_hits_total counter
registry_proxy_hits_total{type="blob"} 3
registry_proxy_hits_total{type="manifest"} 1
# HELP registry_proxy_pulled_bytes_total The size of total bytes pulled from the upstream
# TYPE registry_proxy_pulled_bytes_total counter
registry_proxy_pulled_bytes_total{type="blob"} 1.071072e+06
"""
# As registry 2.8.3 writes it, shortened; its memory statistics hold numbers of every kind.
REGISTRY_2 = json.dumps(
    {
        "cmdline": ["registry", "serve", "/etc/registry-cache/config.yml"],
        "memstats": {"Alloc": 3264712, "GCCPUFraction": 0.00013},
        "registry": {
            "proxy": {
                "blobs": {"Requests": 5, "Hits": 2, "Misses": 3, "BytesPulled": 4096, "BytesPushed": 8192},
                "manifests": {"Requests": 4, "Hits": 1, "Misses": 3, "BytesPulled": 90, "BytesPushed": 120},
            }
        },
    }
)
FOUND = {"docker.io": Finding(None, "", 100, 87), "ghcr.io": Finding("tls", "")}


def collected() -> str:
    """The guard's page for one cache with a limit."""
    cache = report.upstream(4096, 8192, True, {"blob.hit": 3, "error.rate_limited": 2}, 1700000000.5, None)
    state = {
        "limit": 1 << 30,
        "min_free": 1 << 29,
        "stuck": 0,
        "disk": {"size": 1 << 40, "free": 1 << 39},
        "last_run": {"at": 1700000000.25, "seconds": 12.5},
        "upstreams": {"docker.io": cache},
        "proofs": {"client-1": 1700000000},
    }
    return report.prometheus(state)


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """What a mirror with both kinds of registry has: metrics/, and a data directory for each upstream."""
    for name in ("metrics", "docker.io", "ghcr.io"):
        (tmp_path / name).mkdir()
    (tmp_path / "metrics" / "upstreams.prom").write_text(exposition.as_text(FOUND, 1800000000, 1700000000))
    (tmp_path / "metrics" / "upstreams.json").write_text("{}")
    (tmp_path / "metrics" / "collect.prom").write_text(collected())
    (tmp_path / "docker.io" / ".metrics").write_text(REGISTRY_3)
    (tmp_path / "ghcr.io" / ".vars.json").write_text(REGISTRY_2)
    return tmp_path


def sources(mirror: Path) -> Sources:
    return Sources(str(mirror / "metrics"), {name: str(mirror / name) for name in ("docker.io", "ghcr.io")})


def samples(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """By metric and label values, as Prometheus' own library reads them."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_all_sources_are_one_text_under_one_set_of_names(mirror: Path) -> None:
    found = samples(sources(mirror).text())
    assert found["registry_cache_bytes"] == {("docker.io",): 4096}
    assert found["registry_cache_last_use_timestamp_seconds"] == {("docker.io",): 1700000000.5}
    assert found["registry_cache_upstream_up"] == {("docker.io",): 1, ("ghcr.io",): 0}
    assert found["registry_proxy_hits_total"] == {
        ("docker.io", "blob"): 3,
        ("docker.io", "manifest"): 1,
        ("ghcr.io", "blob"): 2,
        ("ghcr.io", "manifest"): 1,
    }
    assert found["registry_proxy_pulled_bytes_total"] == {
        ("docker.io", "blob"): 1071072,
        ("ghcr.io", "blob"): 4096,
        ("ghcr.io", "manifest"): 90,
    }
    assert found["registry_proxy_pushed_bytes_total"][("ghcr.io", "blob")] == 8192
    assert found["registry_proxy_requests_total"][("ghcr.io", "manifest")] == 4
    assert found["registry_proxy_misses_total"][("ghcr.io", "manifest")] == 3


def test_the_catalogues_metrics_and_no_other_leave_the_mirror_with_its_types_and_labels(mirror: Path) -> None:
    """A registry's process and storage metrics stay there, and so does its command line."""
    known = {metric.name: metric for metric in METRICS}
    assert set(samples(sources(mirror).text())) == set(known)
    for family in text_string_to_metric_families(sources(mirror).text()):
        for sample in family.samples:
            assert sample.name in known
            assert known[sample.name].kind == family.type
            assert known[sample.name].labels == tuple(sample.labels)


def test_promtool_finds_nothing_to_say_against_the_text(mirror: Path) -> None:
    text = sources(mirror).text()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_those_who_ask_at_the_same_time_all_get_the_whole_text(mirror: Path) -> None:
    """Two Prometheus servers scrape one mirror: a directory that is open once is listed by one at a time."""
    asked = sources(mirror)
    whole = asked.text()
    with ThreadPoolExecutor(4) as askers:
        texts = list(askers.map(lambda _: asked.text(), range(500)))
    assert [text for text in texts if text != whole] == []


def test_what_is_no_metric_is_left_out_and_the_rest_stays() -> None:
    text = (
        "# HELP a_total A.\n# TYPE a_total counter\n"
        'a_total{x="1"} 3\n'
        'a_total{x="1} 4\n'
        "a_total{x=2} 5\n"
        "a_total\n"
        'a_total{x="\\"quoted\\" \\\\ \\n"} 1e3 1700000000000\n'
        "without_type 7\n"
        "half a li"
    )
    assert families.render([families.parse(text)]) == (
        "# HELP a_total A.\n# TYPE a_total counter\n"
        'a_total{x="1"} 3\n'
        'a_total{x="\\"quoted\\" \\\\ \\n"} 1e3\n'
    )


def test_a_sample_that_two_sources_have_stands_once() -> None:
    one = families.parse("# TYPE a gauge\na 1\na 2\n")
    other = families.parse('# TYPE a gauge\na 3\na{x="1"} 4\n')
    assert families.render([one, other]) == '# TYPE a gauge\na 2\na{x="1"} 4\n'


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", '{"registry": {}}', '{"registry": {"proxy": {"blobs": {"Requests": 1}}}}', "null"),
        "[" * 100_000,
        '{"registry": {"proxy": 7}}',
        '{"registry": {"proxy": {"blobs": null}}}',
        REGISTRY_2.replace("8192", "1e999"),
        REGISTRY_2.replace("8192", "NaN"),
        REGISTRY_2.replace("8192", "9" * 5000),
    ],
)
def test_counters_of_registry_2_that_are_not_as_it_writes_them_are_none(text: str) -> None:
    assert registry_counters.of_registry_2(text) == {}


def test_a_registry_that_has_not_proxied_yet_has_none(mirror: Path) -> None:
    (mirror / "ghcr.io" / ".vars.json").write_text('{"registry": {"proxy": {}}}')
    assert ("ghcr.io", "blob") not in samples(sources(mirror).text())["registry_proxy_hits_total"]


def test_counters_of_a_registry_that_no_longer_runs_are_left_out(mirror: Path) -> None:
    old = time.time() - STALE_SECONDS - 5
    os.utime(mirror / "docker.io" / ".metrics", (old, old))
    assert set(samples(sources(mirror).text())["registry_proxy_hits_total"]) == {
        ("ghcr.io", "blob"),
        ("ghcr.io", "manifest"),
    }


@pytest.mark.parametrize("kind", ["a link", "a pipe", "a folder"])
def test_what_a_cache_could_put_in_its_place_is_not_followed(kind: str, mirror: Path) -> None:
    file = mirror / "docker.io" / ".metrics"
    secret = mirror / "secret"
    secret.write_text("# TYPE registry_proxy_stolen gauge\nregistry_proxy_stolen 1\n")
    file.unlink()
    if kind == "a link":
        file.symlink_to(secret)
    elif kind == "a pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    text = sources(mirror).text()
    assert "stolen" not in text
    assert "docker.io" in text, "by the prober"


def test_a_directory_that_is_gone_is_noticed(mirror: Path) -> None:
    opened = sources(mirror)
    (mirror / "docker.io" / ".metrics").unlink()
    (mirror / "docker.io").rmdir()
    with pytest.raises(Removed):
        opened.text()


# The server

Serve = Callable[..., Server]


@pytest.fixture
def serve(mirror: Path) -> Iterator[Serve]:
    running: list[tuple[Server, threading.Thread]] = []

    def start(*networks: str) -> Server:
        server = Server(0, networks, sources(mirror))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(server: Server, path: str = "/metrics", method: str = "GET", host: str = "127.0.0.1") -> Any:
    url = f"http://{host}:{server.server_port}{path}"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10)
    except urllib.error.HTTPError as refusal:
        return refusal


def test_the_metrics_are_served_as_prometheus_wants_them(serve: Serve) -> None:
    answer = ask(serve("192.0.2.0/24"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE)
    assert answer.headers["Server"] == "registry-cache"
    assert samples(answer.read().decode())["registry_cache_bytes"] == {("docker.io",): 4096}


def test_a_head_has_no_body_and_another_path_or_method_no_answer(serve: Serve) -> None:
    server = serve("192.0.2.0/24")
    assert ask(server, method="HEAD").read() == b""
    assert ask(server, "/").status == 404
    assert ask(server, "/metrics/../../etc/passwd").status == 404
    assert ask(server, method="POST").status == 501


def test_by_ipv4_and_by_ipv6_where_an_ipv6_network_may_read(serve: Serve) -> None:
    assert ask(serve("2001:db8::/32"), host="[::1]").status == 200
    assert ask(serve("2001:db8::/32")).status == 200
    with pytest.raises(OSError, match="refused"):
        ask(serve("192.0.2.0/24"), host="[::1]")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.3.7", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("fe80::1%eth0", False),
        ("127.0.0.1", True),
        ("::1", True),
    ],
)
def test_a_stranger_is_refused_even_without_the_firewall(address: str, allowed: bool, serve: Serve) -> None:
    server = serve("192.0.2.0/24", "2001:db8::/32")
    assert server.verify_request(None, (address, 12345)) is allowed


def test_a_stranger_gets_no_byte(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve("192.0.2.0/24")
    monkeypatch.setattr(server, "verify_request", lambda *_: False)
    with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        connection.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_server_whose_directory_was_replaced_ends_so_that_it_is_started_anew(
    serve: Serve, mirror: Path
) -> None:
    server = serve("192.0.2.0/24")
    (mirror / "docker.io" / ".metrics").unlink()
    (mirror / "docker.io").rmdir()
    assert ask(server).status == 503
    assert server.removed
