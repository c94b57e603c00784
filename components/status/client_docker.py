"""What a client's Docker says: its mirrors, what it pulled, and when it gave a mirror up."""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from components.lib import image_reference
from components.status.asking import Answers

DOCKER_HUB = "docker.io"
EVENTS_KEPT = 256
"""How many events a Docker daemon remembers (moby, daemon/events/events.go)."""

# logrus' text form; a quote within is escaped.
_TIME = re.compile(r'time="([^"]+)"')
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
_ERROR = re.compile(r'error="((?:[^"\\]|\\.)*)"')
_HOST = re.compile(r'\bhost="?([^"\s]+)')
_URL = re.compile(r'"https?://([^/"]+)/')
_NEXT_ENDPOINT = "Attempting next endpoint for pull after error: "


@dataclass(frozen=True)
class Pull:
    """A pull from Docker Hub that ended well, and when, in seconds since 1970."""

    at: float
    repository: str


@dataclass(frozen=True)
class GivenUp:
    """A moment at which Docker left an endpoint for the next one.

    ``host`` is that endpoint's, as in its URL; None where it answered, for then the line does not name it.
    """

    at: float
    host: str | None
    reason: str


@dataclass(frozen=True)
class ClientDocker:
    """The running daemon, by this machine's clock.

    ``mirrors`` are the URLs that it asks for Docker Hub's images, in order. ``remembers_since`` is from when
    on every pull is among ``pulls``.
    """

    addresses: frozenset[str]
    mirrors: Sequence[str]
    containerd_store: bool
    pulls: Sequence[Pull]
    given_up: Sequence[GivenUp]
    configured_since: float | None
    remembers_since: float | None


class NoDocker(Exception):
    """Docker does not answer on this host; the text says why."""


def read(answers: Answers) -> ClientDocker:
    """Reads a client's answers. Raises NoDocker."""
    said = answers.said
    if "mirrors" not in said:
        raise NoDocker(answers.failed.get("mirrors", "it was not asked"))
    containerd_store = "io.containerd.snapshotter" in said.get("store", "")
    if containerd_store:
        mirrors = hosts_toml_mirrors(said.get("hosts_toml", ""))
    else:
        mirrors = [url.strip().rstrip("/") for url in said["mirrors"].splitlines() if url.strip()]
    pulls, remembers_since = _events(said.get("events"), said.get("docker_since"))
    configured = said.get("configured_since", "").split()
    return ClientDocker(
        addresses=frozenset(said.get("addresses", "").split()),
        mirrors=mirrors,
        containerd_store=containerd_store,
        pulls=[Pull(pull.at - answers.ahead, pull.repository) for pull in pulls],
        given_up=[
            GivenUp(line.at - answers.ahead, line.host, line.reason)
            for line in journal(said.get("fallbacks", ""))
        ],
        configured_since=float(configured[0]) - answers.ahead if configured else None,
        remembers_since=None if remembers_since is None else remembers_since - answers.ahead,
    )


def hosts_toml_mirrors(text: str) -> list[str]:
    """The mirrors in a hosts.toml of docker.io, in order. A text that containerd could not read has none."""
    try:
        hosts = tomllib.loads(text).get("host", {})
    except tomllib.TOMLDecodeError:
        return []
    # The order of the tables is the order in which they are tried; what may not pull is not asked.
    return [
        url.rstrip("/")
        for url, host in (hosts.items() if isinstance(hosts, dict) else ())
        if isinstance(host, dict)
        and isinstance(allowed := host.get("capabilities", ["pull", "resolve", "push"]), list)
        and "pull" in allowed
    ]


def journal(text: str) -> list[GivenUp]:
    """The endpoints that Docker gave up, from its log: the graph driver's lines and containerd's."""
    found = []
    for line in text.splitlines():
        time, message, error, host = (pattern.search(line) for pattern in (_TIME, _MESSAGE, _ERROR, _HOST))
        if time is None or message is None:
            continue
        try:
            moment = datetime.datetime.fromisoformat(time[1]).timestamp()
        except (ValueError, OverflowError):
            continue
        told = _unescaped(message[1])
        reason = told.removeprefix(_NEXT_ENDPOINT) if error is None else _unescaped(error[1])
        url = _URL.search(reason)
        name = host[1] if host else url[1] if url else None
        found.append(GivenUp(moment, name, _short(reason)))
    return found


def _events(text: str | None, docker_since: str | None) -> tuple[list[Pull], float | None]:
    """The pulls from Docker Hub among a daemon's events, and from when on it remembers all of them."""
    if text is None or docker_since is None:
        return [], None
    pulls = []
    oldest, count = 0.0, 0
    for line in text.splitlines():
        parts = line.split()
        if parts[1:2] == ["events"]:
            oldest, count = int(parts[0]) / 1e9, int(parts[2])
        elif len(parts) == 4 and (repository := _hub_repository(parts[3])):
            pulls.append(Pull(int(parts[0]) / 1e9, repository))
    return pulls, oldest if count >= EVENTS_KEPT else float(docker_since)


def _hub_repository(image: str) -> str | None:
    try:
        wanted = image_reference.parse(image)
    except ValueError:
        return None
    return wanted.repository if wanted.registry == DOCKER_HUB else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _short(reason: str) -> str:
    """Without the request: who was asked stands elsewhere."""
    return re.sub(r'^(failed to do request: )?(Get|Head) "?[^" ]+"?: ', "", reason)
