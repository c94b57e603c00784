"""`python -m offline_plugins.docker`: the offline stand-in for pulumi-docker 5.2.0."""

from typing import Any

from offline_plugins.docker_connection import LOCAL_SOCKET, Engine
from offline_plugins.docker_container import Container
from offline_plugins.docker_image import RemoteImage
from offline_plugins.provider import Provider
from offline_plugins.server import main
from offline_plugins.spec import Field, ListOf, Object, Text

VERSION = "5.2.0"

_SETTINGS = Object(
    {"host": Field(Text(), default=LOCAL_SOCKET), "sshOpts": Field(ListOf(Text()))},
    refused=frozenset(
        {
            "caMaterial",
            "certMaterial",
            "certPath",
            "context",
            "disableDockerDaemonCheck",
            "keyMaterial",
            "registryAuth",
        }
    ),
)


class DockerProvider(Provider):
    """The plugin for one Docker engine."""

    def __init__(self) -> None:
        self._engine = Engine()
        handlers = (Container(self._engine), RemoteImage(self._engine))
        super().__init__("docker", VERSION, handlers, _SETTINGS)

    async def configure(self, settings: dict[str, Any]) -> None:
        """Take the engine's address; it is not called before the first operation."""
        self._engine.configure(settings["host"], settings.get("sshOpts") or ())

    async def close(self) -> None:
        """End the connection to the engine."""
        await self._engine.close()


if __name__ == "__main__":
    main(DockerProvider())
