"""Containers that a killed run may have made without a word of it in the state.

Docker then refuses the next create, for the name is taken. The container has nothing in it that
is not made again: the cache's data is outside.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CONTAINER = "docker:index/container:Container"


@dataclass(frozen=True)
class HalfMadeContainer:
    """A container that was being created, and the ssh that reaches its Docker."""

    name: str
    ssh: tuple[str, ...]

    @property
    def removal(self) -> list[str]:
        """The command that removes it where it is there, and succeeds where it is not."""
        return [*self.ssh, f"docker rm -f {self.name}"]


def half_made_containers(deployment: Mapping[str, Any]) -> list[HalfMadeContainer]:
    """Those among the pending operations of a `pulumi stack export`'s deployment that go over ssh."""
    providers = {
        f"{one['urn']}::{one.get('id', '')}": one.get("inputs", {})
        for one in deployment.get("resources") or []
        if one["type"] == "pulumi:providers:docker"
    }
    found = []
    for operation in deployment.get("pending_operations") or []:
        resource = operation["resource"]
        provider = providers.get(resource.get("provider", ""), {})
        if operation["type"] == "creating" and resource["type"] == CONTAINER and "host" in provider:
            way = urlsplit(provider["host"])
            destination = f"{way.username}@{way.hostname}" if way.username else str(way.hostname)
            options = json.loads(provider.get("sshOpts", "[]"))
            name = str(resource["inputs"]["name"])
            found.append(HalfMadeContainer(name, ("ssh", *options, destination)))
    return found
