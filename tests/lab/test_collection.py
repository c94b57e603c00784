"""A cache keeps within its size while it serves, whatever happens to what sees to that."""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components import collect
from lab import Lab
from lab.bulk import MEBIBYTE, BulkImages
from lab.machine import LabHost
from tests.lab.program_stage import HUB, Stage

HERE = Path(__file__).parent
DATA = "/data/docker_registry/docker.io"
STORAGE = f"{DATA}/docker/registry/v2"
CONTAINER = "registry-cache-docker.io"
UNIT = "registry-cache-collect"
REPORT = "/var/lib/registry-cache/metrics/collect.json"
OFTEN = "nginx"
LIMIT = 200 * MEBIBYTE
IMAGES = BulkImages(128, (8, 5, 3))
"""2 GiB of images, of which a dozen find room."""

LONG_SECONDS = 1500
"""For 2 GiB on a machine that has other things to do; left to itself, it takes a minute."""

KILLS = 10
SEED = 20261125


@dataclass
class Limited:
    """A mirror whose cache has a limit, a client that checks every byte, and one with a real Docker."""

    stage: Stage
    major: str
    mirror: LabHost
    puller: LabHost
    docker: LabHost
    url: str

    def report(self) -> dict[str, Any]:
        return dict(json.loads(self.mirror.read(REPORT)))

    def lines(self, since: float) -> list[str]:
        """What the collector's runs said in the journal."""
        command = f"journalctl -t {UNIT} --since @{since:.0f} -o cat --no-pager"
        return self.mirror.run(command).stdout.splitlines()

    def pull(self, images: list[str], *, at_once: int) -> dict[str, Any]:
        """Has the checking client pull each of these once, and gives what it found."""
        command = _python("checking_puller.py", f"{self.url} {at_once} once")
        answer = self.puller.run(command, "\n".join([*images, "\n"]), timeout=LONG_SECONDS)
        return dict(json.loads(answer.stdout))

    @contextmanager
    def pulling(self, images: list[str], *, at_once: int) -> Iterator[dict[str, Any]]:
        """Has it pull these over and over while the block runs; filled in at its end."""
        found: dict[str, Any] = {}
        command = [*self.puller.ssh_command(), _python("checking_puller.py", f"{self.url} {at_once} endless")]
        puller = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert puller.stdin is not None
        puller.stdin.write("\n".join([*images, "\n"]))
        puller.stdin.flush()
        try:
            yield found
        finally:
            answer, _ = puller.communicate(timeout=LONG_SECONDS)
        found.update(json.loads(answer))


def _python(script: str, arguments: str) -> str:
    return f"python3 -c {shlex.quote((HERE / script).read_text())} {arguments}"


@contextmanager
def sampled(host: LabHost) -> Iterator[dict[str, Any]]:
    """What a cache takes on disk, looked at all the time while the block runs; filled in at its end."""
    found: dict[str, Any] = {}
    command = [*host.ssh_command(), _python("size_sampler.py", f"{DATA} 0.08")]
    sampler = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield found
    finally:
        answer, _ = sampler.communicate("stop\n", timeout=60)
    found.update(json.loads(answer))


@contextmanager
def meanwhile(work: Callable[[], object], period: float) -> Iterator[list[object]]:
    """Does something now and again while the block runs, and raises what it raised."""
    done: list[object] = []
    failed: list[BaseException] = []
    ended = threading.Event()

    def again() -> None:
        while not ended.is_set():
            try:
                done.append(work())
            except BaseException as error:
                failed.append(error)
                return
            ended.wait(period)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield done
    finally:
        ended.set()
        thread.join()
    if failed:
        raise failed[0]


@pytest.fixture(scope="module")
def published(lab: Lab) -> None:
    """The images are at the upstream, for both versions."""
    lab.upstream.publish(IMAGES)


