"""A program with one image and one container on a host of the lab, driven through the real CLI."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lab.machine import LabHost
from tests.pulumi_project import Project

IMAGE = "nginx:1.27"
"""An image of the lab's upstream: a small web server on port 80, with a shell."""

PROGRAM = """
import pulumi, pulumi_docker as docker

config = pulumi.Config()
inputs = config.require_object("container")
if config.get_secret("token"):
    inputs["envs"] = [pulumi.Output.concat("TOKEN=", config.require_secret("token"))]
provider = docker.Provider("host", host=config.require("host"), ssh_opts=config.require_object("sshOpts"))
image = docker.RemoteImage(
    "image",
    name=config.require("image"),
    keep_locally=config.get_bool("keep"),
    opts=pulumi.ResourceOptions(provider=provider),
)
container = docker.Container(
    "web",
    **{"image": image.image_id, **inputs},
    opts=pulumi.ResourceOptions(
        provider=provider,
        depends_on=[image],
        replace_on_changes=config.get_object("replaceOnChanges"),
        import_=config.get("import"),
    ),
)
pulumi.export("id", container.id)
pulumi.export("networks", container.network_datas)
"""


@dataclass(frozen=True)
class Stage:
    """A stack of `PROGRAM` on `host`. The container is called `name`; nothing else on the host is."""

    project: Project
    host: LabHost
    name: str

    def ask(self, *, image: str = IMAGE, container: Mapping[str, Any], **settings: object) -> None:
        """Set what the program asks for: the container's inputs in snake case, and `keep`, `import`, ….

        The provider's host and ssh options are those of the stage's host unless given.
        """
        config = {
            "host": f"ssh://{self.host.spec.user}@{self.host.address}",
            "sshOpts": self.host.ssh_command()[1:-1],
            "image": image,
            "container": {"name": self.name, **container},
            **settings,
        }
        self.project.configure({f"test-project:{key}": value for key, value in config.items()})

    def inspected(self) -> dict[str, Any]:
        """What the host's Docker says of the container."""
        found: dict[str, Any] = json.loads(self.host.run(f"docker inspect {self.name}").stdout)[0]
        return found

    def exists(self) -> bool:
        """Whether the host has a container of this name."""
        return self.host.run(f"docker inspect {self.name}", check=False).code == 0

    def has_image(self, name: str = IMAGE) -> bool:
        """Whether the host has the image."""
        return self.host.run(f"docker image inspect {name}", check=False).code == 0

    def stored(self) -> dict[str, Any] | None:
        """The container's outputs in the state; None if the state has no container."""
        for resource in self.project.resources():
            if resource["type"] == "docker:index/container:Container":
                outputs: dict[str, Any] = resource["outputs"]
                return outputs
        return None

    def planned(self) -> str:
        """What a preview would do to the container: same, create, update or replace."""
        steps = [step["op"] for step in self.project.planned() if step["urn"].endswith("::web")]
        return "replace" if any("replace" in step for step in steps) else steps[0]

    @property
    def squatter(self) -> str:
        """The name of another container, which is in the way."""
        return f"{self.name}-squatter"

    def clear(self) -> None:
        """Leave nothing on the host, whatever became of the stack."""
        self.host.run(f"docker rm -fv {self.name} {self.squatter}; docker rmi -f {IMAGE}", check=False)
