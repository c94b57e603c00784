"""What a registry's own log lines tell, of both versions. The samples are what real ones wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.collector import registry_log
from components.collector.ledger import Ledger, Storage
from components.collector.registry_log import (
    Answer,
    LogFile,
    Position,
    address_of,
    parse,
    seconds_of,
    time_of,
)
from components.collector.usage import Usage

SAMPLES = Path(__file__).parent / "registry_logs"
MANIFEST_DIGEST = "sha256:890b8efa35391d6a487f80df3886b12201b8ebcd12df23618e394ebfd5f95b52"
CLIENT = "10.213.85.1"
VERSIONS = pytest.mark.parametrize("major", ["2", "3"])


def answers(major: str) -> list[Answer]:
    lines = (SAMPLES / f"registry-{major}.log").read_text().splitlines()
    found = [parse(json.loads(line)["log"]) for line in lines]
    return [answer for answer in found if answer is not None]


def answer(**changes: object) -> Answer:
    usual: dict[str, object] = {
        "began": 100.0,
        "ended": 100.5,
        "client": "10.0.0.7",
        "method": "GET",
        "kind": "blob",
        "repository": "library/nginx",
        "reference": "sha256:aa",
        "status": 200,
        "written": 10,
        "error": None,
    }
    return Answer(**{**usual, **changes})  # type: ignore[arg-type]


def ledger(linked: float | None = 50.0, tag: str | None = "sha256:mm") -> Ledger:
    """Books over a storage in which everything was linked at one time and every tag names one manifest."""
    return Ledger("docker.io", Storage(lambda *_: linked, lambda *_: tag))


@VERSIONS
def test_every_answer_is_seen_once_with_all_that_matters(major: str) -> None:
    found = answers(major)

    assert [(a.method, a.kind, a.status) for a in found[:3]] == [
        ("HEAD", "manifest", 200),
        ("GET", "manifest", 200),
        ("GET", "blob", 200),
    ]
    assert len(found) == 17
    assert {a.client for a in found} == {CLIENT}
    assert found[1].reference == "latest"
    assert found[1].repository == "library/nginx"
    assert found[2].reference.startswith("sha256:9ae9763f")
    assert found[2].written == 2367
    assert all(0 < a.ended - a.began < 1 for a in found)


@VERSIONS
def test_what_is_not_there_is_no_trouble_with_the_upstream(major: str) -> None:
    failed = [a for a in answers(major) if a.status == 404]
    assert len(failed) == 4
    assert {a.error for a in failed} == {None}


@VERSIONS
def test_a_proofs_mark_is_told_from_content(major: str) -> None:
    assert [(a.reference, a.repository) for a in answers(major) if a.kind == "base"] == [
        ("client-1.abc", "begin")
    ]


ERRORS = [
    ('err.code=unknown err.detail="toomanyrequests: You have reached your pull rate limit."', "rate_limited"),
    ('err.code=unknown err.detail="error parsing HTTP 429 response body: unexpected end"', "rate_limited"),
    ("err.code=toomanyrequests err.message= http.response.status=429", "rate_limited"),
    ('err.code=unknown err.detail="dial tcp 10.0.0.1:443: connect: connection refused"', "unreachable"),
    ('err.code=unknown err.detail="lookup hub.test: no such host"', "unreachable"),
    ('err.code=unknown err.detail="tls: failed to verify certificate: x509: unknown authority"', "tls"),
    ('err.code=unknown err.detail="unauthorized: authentication required"', "unauthorized"),
    (
        'err.code=unknown err.detail="received unexpected HTTP status: 503 Service Unavailable"',
        "server_error",
    ),
    ('err.code=unknown err.detail="something new"', "other"),
    ('err.code="blob unknown" err.detail="sha256:4290"', None),
    ('err.code="manifest unknown" err.detail="unknown tag=latest"', None),
]


@pytest.mark.parametrize(("text", "kind"), ERRORS)
def test_trouble_with_the_upstream_has_a_kind(text: str, kind: str | None) -> None:
    status = "" if "response.status" in text else " http.response.status=500"
    line = f'time="2026-11-25T01:37:49Z" level=error msg="response completed with error" {text}'
    line += f" http.request.method=GET http.request.uri=/v2/a/manifests/b{status}"
    found = parse(line)
    assert found is not None
    assert found.error == kind


def test_a_client_cannot_write_fields_by_its_user_agent() -> None:
    agent = r'"x http.request.uri=/v2/evil/manifests/b http.response.status=200 \" http.request.method=GET"'
    line = (
        'time="2026-11-25T01:37:49Z" level=info msg="response completed" http.request.method=HEAD'
        f" http.request.uri=/v2/a/manifests/b http.request.useragent={agent} http.response.status=404"
    )
    found = parse(line)
    assert found is not None
    assert (found.repository, found.status, found.method) == ("a", 404, "HEAD")


def test_a_line_that_docker_cut_is_none(tmp_path: Path) -> None:
    """In its first 16 KiB a client's user agent has no end: what is in it would read as fields."""
    line = (
        'time="2026-11-25T01:37:49Z" level=info msg="response completed" http.request.method=GET'
        ' http.request.uri=/v2/a/manifests/b http.request.useragent="x http.response.status=² '
    )
    line = line.ljust(16 * 1024, "x")
    (tmp_path / "log").write_text("".join(json.dumps({"log": piece}) + "\n" for piece in (line, '"\n')))
    assert [parse(whole) for whole in LogFile(str(tmp_path / "log"), None).lines()] == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("22.796019ms", 0.022796019), ("658.283µs", 658.283e-6), ("1m2.5s", 62.5), ("1h0m0s", 3600), ("0s", 0)],
)
def test_durations_are_read_as_go_prints_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02T00:00:00Z", 86400),
        ("1970-01-02T00:00:00.5Z", 86400.5),
        ("1970-01-02T08:00:00+08:00", 86400),
        ("1970-01-01T22:00:00-02:00", 86400),
        ("yesterday", None),
    ],
)
def test_times_are_read_with_their_zone(text: str, seconds: float | None) -> None:
    assert time_of(text) == seconds


