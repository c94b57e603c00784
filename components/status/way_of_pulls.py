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
"""By how much the clocks of two hosts may differ."""
TOGETHER_SECONDS = 0.1
"""How long after a pull's end a request still belongs to it, where the clocks agree."""


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
    judged: dict[str, list[JudgedPull]] = {}
    taken: set[tuple[str, ManifestRequest]] = set()
    last = 0.0
    for pull in sorted((pull for pull in client.pulls if pull.at > begin), key=lambda pull: pull.at):
        earlier = judged.setdefault(pull.repository, [])
        before, last = last, pull.at
        one = _judge(name, pull, client.given_up, mirrors, owner, taken, before)
        if one is None:
            continue
        close = bool(earlier) and pull.at - earlier[-1].pull.at < 2 * APART_SECONDS
        if one.way is Way.PAST and close and earlier[-1].way is Way.THROUGH:
            # The one before may have been given this one's requests.
            one = JudgedPull(pull, Way.UNKNOWN)
        earlier.append(one)
    found = [one for of_repository in judged.values() for one in of_repository]
    return Watched(begin, sorted(found, key=lambda one: one.pull.at))


def _judge(
    name: str,
    pull: Pull,
    given_up: Sequence[GivenUp],
    mirrors: Sequence[Mirror],
    owner: Mapping[str, str],
    taken: set[tuple[str, ManifestRequest]],
    before: float,
) -> JudgedPull | None:
    """How a pull went; None where a record does not reach as far yet. Takes the pull's requests from others.

    ``before`` is the end of the client's pull before this one: what Docker gave up since was for this one.
    """
    end = pull.at + APART_SECONDS
    lines = [line for line in given_up if pull.at - PULL_SECONDS <= line.at <= end]
    reason = lines[-1].reason if lines else ""
    unknown = False
    waits = False
    for mirror in mirrors:
        gave = [one for one in _manifests(mirror.record, pull, end) if (mirror.name, one) not in taken]
        own = [request for request in gave if owner.get(request.address) == name]
        if own:
            surely = [request for request in own if request.at <= pull.at + TOGETHER_SECONDS]
            taken.update((mirror.name, request) for request in surely or own[:1])
            return JudgedPull(pull, Way.THROUGH, mirror.name)
        if any(request.address not in owner for request in gave):
            unknown = True
        elif any(line.host == mirror.host and line.at > before for line in lines):
            continue
        elif mirror.record is None:
            unknown = True
        elif mirror.record.until < end:
            waits = True
    if unknown:
        return JudgedPull(pull, Way.UNKNOWN)
    return None if waits else JudgedPull(pull, Way.PAST, None, reason)


def _manifests(record: MirrorRecord | None, pull: Pull, end: float) -> list[ManifestRequest]:
    """The manifests that a mirror gave in a pull's time, oldest first; none of an unknown record."""
    requests = () if record is None else record.requests
    return sorted(
        request
        for request in requests
        if request.upstream == DOCKER_HUB
        and request.repository == pull.repository
        and pull.at - PULL_SECONDS <= request.at <= end
    )
