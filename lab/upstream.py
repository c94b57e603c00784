"""The registry that answers as registry-1.docker.io, and what it was asked."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lab.command import docker


@dataclass(frozen=True)
class Request:
    """One kind of request. `client` is the name of the lab's host that it came from, `path` has no query."""

    method: str
    path: str
    client: str
    status: int


class Upstream:
    """Counts what it is asked; can refuse connections, or answer with an error."""

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

    def _front(self, *order: str) -> None:
        docker("exec", self._container, "front.sh", *order)
