"""Which pulls went past the mirrors: certain, or "unknown"."""

from __future__ import annotations

import pytest

from components.status.client_docker import ClientDocker, GivenUp, Pull
from components.status.records import ManifestRequest
from components.status.way_of_pulls import Mirror, MirrorRecord, Watched, Way, owners, watch

OWN, OTHER, PROXY = "10.0.0.1", "10.0.0.2", "172.17.0.1"
OWNER = owners({"web-1": [OWN, PROXY], "web-2": [OTHER, PROXY], "mirror-1": ["10.0.0.9", PROXY]})


def gave(at: float, address: str = OWN, repository: str = "library/nginx") -> ManifestRequest:
    return ManifestRequest(at, "docker.io", address, repository)


def mirror(
    *requests: ManifestRequest, name: str = "mirror-1", since: float = 0, until: float = 9000
) -> Mirror:
    return Mirror(name, f"{name}.test", MirrorRecord(requests, since, until))


def dark(name: str = "mirror-1") -> Mirror:
    return Mirror(name, f"{name}.test", None)


def refused(at: float, name: str = "mirror-1") -> GivenUp:
    return GivenUp(at, f"{name}.test", "connection refused")


def client(*pulls: Pull, given_up: tuple[GivenUp, ...] = (), remembers: float | None = 0) -> ClientDocker:
    return ClientDocker(frozenset([OWN]), [], False, pulls, given_up, None, remembers)


def watched(client: ClientDocker, *mirrors: Mirror, since: float = 0) -> Watched:
    return watch("web-1", client, mirrors, OWNER, since)


NGINX = Pull(5000, "library/nginx")


@pytest.mark.parametrize(
    ("mirrors", "given_up", "way"),
    [
        ([mirror(gave(4999))], (), Way.THROUGH),
        ([mirror(gave(4000))], (), Way.THROUGH),
        ([mirror(gave(5001.5))], (), Way.THROUGH),
        ([mirror(), mirror(gave(4999), name="mirror-2")], (refused(4999),), Way.THROUGH),
        ([mirror()], (), Way.PAST),
        ([mirror(gave(4999, OTHER))], (), Way.PAST),
        ([mirror(gave(4999, repository="library/redis"))], (), Way.PAST),
        ([mirror(gave(3000))], (), Way.PAST),
        ([mirror(gave(5010))], (), Way.PAST),
        ([mirror(gave(4999, PROXY))], (), Way.UNKNOWN),
        ([mirror(gave(4999, "192.0.2.77"))], (), Way.UNKNOWN),
        ([mirror(gave(4999, PROXY))], (refused(4999),), Way.UNKNOWN),
        ([dark()], (), Way.UNKNOWN),
        ([dark()], (refused(4999),), Way.PAST),
        ([dark()], (GivenUp(4999, None, "manifest unknown"),), Way.UNKNOWN),
        ([dark(), dark("mirror-2")], (refused(4999),), Way.UNKNOWN),
        ([dark(), dark("mirror-2")], (refused(4999), refused(4999, "mirror-2")), Way.PAST),
        ([mirror(), dark("mirror-2")], (), Way.UNKNOWN),
        ([mirror(), dark("mirror-2")], (refused(4999), refused(4999, "mirror-2")), Way.PAST),
        ([mirror(until=4990)], (refused(4999),), Way.PAST),
        ([], (), Way.PAST),
    ],
    ids=[
        "its manifest request is there",
        "a long pull",
        "clocks a second apart",
        "the second mirror served it",
        "nobody asked for the manifest",
        "somebody else asked",
        "it asked for something else",
        "it asked long before",
        "it asked later",
        "somebody behind Docker's proxy asked",
        "an address of nobody's asked",
        "given up, and somebody behind the proxy asked",
        "the mirror is not reached",
        "the mirror is not reached, and Docker says that it gave it up",
        "Docker gave up one that answered",
        "of two that are not reached it gave up one",
        "it gave up both",
        "one did not serve it, the other is not reached",
        "one did not serve it, and Docker gave up both",
        "the record is older, but Docker says it",
        "Docker has no mirror",
    ],
)
def test_a_pull_is_judged_by_what_mirrors_and_docker_tell(
    mirrors: list[Mirror], given_up: tuple[GivenUp, ...], way: Way
) -> None:
    (judged,) = watched(client(NGINX, given_up=given_up), *mirrors).pulls
    assert judged.way is way


