"""The registries that answer as Docker Hub, ghcr.io and others, and what they were asked."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lab.bulk import BulkImages
from lab.command import docker
from lab.errors import LabError


@dataclass(frozen=True)
class UpstreamSpec:
    """One upstream of a lab. `number` is the last part of its addresses, `names` are what it answers to."""

    registry: str
    container: str
    number: int
    names: tuple[str, ...]


UPSTREAMS = (
    UpstreamSpec("docker.io", "upstream", 3, ("registry-1.docker.io", "auth.docker.io", "index.docker.io")),
    UpstreamSpec("ghcr.io", "upstream-ghcr", 4, ("ghcr.io",)),
    UpstreamSpec("registry.k8s.io", "upstream-k8s", 5, ("registry.k8s.io", "gcr.io", "quay.io")),
)
"""ghcr.io has a token server and private images, the last one no login at all."""


def upstream_named(registry: str) -> UpstreamSpec:
    """The upstream that serves a registry; LabError where there is none."""
    for spec in UPSTREAMS:
        if registry == spec.registry or registry in spec.names:
            return spec
    known = ", ".join(spec.registry for spec in UPSTREAMS)
    raise LabError(f"the lab has no upstream {registry!r}; it knows {known}")


@dataclass(frozen=True)
class Request:
    """One kind of request. `client` is the name of the lab's host that it came from, `path` has no query."""

    method: str
    path: str
    client: str
    status: int


class Upstream:
    """Counts what it is asked; can refuse connections, answer with an error, or limit who pulls."""

    def __init__(self, container: str, host_names: Mapping[str, str]) -> None:
        """`host_names` tells the host of an address, of either IP version; others are shown by address."""
        self._container = container
        self._host_names = host_names

    def requests(self) -> Counter[Request]:
        """How often each request came since the lab began or `forget` was called."""
        lines = docker("exec", self._container, "cat", "/var/log/lab/requests.jsonl").splitlines()
        entries = [json.loads(line) for line in lines]
        return Counter(
            Request(e["method"], e["path"], self._host_names.get(e["client"], e["client"]), e["status"])
            for e in entries
        )

    def publish(self, images: BulkImages) -> None:
        """Has it serve these images too."""
        images.publish(self._container)

    def forget(self) -> None:
        """Start counting from zero."""
        self._front("forget")

    def stop(self) -> None:
        """From now on connections are refused."""
        self._front("stop")

    def start(self) -> None:
        """Connections are accepted again; what `answer_with` set stays."""
        self._front("start")

    def answer_with(self, status: int | None) -> None:
        """Answer every request with this HTTP status; None: as a registry does."""
        self._front(*(["forward"] if status is None else ["answer", str(status)]))

    def rate_limit(self, remaining: int | None, limit: int = 100) -> None:
        """Tell, as Docker Hub does, that so many pulls remain of `limit` in six hours; None: no limit.

        With 0, requests for manifests are answered with 429.
        """
        self._front(*(["unlimited"] if remaining is None else ["limit", str(limit), str(remaining)]))

    def accounts(self, passwords: Mapping[str, str]) -> None:
        """From now on these users may log in, with these passwords; ghcr.io only."""
        self._front("accounts", stdin=json.dumps(passwords))

    def _front(self, *order: str, stdin: str | None = None) -> None:
        docker("exec", "-i", self._container, "front.sh", *order, stdin=stdin)