@pytest.fixture(scope="module", params=["2", "3"])
def limited(
    request: pytest.FixtureRequest,
    published: None,
    lab: Lab,
    plugins: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Limited]:
    """One cache of each major version, with a limit of 200 MiB; registry 2 speaks plain http."""
    major = str(request.param)
    mode = {"2": "off", "3": "self-signed"}[major]
    lab.renew(["mirror-1"])
    lab.up(["client-1", "client-2"])
    directory = tmp_path_factory.mktemp(f"limited-{major}") / "clone"
    stage = Stage.of(
        lab,
        directory,
        plugins,
        ["mirror-1"],
        ["client-1"],
        mirrorsAreClients=False,
        registry={"image": lab.registry_images[major]},
        tls={"mode": mode},
        cache={"limit": "200MiB"},
    )
    mirror = lab.host("mirror-1")
    url = f"http://{mirror.address}:5000" if mode == "off" else f"https://{mirror.address}"
    try:
        stage.up()
        yield Limited(stage, major, mirror, lab.host("client-2"), lab.host("client-1"), url)
    finally:
        stage.project.destroy(check=False)


@pytest.mark.timeout(LONG_SECONDS + 300, func_only=True)
def test_two_gibibytes_in_a_loop_stay_within_200_mebibytes_and_every_pull_is_right(limited: Limited) -> None:
    upstream = limited.stage.lab.upstream
    pull_anew = f"docker image rm -f {HUB}/{OFTEN}:latest >/dev/null; docker pull -q {HUB}/{OFTEN}:latest"
    limited.docker.run(pull_anew)
    upstream.forget()
    begin = time.time()

    with sampled(limited.mirror) as sizes, meanwhile(lambda: limited.docker.run(pull_anew), 2.0) as often:
        pulled = limited.pull(IMAGES.names, at_once=4)

    print(f"registry {limited.major}: {pulled} {sizes}, {len(often)} pulls by Docker")
    print("\n".join(limited.lines(begin)))
    assert pulled["failures"] == []
    assert pulled["images"] == IMAGES.count
    assert pulled["bytes"] > IMAGES.count * IMAGES.image_bytes
    assert sizes["largest"] <= LIMIT + IMAGES.image_bytes
    assert sizes["largest"] > LIMIT / 2, "the cache was filled"
    assert sizes["samples"] > pulled["seconds"], "it was looked at all the time"
    assert len(often) > 3
    asked = upstream.requests()
    assert not [r for r in asked if f"/{OFTEN}/blobs/" in r.path], "what is used often is not fetched again"
    assert {r.client for r in asked if "/bulk/" in r.path} == {"mirror-1"}
    freed = IMAGES.count * IMAGES.image_bytes - LIMIT - IMAGES.image_bytes
    # The report is written now and again, and once more when a run ends.
    deadline = time.monotonic() + 90
    while limited.report()["upstreams"]["docker.io"]["evictions"]["limit"][1] <= freed:
        assert time.monotonic() < deadline, limited.report()["upstreams"]
        time.sleep(1)


def test_a_run_says_what_it_did_in_one_line_of_the_journal(limited: Limited) -> None:
    since = time.time() - 60
    limited.mirror.run(f"systemctl stop {UNIT}.service {UNIT}-relief.service")
    lines = [line for line in limited.lines(since) if line]
    assert lines
    for line in lines:
        assert line.startswith("before "), line
        assert " after " in line
        assert " removed " in line
        assert line.endswith("at work"), line


def test_make_collect_runs_once_on_every_mirror_and_shows_the_result(
    limited: Limited, capsys: pytest.CaptureFixture[str]
) -> None:
    # The stack's files as `make collect` reads them.
    root = limited.stage.project.directory
    assert collect.main(["test"], root) == 0
    line = capsys.readouterr().out.strip()
    assert line.startswith("mirror-1: before ")
    assert len(line.splitlines()) == 1
    limited.mirror.run(
        f"for try in $(seq 100); do systemctl is-active -q {UNIT}.timer && exit; sleep 0.1; done; exit 1"
    )


