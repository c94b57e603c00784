"""What the hosts say, read: the probe's lines, the mirrors' records, the clients' Docker."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from components.lib.remote import HostFailed
from components.status import client_docker, records
from components.status.asking import Answers, understood
from components.status.client_docker import NoDocker, hosts_toml_mirrors, journal
from components.status.records import Sample, Traffic, Unreadable, counted, traffic
from tests.unit.status_sample import (
    GIB,
    NOW,
    client,
    collect_json,
    given_up,
    nanoseconds,
    printed,
    upstreams_json,
)


def test_answers_and_failures_are_told_apart() -> None:
    text = printed(
        {
            "now": ("+", "100.5"),
            "mirrors": ("+", "https://m/\n!WARNING: no swap limit support"),
            "collected": ("-", "!cat: no such file"),
            "empty": ("-", ""),
        }
    )
    answers = understood(text, "web-1", 100.0, 101.0)
    assert answers.said == {"now": "100.5", "mirrors": "https://m/"}, "a warning is no answer"
    assert answers.failed == {"collected": "cat: no such file", "empty": "it said nothing"}


@pytest.mark.parametrize(
    ("now", "ahead"),
    [(100.0, 0.0), (101.9, 0.0), (130.0, 28.0), (40.0, -60.0)],
    ids=["right", "right, answered late", "fast", "slow"],
)
def test_a_hosts_clock_is_wrong_only_where_it_must_be(now: float, ahead: float) -> None:
    text = printed({"now": ("+", str(now))})
    assert understood(text, "web-1", 100.0, 102.0).ahead == ahead


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "Last login: yesterday\n",
            "now +notbase64\n",
            printed({"other": ("+", "x")}),
            "now +H4sIAAAAA\n",
        ),
        "now +" + base64.b64encode(gzip.compress(b"1")[:10] + b"\xff" * 20).decode(),
    ],
    ids=["nothing", "a greeting", "no base64", "no clock", "torn", "spoilt"],
)
def test_anything_else_is_a_host_that_failed(text: str) -> None:
    with pytest.raises(HostFailed, match=r"web-1: status\.sh answered something else"):
        understood(text, "web-1", 0, 1)


def test_the_records_are_read_as_they_are_written() -> None:
    collected = records.collected(json.dumps(collect_json()))
    assert collected.upstreams["docker.io"].requests["blob"].hit > 0
    assert collected.pulls[-1].repository == "library/nginx"
    assert collected.samples_of("ghcr.io")[0].at < collected.samples_of("ghcr.io")[-1].at
    probed = records.probed(json.dumps(upstreams_json(ghcr_io={"up": False, "refusal": "tls"})))
    assert probed.upstreams["ghcr.io"].refusal == "tls"
    assert probed.upstreams["docker.io"].rate_limit_remaining == 76


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"at": 1, "upst', "collect.json: Invalid JSON"),
        ("[]", "collect.json: Input should be an object"),
        ('{"at": "soon"}', "collect.json: at: Input should be a valid number"),
        ('{"at": 1, "pulls": [[1, "docker.io"]]}', r"collect.json: pulls.0"),
    ],
)
def test_a_record_that_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        records.collected(text)


def test_a_record_knows_from_when_on_it_has_every_pull() -> None:
    row = [NOW - 600, "docker.io", 0, 0, 0, 0, 0, 0, 0]
    pull = [NOW - 630, "docker.io", "10.0.0.1", "library/a"]

    def since(**changes: object) -> float:
        whole: dict[str, object] = {"at": NOW, "samples": [], "pulls": [], **changes}
        return records.collected(json.dumps(whole)).watches_since

    assert since() == NOW, "a collector that has just begun"
    assert since(samples=[row]) == NOW - 600
    assert since(samples=[row], pulls=[pull]) == NOW - 630, "the first minute's pulls come before its sample"
    old = NOW - 200_000
    assert since(samples=[row], pulls=[[old, *pull[1:]]]) == NOW - 48 * 3600, "older pulls are dropped"
    assert since(samples=[[old, *row[1:]], row]) == NOW - 600, (
        "a sample of before an outage says nothing of it"
    )
    assert since(samples=[row], pulls=[[NOW - 60, *pull[1:]]] * 5000) == NOW - 60, "the list was full"


def sample(at: float, hits: int, misses: int, served: int, fetched: int) -> Sample:
    return Sample(at, "docker.io", 7 * GIB, hits, misses, served, fetched, 0, 0)


@pytest.mark.parametrize(
    ("rows", "total", "grown"),
    [
        ([], (3, 1, 40, 10), (3, 1, 40, 10)),
        ([sample(500, 5, 5, 50, 50)], (9, 6, 90, 60), (4, 1, 40, 10)),
        ([sample(1500, 5, 5, 50, 50)], (9, 6, 90, 60), (9, 6, 90, 60)),
        ([sample(500, 5, 5, 50, 50), sample(1500, 7, 5, 70, 50)], (9, 6, 90, 60), (4, 1, 40, 10)),
        ([sample(500, 90, 9, 900, 90), sample(1500, 2, 1, 20, 10)], (3, 1, 30, 10), (3, 1, 30, 10)),
        ([sample(-300_000, 90, 9, 900, 90), sample(1500, 91, 9, 900, 90)], (92, 9, 900, 90), (2, 0, 0, 0)),
    ],
    ids=["no samples yet", "one before", "begun since", "before and since", "began anew", "after an outage"],
)
def test_the_traffic_of_the_last_hours_is_what_the_counters_grew_by(
    rows: list[Sample], total: tuple[int, int, int, int], grown: tuple[int, int, int, int]
) -> None:
    hits, misses, served, fetched = total
    found = traffic(rows, Traffic(0, hits, misses, served, fetched, evicted=0, errors=0), since=1000)
    assert (found.hits, found.misses, found.served, found.fetched) == grown


def test_saved_is_what_was_not_fetched_and_never_less_than_nothing() -> None:
    assert Traffic(0, 3, 1, 100, 30, 0, 0).saved == 70
    assert Traffic(0, 0, 1, 10, 30, 0, 0).saved == 0, "a client that gave up half-way"
    assert Traffic(0, 3, 1, 0, 0, 0, 0).hit_ratio == 0.75
    assert Traffic(0, 0, 0, 0, 0, 0, 0).hit_ratio is None


def test_all_kinds_of_requests_count() -> None:
    upstream = records.CollectedUpstream.model_validate(
        {"requests": {"blob": {"hit": 3, "miss": 1}, "manifest": {"hit": 2, "miss": 2, "error": 9}}}
    )
    assert (counted(upstream).hits, counted(upstream).misses) == (5, 3)


@pytest.mark.parametrize(
    ("line", "host", "reason"),
    [
        (given_up(10, "m:5000", "connect: no route to host"), "m:5000", "connect: no route to host"),
        (given_up(10, "m", "x509: unknown authority", containerd=True), "m", "x509: unknown authority"),
        (
            'time="2026-11-25T01:33:49.622894827Z" level=info '
            'msg="Attempting next endpoint for pull after error: manifest unknown: manifest unknown"',
            None,
            "manifest unknown: manifest unknown",
        ),
        (
            'time="2026-11-25T01:33:49+01:00" level=info '
            'msg="trying next host - response was http.StatusNotFound" host="m:5000"',
            "m:5000",
            "trying next host - response was http.StatusNotFound",
        ),
    ],
    ids=["graph driver", "containerd", "the mirror answered", "containerd, the mirror answered"],
)
def test_the_journal_tells_which_mirror_docker_gave_up_and_why(
    line: str, host: str | None, reason: str
) -> None:
    (found,) = journal(line)
    assert (found.host, found.reason) == (host, reason)


@pytest.mark.parametrize(
    "line",
    [
        "-- No entries --",
        "Started docker.service.",
        'time="12:01:02" level=info msg="trying next host"',
        'time="2026-11-28T12:01:02Z" level=info',
        'time="9999999-11-28T12:01:02Z" msg="trying next host"',
        'time="0001-01-01T00:00:00" msg="trying next host"',
    ],
)
def test_other_lines_of_the_journal_say_nothing_and_hide_no_other(line: str) -> None:
    right = given_up(3, "203.0.113.10", "EOF")
    assert journal(f"{line}\n{right}\n") == journal(right)


@pytest.mark.parametrize(
    ("text", "mirrors"),
    [
        ('server = "https://h"\n[host."https://b:1"]\n[host."https://a/"]\n', ["https://b:1", "https://a"]),
        ('[host."https://a"]\ncapabilities = ["push"]\n', []),
        ('[host."https://a"\n', []),
        ('[host."https://a"]\ncapabilities = 1\n', []),
        ('host = ["https://a"]\n', []),
        ("", []),
    ],
    ids=["in their order", "may not pull", "a typo means no mirror", "no list", "no hosts", "no file"],
)
def test_hosts_toml_gives_the_mirrors(text: str, mirrors: list[str]) -> None:
    assert hosts_toml_mirrors(text) == mirrors


def test_the_containerd_store_goes_by_hosts_toml_and_not_by_registry_mirrors() -> None:
    answers = client(
        "web-1",
        {},
        store="[[driver-type io.containerd.snapshotter.v1]]",
        hosts_toml='[host."https://only.this"]\n',
    )
    assert client_docker.read(answers).mirrors == ["https://only.this"]
    assert client_docker.read(client("web-1", {})).mirrors == ["https://203.0.113.10", "https://203.0.113.11"]


def test_only_pulls_from_docker_hub_count() -> None:
    images: dict[float, str] = {
        9: "nginx:latest",
        8: "ghcr.io/a/b:1",
        7: "ann/tool",
        6: "docker.io/library/redis@sha256:" + "a" * 64,
    }
    pulls = client_docker.read(client("web-1", images)).pulls
    assert [pull.repository for pull in pulls] == ["library/nginx", "ann/tool", "library/redis"]


def test_a_daemon_with_a_full_memory_knows_only_what_is_in_it() -> None:
    full = client("web-1", {}, events=f"{nanoseconds(NOW - 800)} events 256")
    assert client_docker.read(full).remembers_since == NOW - 800
    assert client_docker.read(client("web-1", {})).remembers_since == NOW - 200_000, "since its start"
    silent = client("web-1", {})
    said = {question: words for question, words in silent.said.items() if question != "events"}
    assert client_docker.read(Answers(said, {"events": "refused"})).remembers_since is None


def test_times_are_put_right_by_the_hosts_clock() -> None:
    answers = client("web-1", {100: "nginx"}, given_up(101, "m", "refused"))
    docker = client_docker.read(Answers(answers.said, {}, ahead=50))
    assert docker.pulls[0].at == NOW - 150
    assert docker.given_up[0].at == NOW - 151


def test_a_client_without_docker_says_so() -> None:
    with pytest.raises(NoDocker, match="docker: command not found"):
        client_docker.read(Answers({"now": "1"}, {"mirrors": "docker: command not found"}))
