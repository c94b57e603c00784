"""What a mirror's log proves."""

from __future__ import annotations

import pytest

from components.lib.evidence import parse_requests, upstreams_answer, weigh

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
NONCE = "web-1.0011"


def line(client: str, uri: str, status: int = 200, method: str = "GET") -> str:
    return (
        f"2026-11-23T12:00:00.1Z {client} - - [23/Nov/2026:12:00:00 +0000] "
        f'"{method} {uri} HTTP/1.1" {status} 2 "" '
        '"docker/28.5.2 go/go1.24"'
    )


def marked(*inside: str, client: str = "192.0.2.9") -> list[str]:
    return [line(client, f"/v2/?proof={NONCE}.begin"), *inside, line(client, f"/v2/?proof={NONCE}.end")]


def test_manifest_and_blobs_of_the_client_are_counted_and_new_blobs_told_apart() -> None:
    lines = marked(
        line("192.0.2.9", "/v2/library/nginx/manifests/latest", method="HEAD"),
        line("192.0.2.9", f"/v2/library/nginx/blobs/{A}"),
        line("192.0.2.9", f"/v2/library/nginx/blobs/{B}"),
    )
    found = weigh(lines, {A: 50, B: 150}, NONCE, "library/nginx", 100)
    assert found.went_through
    assert found.blobs == {A, B}
    assert found.fetched == {B}


def test_a_blob_that_is_not_stored_yet_counts_as_fetched() -> None:
    lines = marked(line("192.0.2.9", f"/v2/library/nginx/blobs/{A}"))
    assert weigh(lines, {A: None}, NONCE, "library/nginx", 100).fetched == {A}


@pytest.mark.parametrize(
    "inside",
    [
        line("192.0.2.10", "/v2/library/nginx/manifests/latest"),
        line("192.0.2.9", "/v2/library/redis/manifests/latest"),
        line("192.0.2.9", "/v2/library/nginx/manifests/latest", 404),
        line("192.0.2.9", "/v2/"),
    ],
    ids=["another client's", "another image's", "refused", "a mere greeting"],
)
def test_a_request_that_is_not_this_pull_proves_nothing(inside: str) -> None:
    assert not weigh(marked(inside), {}, NONCE, "library/nginx", 0).went_through


def test_a_client_with_addresses_of_both_kinds_is_known_by_either() -> None:
    lines = [line("172.17.0.1", f"/v2/?proof={NONCE}.begin")]
    lines += marked(line("192.0.2.9", "/v2/library/nginx/manifests/latest"))
    assert weigh(lines, {}, NONCE, "library/nginx", 0).went_through


def test_a_log_without_the_mark_shows_that_the_client_reached_something_else() -> None:
    assert not weigh([line("192.0.2.9", "/v2/")], {}, NONCE, "library/nginx", 0).seen


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (
            'level=error msg="HEAD https://registry-1.docker.io: unexpected status: 429 Too Many Requests"',
            "429",
        ),
        ('level=error msg="dial tcp 192.0.2.1:443: connect: connection refused"', "cannot be reached"),
        ('level=error msg="tls: x509: certificate signed by unknown authority"', "not trusted"),
        ('level=error msg="unexpected status: 503 Service Unavailable"', "503"),
    ],
)
def test_the_upstreams_refusal_is_named_as_what_it_is(words: str, reason: str) -> None:
    found = weigh(marked(words), {}, NONCE, "library/nginx", 0)
    assert reason in found.refusals[0]


def test_digits_in_an_error_line_are_not_taken_for_a_status() -> None:
    words = 'level=error msg="response completed with error" remoteaddr="192.0.2.9:42912" duration=280.401µs'
    assert weigh(marked(words), {}, NONCE, "library/nginx", 0).refusals == ()


def test_a_cache_that_does_not_give_the_manifest_is_told_from_one_that_was_not_asked() -> None:
    refused = marked(line("192.0.2.9", "/v2/library/nginx/manifests/latest", 404))
    assert weigh(refused, {}, NONCE, "library/nginx", 0).refused
    assert not weigh(marked(), {}, NONCE, "library/nginx", 0).refused


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("unreachable curl: (7) Failed to connect\n", " cannot be reached: curl: (7) Failed to connect"),
        ("rate_limited ghcr.io answers 429\n", " refused with 429, its rate limit"),
        (
            "unauthorized ghcr.io answers 401\n",
            " refuses the cache's login, or wants one: ghcr.io answers 401",
        ),
        ("tls ghcr.io: curl: (60) SSL\n", "'s certificate is not trusted: ghcr.io: curl: (60) SSL"),
        ("absent\n", " has no such image"),
        ("server_error ghcr.io answers 503\n", " fails: ghcr.io answers 503"),
        ("other ghcr.io answers 418\n", " fails: ghcr.io answers 418"),
    ],
)
def test_what_the_upstream_tells_the_mirror_is_put_into_words(said: str, told: str) -> None:
    assert upstreams_answer(said) == f"the upstream{told}"


def test_an_upstream_that_gives_the_manifest_is_no_reason() -> None:
    assert upstreams_answer("ok\n") is None


def test_lines_that_are_no_requests_are_passed_over() -> None:
    assert parse_requests(['time="…" level=info msg="response completed"', ""]) == []