def test_the_collector_may_do_little_besides_its_work(limited: Limited) -> None:
    """Looked at in its own namespace, where what it is kept from does not answer."""
    script = (
        "pid=0; until [ $pid -gt 0 ]; do sleep 0.1; "
        f"pid=$(systemctl show -p MainPID --value {UNIT}); done; "
        "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status; ionice -p $pid; "
        "echo interfaces $(sed -n 's/^ *\\([^:]*\\):.*/\\1/p' /proc/$pid/net/dev); "
        "nsenter -t $pid -m -- sh -c '"
        f"touch {DATA}/.try && rm {DATA}/.try && echo data; touch /etc/.try 2>/dev/null && echo etc; "
        "curl -s --unix-socket /run/docker.sock http://localhost/_ping; true'"
    )
    said = limited.mirror.run(script).stdout
    status = dict(line.split(":\t") for line in said.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == 2, "CAP_DAC_OVERRIDE and no other"
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "best-effort: prio 7" in said
    assert "interfaces lo\n" in said
    assert said.splitlines()[-1] == "data", "neither /etc nor Docker"


@pytest.mark.timeout(LONG_SECONDS + 300, func_only=True)
def test_killed_ten_times_in_the_middle_nothing_is_answered_wrongly(limited: Limited) -> None:
    chance = random.Random(SEED)  # noqa: S311 - no secret
    count = f"ls -d {STORAGE}/blobs/sha256/*/* | wc -l"
    killed: list[float] = []
    begin = time.time()

    with limited.pulling(IMAGES.names, at_once=4) as pulled:
        for _ in range(KILLS):
            # From the moment on in which it removes something, some of that round passes.
            limited.mirror.run(
                f"most=0; end=$((SECONDS + 100)); until now=$({count}); [ $now -lt $most ]; do most=$now; "
                f"[ $SECONDS -lt $end ] || exit 1; done; sleep {chance.uniform(0.0, 0.6):.3f}; "
                f"systemctl kill -s KILL {UNIT}.service {UNIT}-relief.service"
            )
            killed.append(round(time.time() - begin, 1))

    print(f"registry {limited.major}: killed after {killed} s; {pulled}")
    assert pulled["failures"] == []
    assert pulled["images"] > KILLS
    assert_cached_answers_are_right(limited)
    # There may be little left of what was there in the middle of it.
    assert limited.pull(IMAGES.names[:KILLS], at_once=4)["failures"] == []
    assert assert_cached_answers_are_right(limited) > 5


def assert_cached_answers_are_right(limited: Limited) -> int:
    """Asks for every blob of every repository, with the upstream away, checks what comes, and counts it."""
    upstream = limited.stage.lab.upstream
    links = limited.mirror.run(
        f"cd {STORAGE}/repositories && find . -path '*/_layers/sha256/*' -type d"
    ).stdout.split()
    upstream.stop()
    try:
        wrong, right = [], 0
        for link in links:
            repository, digest = link[2:].split("/_layers/sha256/")
            url = f"{limited.url}/v2/{repository}/blobs/sha256:{digest}"
            answer = limited.puller.run(
                f"set -o pipefail; curl -sk -w '%{{stderr}}%{{http_code}}' {url} | sha256sum", check=False
            )
            if answer.stderr.endswith("200"):
                ok = answer.code == 0 and answer.stdout.split()[0] == digest
                right += ok
                wrong += [] if ok else [f"{url}: {answer}"]
        print(f"registry {limited.major}: {len(links)} blobs: {right} right, {len(wrong)} wrong, others gone")
        assert wrong == []
    finally:
        upstream.start()
    return right


def test_a_destroy_leaves_nothing_of_the_collector(limited: Limited) -> None:
    limited.stage.project.destroy()
    left = limited.mirror.run(
        f"systemctl list-units --all --no-legend '{UNIT}*'; ls -d /etc/systemd/system/{UNIT}* "
        "/etc/registry-cache /var/lib/registry-cache /run/registry-cache 2>/dev/null; true"
    ).stdout
    assert left == ""
