"""When a certificate is due, decided from what the last ``up`` exported."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping


def fingerprint(pem: str) -> str:
    """SHA-256 of the PEM text, in hexadecimal: another certificate, another value."""
    return hashlib.sha256(pem.encode()).hexdigest()


def due(
    last: Mapping[str, object] | None,
    rotation: int,
    renew_before: datetime.timedelta,
    now: datetime.datetime,
) -> str:
    """The issue that should stand now, as ``<rotation>.<number>``.

    ``last`` is what was exported for the certificate: its ``issue`` and ``notAfter`` (RFC 3339),
    or None before the first. The number goes up by one when the end is closer than
    ``renew_before``, and starts again with another ``rotation``, which is how a person asks for
    a new certificate at once.
    """
    if last is None:
        return f"{rotation}.1"
    issue = str(last["issue"])
    last_rotation, number = issue.split(".")
    if int(last_rotation) != rotation:
        return f"{rotation}.1"
    end = datetime.datetime.fromisoformat(str(last["notAfter"]))
    return issue if now < end - renew_before else f"{rotation}.{int(number) + 1}"
