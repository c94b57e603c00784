"""What is off, what cannot be told, what is worth a look: and what scripts get of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from components.lib.remote import HostFailed, Unreachable
from components.stack_hosts import StackHosts
from components.status import __main__ as command
from components.status import table
from components.status.asking import Answers
from components.status.document import document
from components.status.judgement import Finding, Level, judge, verdict
from components.status.page import page
from components.status.phrases import ago, share, size, span
from components.status.plots import plots
from components.status.records import Sample
from components.status.standing import Standing, put_together
from tests.unit.status_sample import (
    ADDRESSES,
    GIB,
    NOW,
    URLS,
    a_day,
    certificate,
    client,
    collect_json,
    given_up,
    mirror,
    settings,
    upstreams_json,
)

Said = dict[str, Answers | HostFailed]


def all_well() -> Said:
    """Hosts with nothing to say about them."""
    collected = collect_json()
    for row in collected["samples"]:
        row[8] = 0
    for upstream in collected["upstreams"].values():
        upstream["errors"] = {}
    collected["proofs"] = {"web-3": NOW - 9000, "db-1": NOW - 9000}
    return {
        "mirror-1": mirror("mirror-1", collected, upstreams_json()),
        "mirror-2": mirror("mirror-2", {**collected, "pulls": [], "clients": {}}, upstreams_json()),
        "web-1": client("web-1", {300: "nginx:latest"}),
        "web-2": client("web-2", {}),
        "web-3": client("web-3", {}),
        "db-1": client("db-1", {}),
    }


def standing_of(tmp_path: Path, said: Said, hours: int = 24) -> Standing:
    return put_together("office", settings(tmp_path), said, NOW, hours)


def judged(tmp_path: Path, **changes: Answers | HostFailed) -> list[Finding]:
    """The findings on hosts with nothing off but what a test changes; `mirror_1` is mirror-1."""
    said = {**all_well(), **{name.replace("_", "-"): answer for name, answer in changes.items()}}
    return judge(standing_of(tmp_path, said))


def collected(**changes: object) -> dict[str, object]:
    """The record of a mirror with nothing off."""
    said = all_well()["mirror-1"]
    assert isinstance(said, Answers)
    return {**json.loads(said.said["collected"]), **changes}


def of_hub(**changes: object) -> dict[str, object]:
    """The same with another cache of docker.io."""
    upstreams = collected()["upstreams"]
    assert isinstance(upstreams, dict)
    return collected(upstreams={**upstreams, "docker.io": {**upstreams["docker.io"], **changes}})


def test_hosts_with_nothing_off_are_all_well(tmp_path: Path) -> None:
    findings = judged(tmp_path)
    assert findings == []
    assert verdict(findings) is Level.OK


REFUSED = given_up(302, "203.0.113.10", "connection refused")


@pytest.mark.parametrize(
    ("host", "answer", "level", "cell", "text"),
    [
        (
            "mirror-1",
            Unreachable("mirror-1: status.sh failed: No route to host"),
            Level.UNKNOWN,
            "host",
            "mirror-1: gave no answer: No route to host",
        ),
        (
            "mirror-1",
            mirror("mirror-1", None, upstreams_json()),
            Level.UNKNOWN,
            "held",
            "mirror-1: the collector has written nothing yet",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), None),
            Level.UNKNOWN,
            "upstream",
            "mirror-1: the prober has written nothing yet",
        ),
        (
            "mirror-1",
            mirror("mirror-1", "half a rec", upstreams_json()),
            Level.UNKNOWN,
            "host",
            "mirror-1: cannot be understood: collect.json: ",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(at=NOW - 600), upstreams_json()),
            Level.OFF,
            "held",
            "mirror-1: the collector does not run: it wrote last 10 min ago",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), {**upstreams_json(), "at": NOW - 7200}),
            Level.OFF,
            "upstream",
            "mirror-1: the prober does not run: it wrote last 2 h ago",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(min_free=300 * GIB), upstreams_json()),
            Level.OFF,
            "disk",
            "mirror-1: 210 GiB are free on the disk, less than cache.minFree, 300 GiB",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(limit=GIB), upstreams_json()),
            Level.OFF,
            "held",
            "above cache.limit, 1.0 GiB",
        ),
        (
            "mirror-1",
            mirror("mirror-1", of_hub(bytes=105 * 2**20, limit=100 * 2**20), upstreams_json()),
            Level.NOTE,
            "held",
            "mirror-1, docker.io: the cache holds 105 MiB, above its limit, 100 MiB",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(), certificate=certificate(NOW - 60)),
            Level.OFF,
            "certificate",
            "mirror-1: the certificate ended on ",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(), certificate=certificate(NOW + 5 * 86400)),
            Level.OFF,
            "certificate",
            "mirror-1: the certificate ends in 5 days: run `up`",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(), certificate=certificate(NOW + 20 * 86400)),
            Level.NOTE,
            "certificate",
            "mirror-1: the certificate ends in 20 days: the next `up` renews it",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(), containers="registry-cache-ghcr.io Up 1 h"),
            Level.OFF,
            "container",
            "mirror-1, docker.io: the cache does not run (not there): run `up`",
        ),
        (
            "mirror-1",
            mirror(
                "mirror-1",
                collected(),
                upstreams_json(),
                containers="registry-cache-ghcr.io Up 1 h\nregistry-cache-docker.io Exited (2) 3 minutes ago",
            ),
            Level.OFF,
            "container",
            "mirror-1, docker.io: the cache does not run (Exited (2) 3 minutes ago)",
        ),
        (
            "mirror-1",
            mirror(
                "mirror-1",
                collected(),
                upstreams_json(),
                containers="registry-cache-ghcr.io Up 1 h\nregistry-cache-docker.io Up 5 minutes (Paused)",
            ),
            Level.OFF,
            "container",
            "mirror-1, docker.io: the cache does not run (Up 5 minutes (Paused)): run `up`",
        ),
        (
            "mirror-1",
            mirror(
                "mirror-1",
                collected(),
                upstreams_json(docker_io={"up": False, "refusal": "unreachable", "detail": "no route"}),
            ),
            Level.OFF,
            "upstream",
            "mirror-1, docker.io: the upstream cannot be reached (no route)",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(docker_io={"rate_limit_remaining": 0})),
            Level.OFF,
            "rate_limit",
            "mirror-1, docker.io: nothing is left of the upstream's rate limit",
        ),
        (
            "mirror-1",
            mirror("mirror-1", collected(), upstreams_json(docker_io={"rate_limit_remaining": 9})),
            Level.NOTE,
            "rate_limit",
            "mirror-1, docker.io: 9 of 100 are left of the upstream's rate limit",
        ),
        (
            "mirror-1",
            mirror("mirror-1", of_hub(errors={"rate_limited": 3}), upstreams_json()),
            Level.NOTE,
            "upstream",
            "mirror-1, docker.io: 3 requests to the upstream failed in the last 24 h",
        ),
        (
            "web-1",
            Unreachable("web-1: no answer"),
            Level.UNKNOWN,
            "host",
            "web-1: gave no answer: no answer",
        ),
        (
            "web-1",
            Answers({"now": "1"}, {"mirrors": "Cannot connect to the Docker daemon"}),
            Level.OFF,
            "uses",
            "web-1: Docker does not answer: Cannot connect to the Docker daemon",
        ),
        (
            "web-1",
            client("web-1", {}, mirrors=URLS["mirror-2"]),
            Level.OFF,
            "uses",
            "web-1: the running Docker does not have the mirror https://203.0.113.10: run `up`",
        ),
        (
            "web-1",
            client("web-1", {}, store="[[driver-type io.containerd.snapshotter.v1]]"),
            Level.OFF,
            "uses",
            "web-1: /etc/docker/certs.d/docker.io/hosts.toml does not have the mirror ",
        ),
        (
            "web-1",
            client("web-1", {}, mirrors="\n".join([*URLS.values(), "https://elsewhere"])),
            Level.NOTE,
            "uses",
            "web-1: the running Docker has a mirror besides: https://elsewhere",
        ),
        (
            "web-1",
            client("web-1", {300: "nginx", 200: "alpine"}),
            Level.OFF,
            "past",
            "web-1: 1 of 2 pulls in the last 24 h went past the mirrors to Docker Hub, "
            "the last one 3 min ago, library/alpine",
        ),
        (
            "web-1",
            client("web-1", {301: "redis"}, REFUSED),
            Level.OFF,
            "past",
            "web-1: its one pull in the last 24 h went past the mirrors to Docker Hub, "
            "the last one 5 min ago, library/redis: connection refused",
        ),
        (
            "web-1",
            Answers(
                {key: text for key, text in client("web-1", {}).said.items() if key != "events"},
                {"events": "refused"},
            ),
            Level.UNKNOWN,
            "past",
            "web-1: whether it went past its mirrors is not known: Docker does not tell what it pulled",
        ),
    ],
)
def test_each_thing_that_is_off_is_found_and_named(
    tmp_path: Path, host: str, answer: Answers | HostFailed, level: Level, cell: str, text: str
) -> None:
    found = judged(tmp_path, **{host.replace("-", "_"): answer})
    mine = [finding for finding in found if finding.host == host and finding.cell == cell]
    assert [finding.level for finding in mine] == [level], found
    assert text in str(mine[0])


def test_what_is_off_in_one_place_is_not_said_of_another(tmp_path: Path) -> None:
    (finding,) = judged(tmp_path, web_1=client("web-1", {300: "nginx", 200: "alpine"}))
    assert finding.host == "web-1"


def test_a_pull_by_an_address_of_nobodys_is_a_note_and_not_a_guess(tmp_path: Path) -> None:
    """As behind Docker's IPv6 proxy, where all clients look alike."""
    asked = [[NOW - 300, "docker.io", "172.17.0.1", "library/nginx"]]
    found = judged(tmp_path, mirror_1=mirror("mirror-1", collected(pulls=asked), upstreams_json()))
    (finding,) = [one for one in found if one.cell == "past"]
    assert (finding.host, finding.level) == ("web-1", Level.NOTE)
    assert "cannot be told" in finding.text


