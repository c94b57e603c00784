"""What the stack's settings become for the collector, and how `make collect` tells what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import collect
from components.collector import settings as told
from components.lib.collect_settings import CachePlace, CollectSettings, render
from components.lib.remote import HostFailed, Remote
from components.stack_hosts import StackHosts
from tests.unit.settings_sample import load

PLACES = [
    CachePlace("docker.io", "registry-cache-docker.io", "/data/docker.io"),
    CachePlace("registry.test:5000", "registry-cache-registry.test-5000", "/data/registry.test:5000"),
]


def test_the_collector_reads_what_is_written_for_it() -> None:
    settings = CollectSettings("10GiB", "5%", "168h", "720h", "daily 03:00", {"registry.test:5000": "512MiB"})
    read = told.parse(render(settings, PLACES))
    assert read.limit == 10 * 2**30
    assert (read.ttl, read.untagged, read.collect) == (168 * 3600, 720 * 3600, "daily 03:00")
    assert [(one.name, one.container, one.data, one.limit) for one in read.upstreams] == [
        ("docker.io", "registry-cache-docker.io", "/data/docker.io", None),
        ("registry.test:5000", "registry-cache-registry.test-5000", "/data/registry.test:5000", 512 * 2**20),
    ]
    assert 0.5 < read.low < read.high < 1.0


def test_no_limit_for_ever_and_keep_are_told_as_such() -> None:
    read = told.parse(render(CollectSettings(None, "2GiB", "0s", "keep", "hourly"), PLACES))
    assert (read.limit, read.ttl, read.untagged) == (None, 0, None)


@pytest.mark.parametrize(("min_free", "expected"), [("5%", 50_000), ("1MiB", 2**20)])
def test_the_reserve_is_a_share_or_a_size(min_free: str, expected: int) -> None:
    read = told.parse(render(CollectSettings(None, min_free, "0s", "keep", "hourly"), PLACES))
    assert read.min_free_of(1_000_000) == expected


def test_a_changed_value_is_a_changed_line() -> None:
    before = render(CollectSettings("10GiB", "5%", "168h", "keep", "hourly"), PLACES).splitlines()
    after = render(CollectSettings("20GiB", "5%", "168h", "keep", "hourly"), PLACES).splitlines()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_make_collect_shows_a_line_a_mirror_and_fails_where_one_failed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(host: Remote, script: str, arguments: object, stdin: str, timeout: int) -> str:
        assert script == "collect_now.sh"
        if host.name == "mirror-2":
            raise HostFailed("mirror-2: there is no collector on this host yet")
        return "before 1 B, after 1 B\n"

    hosts = {name: Remote(name, f"root@{name}", [], sudo=False) for name in ("mirror-1", "mirror-2")}
    monkeypatch.setattr(Remote, "run", run)
    monkeypatch.setattr(collect, "hosts_of", lambda _stack, _root: StackHosts(load(project), hosts, {}))
    assert collect.main(["office"], project) == 1
    shown = capsys.readouterr()
    assert shown.out == "mirror-1: before 1 B, after 1 B\n"
    assert "mirror-2: there is no collector" in shown.err


def test_make_collect_tells_of_mistakes_in_the_settings(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "Pulumi.yaml").write_text("name: registry-cache\n")
    assert collect.main(["nowhere"], project) == 2
    assert "Pulumi.nowhere.yaml" in capsys.readouterr().err
