"""Which certificate is due."""

from __future__ import annotations

import datetime

import pytest

from components.lib import renewal

NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
THIRTY_DAYS = datetime.timedelta(days=30)


def end_in(**left: float) -> str:
    return (NOW + datetime.timedelta(**left)).isoformat()


@pytest.mark.parametrize(
    ("last", "rotation", "due"),
    [
        (None, 0, "0.1"),
        (None, 3, "3.1"),
        ({"issue": "0.1", "notAfter": end_in(days=31)}, 0, "0.1"),
        ({"issue": "0.1", "notAfter": end_in(days=30, seconds=1)}, 0, "0.1"),
        ({"issue": "0.1", "notAfter": end_in(days=30)}, 0, "0.2"),
        ({"issue": "0.7", "notAfter": end_in(days=-1)}, 0, "0.8"),
        ({"issue": "0.1", "notAfter": end_in(days=300)}, 1, "1.1"),
        ({"issue": "2.5", "notAfter": end_in(days=300)}, 1, "1.1"),
        ({"issue": "1.9", "notAfter": "2026-11-24T12:00:00Z"}, 1, "1.10"),
    ],
)
def test_a_certificate_is_renewed_when_its_end_is_near_or_a_person_asks(
    last: dict[str, object] | None, rotation: int, due: str
) -> None:
    assert renewal.due(last, rotation, THIRTY_DAYS, NOW) == due


def test_an_up_that_failed_before_it_exported_asks_for_the_same_certificate_again() -> None:
    last = {"issue": "0.4", "notAfter": end_in(days=5)}
    assert renewal.due(last, 0, THIRTY_DAYS, NOW) == renewal.due(last, 0, THIRTY_DAYS, NOW) == "0.5"


def test_another_certificate_has_another_fingerprint() -> None:
    assert renewal.fingerprint("a") != renewal.fingerprint("b")
    assert renewal.fingerprint("a") == renewal.fingerprint("a")
