"""How much has to go: the marks below a limit, and the reserve of the file system."""

from typing import NamedTuple


class Pace(NamedTuple):
    """How fast data grows (bytes a second), and how long freeing takes from seeing that on (seconds)."""

    growth: float
    reaction: float

    @property
    def ahead(self) -> int:
        """What comes in before anything that begins now has an effect."""
        return int(self.growth * self.reaction)


DEEPEST = 0.5


def over_limit(used: int, limit: int, high: float, low: float, pace: Pace) -> int:
    """The bytes to free under a limit: 0 below the high mark, else what is above the low one.

    Begins below the high mark where the pace would pass the limit first, and then goes deeper, so that the
    next time is not the next moment; at most to half the limit.
    """
    if used < high * limit and used + pace.ahead < limit:
        return 0
    target = max(min(int(low * limit), limit - 2 * pace.ahead), int(DEEPEST * limit))
    return max(used - target, 0)


def under_reserve(free: int, min_free: int) -> int:
    """The bytes to free where the file system has less than its reserve: so much that it has a tenth more."""
    return 0 if free >= min_free else min_free - free + min_free // 10
