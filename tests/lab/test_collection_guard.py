"""The guard acts before the disk is full, also where something else than the cache fills it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from lab.bulk import MEBIBYTE, BulkImages
from lab.machine import LabHost
from tests.lab.program_stage import Stage
from tests.lab.test_collection import UNIT, Limited

DISK = 400 * MEBIBYTE
MIN_FREE = 100 * MEBIBYTE
IMAGES = BulkImages(24, (8, 5, 3))
"""More than there is room for."""

WITHIN_SECONDS = 60


@pytest.fixture(scope="module")
def guarded(lab: Lab, plugins: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    """A cache without a limit, on a file system of its own of 400 MiB: 100 MiB are to be kept free."""
    lab.renew(["mirror-1"])
    lab.up(["client-1", "client-2"])
    lab.upstream.publish(IMAGES)
    mirror = lab.host("mirror-1")
    mirror.run(f"mkdir -p /data && mount -t tmpfs -o size={DISK} tmpfs /data")
    directory = tmp_path_factory.mktemp("guarded") / "clone"
    stage = Stage.of(
        lab,
        directory,
        plugins,
        ["mirror-1"],
        ["client-1"],
        mirrorsAreClients=False,
        cache={"minFree": "100MiB"},
    )
    try:
        stage.up()
        yield Limited(
            stage, "3", mirror, lab.host("client-2"), lab.host("client-1"), f"https://{mirror.address}"
        )
    finally:
        stage.project.destroy(check=False)


def free(mirror: LabHost) -> int:
    return int(mirror.run("df --output=avail -B1 /data | tail -n 1").stdout)


def until(mirror: LabHost, minimum: int) -> float:
    """The seconds until so much is free."""
    begin = time.monotonic()
    while (now := free(mirror)) < minimum:
        assert time.monotonic() - begin < WITHIN_SECONDS, f"{now} bytes free"
        time.sleep(0.1)
    return time.monotonic() - begin


def report_with(guarded: Limited, stuck: bool) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN_SECONDS
    while ((report := guarded.report())["stuck"] > 0) is not stuck:
        assert time.monotonic() < deadline, json.dumps(report["last_run"])
        time.sleep(0.5)
    return report


def test_the_cache_itself_does_not_fill_the_disk(guarded: Limited) -> None:
    pulled = guarded.pull([*IMAGES.names, *IMAGES.names], at_once=2)
    assert pulled["failures"] == []
    assert pulled["images"] == 2 * IMAGES.count
    until(guarded.mirror, MIN_FREE)
    evictions = guarded.report()["upstreams"]["docker.io"]["evictions"]
    assert evictions["limit"] == [0, 0], "there is none"


def test_what_others_write_makes_the_cache_give_way_while_it_serves(guarded: Limited) -> None:
    lowest = free(guarded.mirror)
    for part in range(10):
        guarded.mirror.run(f"head -c 20M /dev/zero >/data/filler.{part}")
        lowest = min(lowest, free(guarded.mirror))
    took = until(guarded.mirror, MIN_FREE)
    print(f"lowest: {lowest // MEBIBYTE} MiB free; the reserve was back after {took:.1f} s")
    assert lowest > 0
    pulled = guarded.pull(IMAGES.names[:4], at_once=2)
    assert pulled["failures"] == []
    assert guarded.report()["upstreams"]["docker.io"]["evictions"]["disk"][1] > 50 * MEBIBYTE


def test_where_nothing_may_go_any_more_that_is_said(guarded: Limited) -> None:
    begin = time.time()
    guarded.mirror.run("head -c 150M /dev/zero >/data/filler.last 2>/dev/null; true")
    report = report_with(guarded, stuck=True)
    assert report["disk"]["free"] < MIN_FREE
    guarded.mirror.run(f"systemctl stop {UNIT}.service {UNIT}-relief.service")
    assert any("nothing else may go" in line for line in guarded.lines(begin))
    guarded.mirror.run("rm /data/filler.*")
    report_with(guarded, stuck=False)