def test_a_mirror_that_is_away_leaves_its_clients_pulls_open(tmp_path: Path) -> None:
    found = judged(tmp_path, mirror_1=Unreachable("mirror-1: away"))
    assert {(one.host, one.cell, one.level) for one in found} >= {
        ("mirror-1", "host", Level.UNKNOWN),
        ("web-1", "past", Level.UNKNOWN),
    }
    assert verdict(found) is Level.UNKNOWN


def test_what_is_off_outweighs_what_cannot_be_told(tmp_path: Path) -> None:
    findings = judge(standing_of(tmp_path, a_day()))
    assert {finding.level for finding in findings} == {Level.OFF, Level.UNKNOWN, Level.NOTE}
    assert findings[0].level is Level.OFF, "the worst comes first"
    assert verdict(findings) is Level.OFF


def shown(standing: Standing, width: int = 160) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table.report(standing, judge(standing)))
    return captured.get()


def test_the_tables_have_a_row_for_each_mirror_cache_and_client(tmp_path: Path) -> None:
    lines = [line.split() for line in shown(standing_of(tmp_path, a_day())).splitlines()]
    rows = [tuple(line[:2]) for line in lines if len(line) > 4 and line[0] in ADDRESSES]
    assert rows == [
        *(("mirror-1", "answers"), ("mirror-2", "answers")),
        *(("mirror-1", "docker.io"), ("mirror-1", "ghcr.io")),
        *(("mirror-2", "docker.io"), ("mirror-2", "ghcr.io")),
        *(("web-1", "mirror-1,"), ("web-2", "mirror-1,"), ("web-3", "no"), ("db-1", "mirror-1,")),
    ]


