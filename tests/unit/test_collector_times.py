"""When the collector acts, and how far it goes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from components.collector import marks
from components.collector.cache import Growth
from components.collector.due import is_due, last_time
from components.collector.marks import Pace

LIMIT = 1000


@pytest.fixture(autouse=True)
def berlin() -> Iterator[None]:
    """A clock that is put forward and back."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def at(text: str) -> float:
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S"))


# (when it should run, now, the latest moment before or at that); 2026-11-25 is a Wednesday.
MOMENTS = [
    ("hourly", "2026-11-25 10:59:59", "2026-11-25 10:00:00"),
    ("hourly", "2026-11-25 11:00:00", "2026-11-25 11:00:00"),
    ("daily 03:00", "2026-11-25 02:59:00", "2026-11-24 03:00:00"),
    ("daily 03:00", "2026-11-25 03:00:00", "2026-11-25 03:00:00"),
    ("daily 23:30", "2026-03-01 00:10:00", "2026-02-28 23:30:00"),
    ("weekly sun 03:00", "2026-11-25 10:00:00", "2026-11-22 03:00:00"),
    ("weekly sun 03:00", "2026-11-22 02:00:00", "2026-11-15 03:00:00"),
    ("weekly wed 10:00", "2026-11-25 10:00:00", "2026-11-25 10:00:00"),
    ("weekly thu 00:00", "2027-01-01 12:00:00", "2026-12-31 00:00:00"),
    # Summer time begins that night: there is no 02:30.
    ("daily 02:30", "2026-03-29 12:00:00", "2026-03-29 03:30:00"),
    # And ends that night: daily means once.
    ("daily 12:00", "2026-10-25 13:00:00", "2026-10-25 12:00:00"),
]


@pytest.mark.parametrize(("collect", "now", "expected"), MOMENTS)
def test_the_latest_moment_is_by_the_mirrors_clock(collect: str, now: str, expected: str) -> None:
    assert last_time(collect, at(now)) == at(expected)


@pytest.mark.parametrize(
    ("last", "due"),
    [
        (None, True),
        ("2026-11-25 02:59:59", True),
        ("2026-11-25 03:00:00", False),
        ("2026-11-24 04:00:00", True),
    ],
)
def test_a_moment_that_was_missed_is_made_up_for_once(last: str | None, due: bool) -> None:
    now = at("2026-11-25 09:00:00")
    assert is_due("daily 03:00", None if last is None else at(last), now) is due


# (used, growth, reaction, to be freed)
MARKS = [
    (0, 0, 1, 0),
    (899, 0, 1, 0),
    (900, 0, 1, 150),
    (1500, 0, 1, 750),
    # What comes in before anything is freed would pass the limit: begin earlier, and go deeper.
    (800, 150, 1, 0),
    (800, 200, 1, 200),
    (800, 100, 2, 200),
    # At most to half the limit, or nothing would be left of a small cache.
    (800, 5000, 1, 300),
    (400, 5000, 1, 0),
]


@pytest.mark.parametrize(("used", "growth", "reaction", "expected"), MARKS)
def test_the_marks_leave_room_for_what_comes_in_meanwhile(
    used: int, growth: float, reaction: float, expected: int
) -> None:
    assert marks.over_limit(used, LIMIT, 0.9, 0.75, Pace(growth, reaction)) == expected


@pytest.mark.parametrize(("free", "expected"), [(1000, 0), (100, 0), (99, 11), (0, 110)])
def test_the_reserve_of_the_file_system_is_made_up_with_a_tenth_more(free: int, expected: int) -> None:
    assert marks.under_reserve(free, 100) == expected


def test_growth_is_that_of_the_fastest_moments_of_late() -> None:
    growth = Growth()
    growth.note(0.0, 0)
    assert growth.rate == 0.0
    for second, grown in enumerate([100, 200, 1200, 1300, 1400], start=1):
        growth.note(float(second), grown)
    assert growth.rate == pytest.approx(1200 / 3)
    for second in range(6, 30):
        growth.note(float(second), 1400)
    assert growth.rate == 0.0
