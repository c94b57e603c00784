"""What a mirror's collector and prober have written, as components/collector and the prober write it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

KEPT_SECONDS = 48 * 3600
KEPT_PULLS = 5000


class Unreadable(Exception):
    """A record is not what it should be; the text says what."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


Record = TypeVar("Record", bound=_Record)


class Asked(_Record):
    """How requests of one kind went."""

    hit: int = 0
    miss: int = 0
    error: int = 0


class Disk(_Record):
    """The file system of the caches, in bytes."""

    size: int
    free: int


class CollectedUpstream(_Record):
    """One cache since its collector began; sizes are bytes, times seconds since 1970."""

    bytes: int = 0
    limit: int | None = None
    requests: Mapping[str, Asked] = Field(default_factory=dict)
    served: int = 0
    fetched: int = 0
    evictions: Mapping[str, tuple[int, int]] = Field(default_factory=dict)
    last_eviction: float | None = None
    last_use: float | None = None
    errors: Mapping[str, int] = Field(default_factory=dict)
    container_up: bool | None = None


class Seen(_Record):
    """An address's use of one cache."""

    last: float
    requests: int = 0


class ManifestRequest(NamedTuple):
    """A manifest that a cache gave to somebody."""

    at: float
    upstream: str
    address: str
    repository: str


class Sample(NamedTuple):
    """One minute's counters, all of them since the collector began, but for `bytes`, which are held now."""

    at: float
    upstream: str
    bytes: float
    hits: float
    misses: float
    served: float
    fetched: float
    evicted: float
    errors: float


class Collected(_Record):
    """collect.json."""

    at: float
    limit: int | None = None
    min_free: int | None = None
    disk: Disk | None = None
    upstreams: Mapping[str, CollectedUpstream] = Field(default_factory=dict)
    clients: Mapping[str, Mapping[str, Seen]] = Field(default_factory=dict)
    pulls: Sequence[ManifestRequest] = ()
    proofs: Mapping[str, float] = Field(default_factory=dict)
    samples: Sequence[Sample] = ()

    def samples_of(self, upstream: str) -> list[Sample]:
        """The samples of one cache, oldest first."""
        return sorted(sample for sample in self.samples if sample.upstream == upstream)

    @property
    def watches_since(self) -> float:
        """From when on every pull of these days is among ``pulls``."""
        kept = self.at - KEPT_SECONDS
        begun = min((sample.at for sample in self.samples if sample.at >= kept), default=self.at)
        oldest = min((pull.at for pull in self.pulls), default=begun)
        if len(self.pulls) >= KEPT_PULLS:
            return oldest
        # A minute's pulls come before its sample.
        return max(kept, min(begun, oldest))


class ProbedUpstream(_Record):
    """What an upstream says to its cache."""

    up: bool
    refusal: str | None = None
    detail: str = ""
    rate_limit: int | None = None
    rate_limit_remaining: int | None = None
    checked: float | None = None


class Probed(_Record):
    """upstreams.json."""

    at: float
    certificate_not_after: float | None = None
    upstreams: Mapping[str, ProbedUpstream] = Field(default_factory=dict)


@dataclass(frozen=True)
class Traffic:
    """What a cache did in a span of time; bytes where it says nothing else."""

    since: float
    hits: int
    misses: int
    served: int
    fetched: int
    evicted: int
    errors: int

    @property
    def hit_ratio(self) -> float | None:
        """The share of requests that the cache could answer by itself; None without any."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else None

    @property
    def saved(self) -> int:
        """What did not have to come from the upstream."""
        return max(0, self.served - self.fetched)


def collected(text: str) -> Collected:
    """Reads collect.json. Raises Unreadable."""
    return _read(Collected, text, "collect.json")


def probed(text: str) -> Probed:
    """Reads upstreams.json. Raises Unreadable."""
    return _read(Probed, text, "upstreams.json")


def _read(model: type[Record], text: str, name: str) -> Record:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Unreadable(f"{name}: {place + ': ' if place else ''}{first['msg']}") from None


def counted(upstream: CollectedUpstream) -> Traffic:
    """What a cache did since its collector began; its beginning is not known here."""
    asked = upstream.requests.values()
    return Traffic(
        since=0,
        hits=sum(one.hit for one in asked),
        misses=sum(one.miss for one in asked),
        served=upstream.served,
        fetched=upstream.fetched,
        evicted=sum(size for _, size in upstream.evictions.values()),
        errors=sum(upstream.errors.values()),
    )


def traffic(samples: Sequence[Sample], total: Traffic, since: float) -> Traffic:
    """What a cache did since a moment: by its samples, oldest first, and its counters of now.

    Of those before it the collector keeps the last one at least: where there is none, it began since. A
    counter that falls began anew, as after a lost database.
    """
    before = [sample for sample in samples if sample.at <= since]
    after = [sample for sample in samples if sample.at > since]
    steps = [_counters(sample) for sample in [*before[-1:], *after]]
    if not before:
        steps.insert(0, (0.0,) * len(_COUNTERS))
    steps.append(tuple(float(getattr(total, name)) for name in _COUNTERS))
    grown = [0.0] * len(_COUNTERS)
    for old, new in itertools.pairwise(steps):
        grown = [sum_ + (b - a if b >= a else b) for sum_, a, b in zip(grown, old, new, strict=True)]
    begun = since if before else min((sample.at for sample in after), default=since)
    return Traffic(begun, **{name: int(value) for name, value in zip(_COUNTERS, grown, strict=True)})


_COUNTERS = ("hits", "misses", "served", "fetched", "evicted", "errors")


def _counters(sample: Sample) -> tuple[float, ...]:
    return tuple(float(getattr(sample, name)) for name in _COUNTERS)
