"""What a registry's own log says about one pull."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# The access log of distribution 2.x and 3.x is Apache's combined format, one line a request.
_ACCESS = re.compile(
    r"(?P<client>\S+) - \S+ \[[^]]*\] \"(?P<method>[A-Z]+) (?P<uri>\S+) HTTP/[0-9.]+\" (?P<status>\d{3}) "
)
_BLOB = re.compile(r"/v2/(?P<repository>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^?]+)")
RATE_LIMIT = "the upstream refused with 429, its rate limit"


@dataclass(frozen=True)
class Request:
    """One request as the registry logged it; ``client`` is an address without port."""

    client: str
    method: str
    uri: str
    status: int


@dataclass(frozen=True)
class Evidence:
    """What one client's marked pull did at the cache.

    ``fetched`` are the blobs that the cache did not have before the pull began, ``refused`` says
    whether it did not give the manifest.
    """

    seen: bool
    manifests: int
    blobs: frozenset[str]
    fetched: frozenset[str]
    refused: bool
    refusals: tuple[str, ...]

    @property
    def went_through(self) -> bool:
        """True where the cache answered the pull's manifest request."""
        return self.manifests > 0


def parse_requests(lines: Iterable[str]) -> list[Request]:
    """The requests among a registry's log lines, in their order."""
    found = (_ACCESS.search(line) for line in lines)
    return [
        Request(match["client"], match["method"], match["uri"], int(match["status"]))
        for match in found
        if match
    ]


def weigh(
    lines: Iterable[str], stored: dict[str, int | None], nonce: str, repository: str, began: int
) -> Evidence:
    """Finds one pull of ``repository`` between the marks that carry ``nonce``.

    The marks show as whom the client appears here, behind whatever translates addresses: by IPv4 as
    one, by IPv6 as another.
    ``stored`` gives for each blob when the cache finished writing it (seconds since 1970, None
    where it is not there yet), ``began`` is when the pull began by the same clock.
    """
    kept = list(lines)
    requests = parse_requests(kept)
    marks = [request for request in requests if f"proof={nonce}.begin" in request.uri]
    if not marks:
        return Evidence(False, 0, frozenset(), frozenset(), False, ())
    clients = {mark.client for mark in marks}
    everything = [request for request in requests if request.client in clients]
    own = [request for request in everything if request.status < 400]
    asked = [r for r in everything if (m := _MANIFEST.match(r.uri)) and m["repository"] == repository]
    manifests = [r for r in asked if r.status < 400]
    blobs = {m["digest"] for r in own if (m := _BLOB.match(r.uri)) and m["repository"] == repository}
    fetched = {digest for digest in blobs if (written := stored.get(digest)) is None or written >= began}
    refusals = tuple(dict.fromkeys(reason for line in kept if (reason := _refusal(line))))
    refused = bool(asked) and not manifests
    return Evidence(True, len(manifests), frozenset(blobs), frozenset(fetched), refused, refusals)


def upstreams_answer(said: str) -> str | None:
    """What keeps an upstream from giving a manifest, by ask_upstream.sh's answer; None where nothing does."""
    kind, _, what = said.strip().partition(" ")
    match kind:
        case "ok":
            return None
        case "absent":
            return "the upstream has no such image"
        case "rate_limited":
            return RATE_LIMIT
        case "unauthorized":
            return f"the upstream refuses the cache's login, or wants one: {what}"
        case "unreachable":
            return f"the upstream cannot be reached: {what}"
        case "tls":
            return f"the upstream's certificate is not trusted: {what}"
        case _:
            return f"the upstream fails: {what}"


def _refusal(line: str) -> str | None:
    """Why the upstream did not give what was asked, where a log line tells."""
    if "level=error" not in line and "level=warning" not in line:
        return None
    # Bare digits are found in every port, duration and id.
    if re.search(r"status:? 429|toomanyrequests|[Tt]oo [Mm]any [Rr]equests", line):
        return RATE_LIMIT
    if match := re.search(r"(connection refused|no such host|i/o timeout|network is unreachable)", line):
        return f"the upstream cannot be reached: {match[1]}"
    if match := re.search(r"(x509: [^\"\\]+)", line):
        return f"the upstream's certificate is not trusted: {match[1]}"
    if match := re.search(r"unexpected (?:HTTP )?status:? (\d{3}[^\"\\]*)", line):
        return f"the upstream refused with {match[1].strip()}"
    if re.search(r"status:? 401|unauthorized", line):
        return "the upstream refused with 401: it wants (other) credentials"
    return None
