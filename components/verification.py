"""The pull that proves that a client goes through its mirror."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from components.host import Host
from components.lib import ssh_options
from components.mirror_client import MirrorClient
from components.registry_cache import RegistryCache


@dataclass(frozen=True)
class VerificationArgs:
    """The client, the cache that it must be seen at, and the image that it pulls.

    ``networks`` may reach the cache. They tell the pull nothing, but others ask for another proof.
    """

    client: MirrorClient
    client_host: Host
    mirror_host: Host
    cache: RegistryCache
    image: str
    ca: pulumi.Input[str] | None
    networks: Sequence[str]


class Verification(pulumi.ComponentResource):
    """A pull of a client, seen in the mirror's own log and storage, or else a failed ``up``."""

    proof: pulumi.Output[str]

    def __init__(self, name: str, args: VerificationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("registry-cache:index:Verification", name, None, opts)

        def question(values: tuple[str, str]) -> str:
            ca, container_id = values
            return json.dumps(
                {
                    "client": _ssh(args.client_host),
                    "mirror": _ssh(args.mirror_host),
                    "url": args.cache.url,
                    "image": args.image,
                    "container": args.cache.container_name,
                    "container_id": container_id,
                    "upstream": args.cache.upstream_url,
                    "data_directory": args.cache.data_directory,
                    "ca": ca,
                    "mirrors": list(args.client.mirror_urls),
                    "networks": list(args.networks),
                },
                indent=1,
            )

        ca: pulumi.Input[str] = args.ca if args.ca is not None else ""
        stdin = pulumi.Output.all(ca, args.cache.container_id).apply(lambda v: question((v[0], v[1])))
        proven = command.local.Command(
            f"{args.client_host.name}-proof",
            create=shlex.join(["python", "-m", "components.lib.proof"]),
            stdin=stdin,
            add_previous_output_in_env=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.client.configured]),
        )
        self.proof = proven.stdout
        self.register_outputs({"proof": self.proof})


def _ssh(host: Host) -> dict[str, object]:
    login = host.login
    return {
        "name": host.name,
        "destination": login.destination,
        "options": ssh_options.arguments(login),
        "sudo": login.needs_sudo,
    }
