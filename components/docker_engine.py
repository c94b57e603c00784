"""Docker Engine on a host: yum repository, packages, service. A Docker that is there stays."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.host import Host
from components.lib import docker_repo


@dataclass(frozen=True)
class DockerEngineArgs:
    """``packages`` is the base URL of Docker's package tree; ``version`` pins docker-ce (``28.5.2``)."""

    host: Host
    packages: str
    version: str | None = None
    keep_on_destroy: bool = True
    login_joins_docker_group: bool = False


class DockerEngine(pulumi.ComponentResource):
    """A running Docker Engine."""

    def __init__(self, name: str, args: DockerEngineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:DockerEngine", name, None, opts)
        login = args.host.login
        member = login.user if args.login_joins_docker_group and login.needs_sudo else "-"
        self.ready = args.host.run(
            "docker-engine",
            "docker_engine.sh",
            *(args.version or "-", "yes" if args.keep_on_destroy else "no", member),
            stdin=docker_repo.render(args.packages),
            parent=self,
        )
        self.register_outputs({})
