"""Durations as Go writes them."""

from __future__ import annotations

import re


def seconds_of(text: str) -> int:
    """The seconds of a duration such as `1h30m`. Raises ValueError for what is none."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds
