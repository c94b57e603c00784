"""The outbound proxy of the lab's 'internet', and what went through it."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from lab.command import docker

NAME = "proxy.example.test"
LOG = "/var/log/lab/proxy.log"
# "CONNECT   Nov 25 01:40:00.123 [42]: Connect (file descriptor 7): 10.213.7.11", and of the same connection
# "…: Request (file descriptor 7): CONNECT ghcr.io:443 HTTP/1.1".
_CLIENT = re.compile(r"Connect \(file descriptor (?P<descriptor>\d+)\): (?P<client>\S+)$")
_REQUEST = re.compile(r"Request \(file descriptor (?P<descriptor>\d+)\): [A-Z]+ (?P<target>\S+)")


@dataclass(frozen=True)
class Passage:
    """One kind of way through the proxy: a lab's host (its name) and the target, as `ghcr.io:443`."""

    client: str
    target: str


class OutboundProxy:
    """A proxy for https that everybody in the lab may use, at `url`."""

    url = f"http://{NAME}:3128"

    def __init__(self, container: str, host_names: Mapping[str, str]) -> None:
        """`host_names` tells the host of an address."""
        self._container = container
        self._host_names = host_names

    def passages(self) -> Counter[Passage]:
        """What went through it since the lab began or `forget` was called."""
        clients: dict[str, str] = {}
        found: Counter[Passage] = Counter()
        for line in docker("exec", self._container, "cat", LOG).splitlines():
            if match := _CLIENT.search(line):
                clients[match["descriptor"]] = match["client"]
            elif match := _REQUEST.search(line):
                client = clients.get(match["descriptor"], "")
                found[Passage(self._host_names.get(client, client), match["target"])] += 1
        return found

    def forget(self) -> None:
        """Start counting from zero."""
        docker("exec", self._container, "sh", "-c", f": >{LOG}")
