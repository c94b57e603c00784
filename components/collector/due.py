"""When content over its ttl or without a tag is seen to."""

import time
from typing import Optional

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
A_DAY = 24 * 3600


def last_time(collect: str, now: float) -> float:
    """The latest moment at or before `now` that `collect` names, by this machine's clock.

    `collect` is `hourly`, `daily HH:MM` or `weekly DAY HH:MM`. Where the clock is put forward over that
    moment, it is an hour later on that day.
    """
    words = collect.split()
    local = time.localtime(now)
    if words[0] == "hourly":
        return now - (local.tm_min * 60 + local.tm_sec + now % 1)
    hour, minute = (int(part) for part in words[-1].split(":"))
    back = (local.tm_wday - DAYS.index(words[1])) % 7 if words[0] == "weekly" else 0
    every = 7 if words[0] == "weekly" else 1

    def on_day(days_back: int) -> float:
        # mktime takes days before the first of a month, and finds out itself whether it is summer time.
        return time.mktime(
            (local.tm_year, local.tm_mon, local.tm_mday - days_back, hour, minute, 0, 0, 0, -1)
        )

    moment = on_day(back)
    return moment if moment <= now else on_day(back + every)


def is_due(collect: str, last: Optional[float], now: float) -> bool:
    """Whether a named moment has passed since the last time (None: never).

    A last time that is still to come is by a clock that was ahead.
    """
    return last is None or last > now or last < last_time(collect, now)
