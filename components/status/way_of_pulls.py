"""Did a client's pulls go through its mirrors, or past them to Docker Hub?

Docker tells of a pull (its events) and of endpoints that it gave up (its log), a mirror tells of the
manifests that it gave (its record). A pull for which no mirror gave a manifest went past. Whoever comes by an
address that is nobody's in particular, as through Docker's IPv6 proxy on the mirror or another translation,
cannot be told from others: where the manifest may have been given to such a one, the answer is "unknown".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from components.status.client_docker import DOCKER_HUB, ClientDocker, GivenUp, Pull
from components.status.records import ManifestRequest

PULL_SECONDS = 1800
"""How long before its end a pull may have asked for its manifest."""
APART_SECONDS = 2.0
"""By how much two hosts' times of the same thing may differ: both are cut to seconds."""


class Way(enum.Enum):
    """How a pull went."""

    THROUGH = "through"
    PAST = "past"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class MirrorRecord:
    """The manifests that a mirror gave, all of them between two moments of this machine's clock."""

    requests: Sequence[ManifestRequest]
    since: float
    until: float


@dataclass(frozen=True)
class Mirror:
    """A mirror as a client knows it: its name, the host in its URL, and its record where there is one."""

    name: str
    host: str
    record: MirrorRecord | None


@dataclass(frozen=True)
class JudgedPull:
    """A pull and how it went. ``mirror`` is the one that served it, ``reason`` why another way was taken."""

    pull: Pull
    way: Way
    mirror: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class Watched:
    """A client's pulls that could be judged, oldest first, and from when on they are all there."""

    since: float | None
    pulls: Sequence[JudgedPull]

    def that_went(self, way: Way) -> list[JudgedPull]:
        """Those of one kind."""
        return [judged for judged in self.pulls if judged.way is way]


def owners(addresses: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Whose each address is. One that several hosts have, as that of Docker's bridge, is nobody's."""
    found: dict[str, str] = {}
    shared: set[str] = set()
    for name, those in addresses.items():
        for address in those:
            if found.setdefault(address, name) != name:
                shared.add(address)
    return {address: name for address, name in found.items() if address not in shared}


def watch(
    name: str, client: ClientDocker, mirrors: Sequence[Mirror], owner: Mapping[str, str], since: float
) -> Watched:
    """Judges a client's pulls since a moment: those that Docker and the mirrors' records both tell of."""
    if client.remembers_since is None:
        return Watched(None, [])
    records = [mirror.record for mirror in mirrors if mirror.record is not None]
    begin = max(
        since,
        client.remembers_since,
        client.configured_since or 0.0,
        *(record.since for record in records),
    )
    pulls = sorted((pull for pull in client.pulls if pull.at > begin), key=lambda pull: pull.at)
    judged = []
    for position, pull in enumerate(pulls):
        start = pull.at - PULL_SECONDS
        for earlier in pulls[:position]:
            if earlier.repository == pull.repository:
                start = max(start, earlier.at)
        one = _judge(name, pull, client.given_up, mirrors, owner, start - APART_SECONDS)
        if one is not None:
            judged.append(one)
    return Watched(begin, judged)


def _judge(
    name: str,
    pull: Pull,
    given_up: Sequence[GivenUp],
    mirrors: Sequence[Mirror],
    owner: Mapping[str, str],
    start: float,
) -> JudgedPull | None:
    """How a pull went that began after ``start``; None where a record does not reach as far yet."""
    end = pull.at + APART_SECONDS
    lines = [line for line in given_up if start <= line.at <= end]
    reason = lines[-1].reason if lines else ""
    unknown = False
    waits = False
    for mirror in mirrors:
        gave = [] if mirror.record is None else _manifests(mirror.record, pull, start, end)
        if any(owner.get(request.address) == name for request in gave):
            return JudgedPull(pull, Way.THROUGH, mirror.name)
        if any(request.address not in owner for request in gave):
            unknown = True
        elif any(line.host == mirror.host for line in lines):
            continue
        elif mirror.record is None:
            unknown = True
        elif mirror.record.until < end:
            waits = True
    if unknown:
        return JudgedPull(pull, Way.UNKNOWN)
    return None if waits else JudgedPull(pull, Way.PAST, None, reason)


def _manifests(record: MirrorRecord, pull: Pull, start: float, end: float) -> list[ManifestRequest]:
    return [
        request
        for request in record.requests
        if request.upstream == DOCKER_HUB
        and request.repository == pull.repository
        and start <= request.at <= end
    ]