def test_addresses_lose_their_port() -> None:
    assert [address_of(text) for text in ("10.0.0.7:1", "[fd00::7]:1", "")] == ["10.0.0.7", "fd00::7", ""]


def write(path: Path, *numbers: int) -> None:
    with path.open("a") as stream:
        for number in numbers:
            stream.write(json.dumps({"log": f"http.response.status={number}\n"}) + "\n")


def numbers(log: LogFile) -> list[int]:
    return [int(line.strip().rpartition("=")[2]) for line in log.lines()]


def test_a_log_is_read_on_over_rotations_and_runs(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, 1, 2)
    log = LogFile(str(path), None)
    assert numbers(log) == [1, 2]
    assert numbers(log) == []
    write(path, 3)
    path.rename(tmp_path / "log.1")
    write(path, 4)
    assert numbers(LogFile(str(path), log.position)) == [3, 4], "another run"
    assert numbers(log) == [3, 4]
    (tmp_path / "log.1").rename(tmp_path / "log.2")
    path.rename(tmp_path / "log.1")
    write(path, 5)
    assert numbers(log) == [5]


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    write(path, 1)
    line = json.dumps({"log": "http.response.status=2\n"})
    with path.open("a") as stream:
        stream.write(line[:9])
    log = LogFile(str(path), None)
    assert numbers(log) == [1]
    with path.open("a") as stream:
        stream.write(line[9:] + "\n")
    assert numbers(log) == [2]


