"""Durations are read and written as Go does it."""

import pytest

from offline_plugins import docker_durations

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("30s", 30 * SECOND),
        ("1m0s", 60 * SECOND),
        ("1h0m0s", 3600 * SECOND),
        ("1h2m3.5s", 3723 * SECOND + SECOND // 2),
        ("500ms", SECOND // 2),
        ("1.5s", SECOND * 3 // 2),
        ("20µs", 20_000),
        ("7ns", 7),
    ],
)
def test_a_duration_is_read_and_written_the_same(text: str, nanoseconds: int) -> None:
    assert docker_durations.nanoseconds(text) == nanoseconds
    assert docker_durations.text(nanoseconds) == ("0s" if text == "0" else text)


@pytest.mark.parametrize(
    ("given", "canonical"), [("60s", "1m0s"), ("90s", "1m30s"), ("1000ms", "1s"), ("1h", "1h0m0s")]
)
def test_another_spelling_is_written_as_go_would(given: str, canonical: str) -> None:
    assert docker_durations.text(docker_durations.nanoseconds(given)) == canonical


@pytest.mark.parametrize("text", ["", "30", "s", "30 s", "-5s", "1d", "5s x"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30s"):
        docker_durations.nanoseconds(text)