def test_on_a_narrow_terminal_what_a_row_is_about_stands_whole(tmp_path: Path) -> None:
    lines = shown(standing_of(tmp_path, a_day()), width=80).splitlines()
    named = {tuple(line.split()[:2]) for line in lines if line.split()[:1] in (["mirror-1"], ["mirror-2"])}
    assert {("mirror-1", "docker.io"), ("mirror-1", "ghcr.io"), ("mirror-2", "docker.io")} <= named
    assert "…" not in "".join(lines), "nothing is cut off"


def test_without_colours_it_is_told_what_is_off(tmp_path: Path) -> None:
    text = shown(standing_of(tmp_path, a_day()))
    assert "1 of 2, last 30 min ago !" in text
    assert "no answer ?" in text
    assert "rate limited !" in text
    assert text.rstrip().endswith("2 things off")


def test_the_document_keeps_its_keys(tmp_path: Path) -> None:
    """docs/operations/status.md promises them to scripts."""
    standing = standing_of(tmp_path, a_day())
    whole = json.loads(json.dumps(document(standing, judge(standing))))
    described = Path(__file__).parent.parent.parent / "docs" / "operations" / "status.md"
    documented = set(re.findall(r"`([a-z_]+)`", described.read_text()))

    def keys(value: object) -> set[str]:
        if isinstance(value, dict):
            return {str(key) for key in value} | {one for inner in value.values() for one in keys(inner)}
        return {one for inner in value for one in keys(inner)} if isinstance(value, list) else set()

    assert keys(whole) <= documented, "a key without a word about it"
    assert whole["version"] == 1
    assert (whole["verdict"], whole["exit_code"]) == ("off", 1)
    cache = whole["mirrors"][0]["caches"][0]
    assert (
        cache["recent"]["saved_bytes"] == cache["recent"]["served_bytes"] - cache["recent"]["fetched_bytes"]
    )
    assert whole["clients"][1]["last_past"] == {
        "at": "2026-11-25T09:16:40Z",
        "image": "library/alpine",
        "reason": "dial tcp 203.0.113.10:443: connect: connection refused",
    }
    assert whole["clients"][2]["answers"] is False


