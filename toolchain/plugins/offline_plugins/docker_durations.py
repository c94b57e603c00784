"""Durations as Go writes them (`1m30s`): how a Container's inputs give the times of a healthcheck."""

import re
from decimal import Decimal

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")


def nanoseconds(text: str) -> int:
    """The duration in nanoseconds; ValueError for what is none. `0` needs no unit."""
    if text == "0":
        return 0
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"'{text}' is no duration; write it like 30s, 1m30s or 500ms")
    return sum(int(Decimal(number) * _UNITS[unit]) for number, unit in _PART.findall(text))


def text(duration: int) -> str:
    """A duration in nanoseconds as Go prints it: 0s, 500ms, 1.5s, 1m0s, 1h0m0s."""
    if duration < _UNITS["s"]:
        for unit in ("ms", "µs"):
            if duration >= _UNITS[unit]:
                return _decimal(duration, _UNITS[unit]) + unit
        return f"{duration}ns" if duration else "0s"
    hours, rest = divmod(duration, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    seconds = _decimal(rest, _UNITS["s"]) + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def _decimal(duration: int, unit: int) -> str:
    return f"{(Decimal(duration) / unit).normalize():f}"