def test_a_log_that_is_new_or_was_emptied_is_read_from_its_begin(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert numbers(LogFile(str(path), Position(7, 100))) == []
    write(path, 1, 2)
    log = LogFile(str(path), Position(7, 100))
    assert numbers(log) == [1, 2]
    path.write_text("")
    write(path, 3)
    assert numbers(log) == [3]


def test_a_cache_fetched_what_it_linked_while_it_answered() -> None:
    for linked, result in ((50.0, "hit"), (100.2, "miss"), (None, "miss")):
        books = ledger(linked)
        books.add(answer())
        assert books.counters[f"blob.{result}"] == 1
        assert books.counters.get("fetched", 0) == (10 if result == "miss" else 0)
        assert books.counters["served"] == 10


def test_a_tag_is_a_use_of_the_manifest_that_it_names_also_by_head() -> None:
    books = ledger()
    books.add(answer(kind="manifest", reference="latest", method="HEAD"))
    assert books.uses == {"sha256:mm": 100.5}
    assert books.counters == {}, "nothing was served"
    assert books.asked == {}, "nor will be"


def test_what_comes_back_stands_for_longer_than_what_was_used_once() -> None:
    """Else a burst of images that are pulled once would drive out one that is pulled every few seconds."""
    books = ledger()
    for began in (100.0, 106.0, 106.5, 107.0):  # one pull, and one more with its three requests
        books.add(answer(reference="sha256:often", began=began, ended=began + 0.1))
    books.add(answer(reference="sha256:once", began=112.0, ended=112.1))
    standing = books.standing()
    assert books.uses["sha256:often"] == 107.1
    assert standing["sha256:once"] == 112.1
    assert standing["sha256:often"] > 107.1 + 5, "it may come back"
    assert standing["sha256:often"] < 107.1 + 30, "and goes when it does not"


def test_what_comes_back_rarely_is_not_kept_for_days() -> None:
    books = ledger()
    for began in (0.0, 7 * 86400.0):
        books.add(answer(reference="sha256:weekly", began=began, ended=began))
    assert books.standing()["sha256:weekly"] == 7 * 86400.0 + 3600


def test_a_failed_request_is_no_use() -> None:
    books = ledger()
    books.add(answer(status=404))
    books.add(answer(status=500, error="unreachable"))
    assert books.uses == {}
    assert books.counters == {"blob.error": 2, "error.unreachable": 1}


def test_the_books_say_who_pulled_what() -> None:
    books = ledger()
    books.add(answer(kind="manifest", reference="latest"))
    books.add(answer(ended=101.0))
    assert books.pulls == [(100.5, "10.0.0.7", "library/nginx")]
    assert books.clients["10.0.0.7"] == (101.0, 2)
    assert books.asked == {("10.0.0.7", "sha256:mm"): 100.5}
    assert books.served["10.0.0.7", "sha256:aa"] == 101.0


def test_a_pull_of_what_the_client_has_already_is_a_pull() -> None:
    """Docker asks for its manifest by HEAD alone; without it, the client would seem to go past the mirror."""
    books = ledger()
    books.add(answer(kind="manifest", reference="latest", method="HEAD"))
    assert books.pulls == [(100.5, "10.0.0.7", "library/nginx")]
    assert books.clients == {}, "nothing was taken"


def test_a_proof_needs_a_manifest_between_its_marks() -> None:
    def mark(event: str, at: float, client: str = "10.0.0.7") -> Answer:
        return answer(kind="base", repository=event, reference="web-1.a.b.0123", ended=at, client=client)

    books = ledger()
    books.add(mark("begin", 1.0))
    books.add(answer(kind="manifest", reference="latest", client="10.0.0.8"))
    books.add(mark("end", 2.0))
    assert books.proofs == {}, "somebody else's pull"
    books.add(mark("begin", 3.0))
    books.add(mark("begin", 3.0, "fd00::7"))
    books.add(answer(kind="manifest", reference="latest", client="fd00::7"))
    books.add(mark("end", 4.0))
    assert books.proofs == {"web-1.a.b": 4.0}
    assert books.uses == {"sha256:mm": 100.5}, "marks are no use"


def test_the_proof_of_a_client_that_has_the_image_already_is_one() -> None:
    """Docker asks for its manifest by HEAD alone."""
    books = ledger()
    books.add(answer(kind="base", repository="begin", reference="web-1.0123", ended=1.0))
    books.add(answer(kind="manifest", reference="latest", method="HEAD"))
    books.add(answer(kind="base", repository="end", reference="web-1.0123", ended=2.0))
    assert books.proofs == {"web-1": 2.0}


def test_a_proof_whose_marks_lie_in_two_runs_is_one(tmp_path: Path) -> None:
    """A run ends each minute, and a pull may take longer than that."""

    def mark(event: str, at: float) -> Answer:
        return answer(kind="base", repository=event, reference="web-1.0123", ended=at)

    steps = [
        mark("begin", 1.0),
        answer(kind="manifest", reference="latest"),
        mark("end", 3.0),
    ]
    for step in steps:
        books, usage = ledger(), Usage(str(tmp_path / "usage.db"))
        usage.load(books)
        books.add(step)
        usage.keep(books)
        usage.commit()
        usage.close()
    assert books.proofs == {"web-1": 3.0}


def test_every_kind_of_error_can_be_told() -> None:
    assert {kind for _, kind in ERRORS if kind} == set(registry_log.ERRORS)
