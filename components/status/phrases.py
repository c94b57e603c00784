"""Sizes, shares and times as a person says them."""

from __future__ import annotations

import datetime


def size(count: float) -> str:
    """Bytes with three figures or so: 4.2 GiB."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(value) < 1000:
            break
        value, unit = value / 1024, larger
    if unit == "B":
        return f"{int(value)} B"
    return f"{value:.1f} {unit}" if value < 99.95 else f"{value:.0f} {unit}"


def share(part: float) -> str:
    """A part of one in percent. Only all is 100 %, only nothing is 0 %."""
    percent = part * 100
    if 0 < percent < 1:
        return "<1 %"
    if 99 < percent < 100:
        return ">99 %"
    return f"{percent:.0f} %"


def span(seconds: float) -> str:
    """A length of time in its largest unit or two: 3 min, 5 h, 214 days."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def ago(seconds: float) -> str:
    """How long something is past: 3 min ago."""
    return "just now" if seconds < 5 else f"{span(seconds)} ago"


def moment(seconds: float) -> datetime.datetime:
    """A time in this machine's time zone."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone()


def day(seconds: float) -> str:
    """A date: 2027-11-25."""
    return moment(seconds).strftime("%Y-%m-%d")


def clock(seconds: float) -> str:
    """A date with its time and zone: 2026-11-25 14:02 CET."""
    return moment(seconds).strftime("%Y-%m-%d %H:%M %Z")