def test_the_page_has_all_of_it_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    standing = standing_of(tmp_path, a_day())
    text = page(standing, judge(standing))
    assert text.count("<svg") == 12, "three plots of each cache"
    assert all(name in text for name in ADDRESSES)
    assert "library/alpine" in text
    assert not re.search(r"<(script|link(?! rel=\"icon\" href=\"data:,\")|img|iframe|object)", text)
    assert not re.search(r"url\((?!#)|@import", text)
    assert re.findall(r'(?:href|src)="(?!#|data:)[^"]*"', text) == []
    assert "#010101" not in text, "plots take the page's colours"


def test_plots_begin_with_the_collector() -> None:
    """And show all that it counted, none of it twice."""
    rows = [Sample(NOW - 7200 + 60 * n, "docker.io", GIB, 3 * n, n, 0, 0, 0, 0) for n in range(121)]
    requests = plots(rows, None, NOW - 86400, NOW)[0]
    assert requests.description == "360 requests answered from the cache, 120 fetched from the upstream."
    assert len(set(re.findall(r">(\d\d:\d\d)<", requests.svg))) >= 3, "the two hours fill the width"


def test_what_hosts_say_is_text_on_the_page(tmp_path: Path) -> None:
    said: Said = dict.fromkeys(ADDRESSES, Unreachable("away"))
    said["web-1"] = HostFailed('web-1: <script>alert("x")</script>')
    standing = standing_of(tmp_path, said)
    text = page(standing, judge(standing))
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_stack_without_samples_has_a_page_without_plots(tmp_path: Path) -> None:
    said = {**a_day(), **dict.fromkeys(URLS, Unreachable("away"))}
    standing = standing_of(tmp_path, said)
    assert "<svg" not in page(standing, judge(standing))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (size(0), "0 B"),
        (size(999), "999 B"),
        (size(1000), "1.0 KiB"),
        (size(99.9 * GIB), "99.9 GiB"),
        (size(210 * GIB), "210 GiB"),
        (size(1100 * GIB), "1.1 TiB"),
        (share(0), "0 %"),
        (share(0.001), "<1 %"),
        (share(0.999), ">99 %"),
        (share(1), "100 %"),
        (span(30), "30 s"),
        (span(600), "10 min"),
        (span(47 * 3600), "47 h"),
        (span(214 * 86400), "214 days"),
        (ago(1), "just now"),
        (ago(60), "60 s ago"),
    ],
)
def test_figures_read_as_a_person_says_them(value: str, text: str) -> None:
    assert value == text


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, 0),
        ({"web-3": Unreachable("web-3: away")}, 2),
        ({"web-1": client("web-1", {200: "alpine"})}, 1),
        ({"web-1": client("web-1", {200: "alpine"}), "web-3": Unreachable("web-3: away")}, 1),
    ],
    ids=["all well", "a host away", "off", "off and a host away"],
)
def test_the_exit_code_tells_scripts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: Mapping[str, Answers | HostFailed],
    code: int,
) -> None:
    ask(monkeypatch, tmp_path, {**all_well(), **said})
    assert command.main(["office", "--json"], tmp_path) == code
    assert json.loads(capsys.readouterr().out)["exit_code"] == code


def ask(monkeypatch: pytest.MonkeyPatch, directory: Path, said: Mapping[str, Answers | HostFailed]) -> None:
    """Has the command line get these answers."""
    monkeypatch.setattr(command, "hosts_of", lambda *_: StackHosts(settings(directory), {}, {}))
    monkeypatch.setattr(command, "ask", lambda *_: said)
    monkeypatch.setattr(time, "time", lambda: NOW)


def test_the_page_is_written_beside_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(monkeypatch, tmp_path, dict.fromkeys(ADDRESSES, Unreachable("away")))
    assert command.main(["office", "--html", str(tmp_path / "out.html")], tmp_path) == 2
    assert "6 things that cannot be told" in capsys.readouterr().out
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["out.html"], "nothing is left beside it"


def test_a_page_that_cannot_be_written_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask(monkeypatch, tmp_path, dict.fromkeys(ADDRESSES, Unreachable("away")))
    assert command.main(["office", "--html", str(tmp_path / "none" / "out.html")], tmp_path) == 2
    assert "out.html cannot be written: No such file or directory" in capsys.readouterr().err


def test_a_stack_without_a_file_cannot_be_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["nowhere"], tmp_path) == 2
    assert "Pulumi.yaml does not exist" in capsys.readouterr().err