def test_what_docker_gave_up_for_one_pull_says_nothing_of_the_next() -> None:
    later = Pull(5300, "library/redis")
    found = watched(client(NGINX, later, given_up=(refused(4999),)), dark()).pulls
    assert [one.way for one in found] == [Way.PAST, Way.UNKNOWN]


def test_the_mirror_that_served_and_the_reason_for_going_past_are_named() -> None:
    (through,) = watched(client(NGINX), mirror(), mirror(gave(4999), name="mirror-2")).pulls
    assert through.mirror == "mirror-2"
    (past,) = watched(client(NGINX, given_up=(refused(4998),)), mirror()).pulls
    assert past.reason == "connection refused"


@pytest.mark.parametrize(
    ("again", "requests", "ways"),
    [
        (5300, [4999], [Way.THROUGH, Way.PAST]),
        (5300, [4999, 4999.2], [Way.THROUGH, Way.PAST]),
        (5300, [4999, 5000.3], [Way.THROUGH, Way.THROUGH]),
        (5000.4, [4999.9, 5000.3], [Way.THROUGH, Way.THROUGH]),
        (5001.5, [5000.9, 5002.4], [Way.THROUGH, Way.THROUGH]),
        (5001.5, [4999, 4999.9], [Way.THROUGH, Way.UNKNOWN]),
    ],
    ids=[
        "one request",
        "two requests of the first",
        "another tag, right after the first",
        "the same again at once",
        "the mirror's clock is fast",
        "the mirror's clock is slow, or it went past",
    ],
)
def test_one_request_does_not_stand_for_the_next_pull_of_the_same_image(
    again: float, requests: list[float], ways: list[Way]
) -> None:
    pulls = (NGINX, Pull(again, "library/nginx"))
    found = watched(client(*pulls), mirror(*(gave(at) for at in requests))).pulls
    assert [one.way for one in found] == ways


@pytest.mark.parametrize(
    ("docker", "of_mirror", "since", "begins"),
    [
        (client(NGINX, remembers=None), mirror(), 0, None),
        (client(NGINX, remembers=5500), mirror(), 0, 5500),
        (client(NGINX), mirror(since=5500), 0, 5500),
        (client(NGINX), mirror(), 5500, 5500),
        (client(NGINX), mirror(until=4990), 0, 0),
    ],
    ids=["Docker tells nothing", "Docker forgot", "before the collector", "long ago", "not recorded yet"],
)
def test_a_pull_that_nobody_watched_is_not_judged(
    docker: ClientDocker, of_mirror: Mirror, since: float, begins: float | None
) -> None:
    found = watched(docker, of_mirror, since=since)
    assert (found.since, list(found.pulls)) == (begins, [])


def test_pulls_before_the_client_was_pointed_at_a_mirror_are_not_judged() -> None:
    early = ClientDocker(frozenset([OWN]), [], False, [NGINX], [], configured_since=5500, remembers_since=0)
    assert list(watched(early, mirror()).pulls) == []


def test_an_address_of_several_hosts_is_nobodys() -> None:
    assert owners({"a": ["10.0.0.1", PROXY], "b": ["10.0.0.2", PROXY]}) == {"10.0.0.1": "a", "10.0.0.2": "b"}
    assert owners({"a": ["10.0.0.1", "10.0.0.1"]}) == {"10.0.0.1": "a"}, "its own, named twice"
